package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"weft/gateway"
	"weft/persistence"
	"weft/protocol"
	"weft/room"
)

// observer turns what the packages tell into log lines and metrics. Per message and per update there are metrics only;
// a connection's end is one line, so is everything an operator may have to act on.
type observer struct {
	// Static after construction.
	log      *slog.Logger
	m        *metrics
	panicDir string // where the message that a room choked on is kept

	load   loadMeter
	rooms  atomic.Pointer[room.Registry] // set once there is one; the store is opened before
	panics atomic.Int64
}

func (o *observer) gateway() gateway.Events {
	m := o.m
	return gateway.Events{
		Opened: func(c gateway.ConnStart) {
			m.accepted.WithLabelValues(c.Protocol).Inc()
			m.handshake.Observe(c.Accept.Seconds())
			o.log.Debug("connection opened", "conn", c.ID, "room", c.Room, "protocol", c.Protocol, "remote", c.Remote)
		},
		Closed: func(c gateway.ConnEnd) {
			m.connDuration.Observe(c.Duration.Seconds())
			m.disconnect(c.Reason).Inc()
			o.log.Info("connection ended", "conn", c.ID, "room", c.Room, "protocol", c.Protocol, "remote", c.Remote, "user", clip(c.User.ID),
				"reason", c.Reason.Name, "code", c.Reason.Code, "detail", clip(c.Detail), "duration", c.Duration.Round(time.Millisecond),
				"bytesIn", c.BytesIn, "bytesOut", c.BytesOut, "messagesIn", c.MessagesIn, "messagesOut", c.MessagesOut)
		},
		Entered: func(e gateway.Entry) {
			m.places.Inc()
			m.entered.WithLabelValues(e.Protocol).Inc()
			m.enter.Observe(e.Took.Seconds())
			o.log.Debug("room entered", entryFields(e)...)
		},
		Exited: func(e gateway.Entry, why *protocol.CloseError) {
			m.places.Dec()
			if why == nil {
				o.log.Debug("room left", entryFields(e)...)
				return
			}
			o.log.Info("place in a room ended", append(entryFields(e), reasonFields(why)...)...)
		},
		Barred: func(e gateway.Entry, why *protocol.CloseError) {
			m.barred.WithLabelValues(why.Reason.Name).Inc()
			o.log.Info("not let into a room", append(entryFields(e), reasonFields(why)...)...)
		},
		Administered: func(a gateway.AdminAction) {
			m.adminActions.WithLabelValues(a.Verb).Inc()
			o.log.Info("operator", "verb", a.Verb, "user", a.Subject.User, "session", a.Subject.Session, "room", a.Subject.Room,
				"access", a.Access, "conn", a.Conn, "affected", a.Affected)
		},
		Refused: func(r gateway.Refusal) {
			m.refused.WithLabelValues(r.Code, fmt.Sprint(r.Status)).Inc()
			o.log.Debug("request refused", "code", r.Code, "status", r.Status, "path", clip(r.Path), "remote", addr(r.Remote))
		},
		Received: func(n int) {
			m.messagesReceived.Inc()
			m.bytesReceived.Add(float64(n))
		},
		Paused: func(by string, d time.Duration) {
			m.paused.WithLabelValues(by).Inc()
			m.pausedTime.WithLabelValues(by).Add(d.Seconds())
		},
		Sent: func(messages, bytes int) {
			m.writes.Inc()
			m.messagesSent.Add(float64(messages))
			m.bytesSent.Add(float64(bytes))
		},
		Deflated: func(from, to int) {
			m.deflatedFrom.Add(float64(from))
			m.deflatedTo.Add(float64(to))
		},
		Panicked: func(where string, v any, stack []byte) {
			m.panics.WithLabelValues(where).Inc()
			o.log.Error("panic recovered", "where", where, "panic", clip(fmt.Sprint(v)), "stack", string(stack))
		},
	}
}

// entryFields are the fields of a log line about a client at the door of a room.
func entryFields(e gateway.Entry) []any {
	return []any{"conn", e.Conn, "room", e.Room, "protocol", e.Protocol, "remote", addr(e.Remote), "user", e.User.ID, "write", e.Write}
}

// reasonFields are those of why it has no place there.
func reasonFields(why *protocol.CloseError) []any {
	return []any{"reason", why.Reason.Name, "code", why.Reason.Code, "detail", clip(why.Detail)}
}

func addr(a netip.AddrPort) string {
	if !a.IsValid() {
		return "unknown"
	}
	return a.String()
}

func (o *observer) room() room.Events {
	m := o.m
	e := room.Events{
		Opened: func(name string, took time.Duration, updates int) {
			m.roomLoad.Observe(took.Seconds())
			o.log.Info("room opened", "room", name, "took", took, "replayed", updates)
		},
		OpenFailed: func(name string, err *protocol.CloseError) {
			m.roomLoadFailures.Inc()
			o.log.Error("room not opened", "room", name, "err", err)
		},
		Leftover: func(name string, bytes int) {
			o.log.Warn("stored updates build on others that are not stored; they were never acknowledged", "room", name, "bytes", bytes)
		},
		Closed: func(name string) {
			m.roomsClosed.Inc()
			m.roomsReadOnly.remove(name)
			o.log.Info("room closed", "room", name)
		},
		Saved: func(name string, pos persistence.Position, n int, took time.Duration) {
			m.roomSave.Observe(took.Seconds())
			m.roomSaveBytes.Add(float64(n))
			o.log.Debug("room saved", "room", name, "epoch", pos.Epoch, "seq", pos.Seq, "bytes", n, "took", took)
		},
		SaveFailed: func(name string, err error) {
			m.roomSaveFailures.Inc()
			o.log.Error("room not saved, it is tried again", "room", name, "err", err)
		},
		ReadOnly: func(name string, err error) {
			m.roomsReadOnly.add(name)
			o.log.Error("room is read-only", "room", name, "err", err)
		},
		Writable: func(name string, after time.Duration) {
			m.roomsReadOnly.remove(name)
			o.log.Info("room is writable again", "room", name, "after", after)
		},
		Panicked: func(name string, v any, stack, message []byte) {
			m.panics.WithLabelValues("room").Inc()
			o.log.Error("room panicked and is loaded anew", "room", name, "panic", clip(fmt.Sprint(v)), "stack", string(stack),
				"message", o.keepMessage(message))
		},
	}
	o.sessions(&e)
	return e
}

// sessions adds what rooms tell about single sessions and updates.
func (o *observer) sessions(e *room.Events) {
	m := o.m
	e.Joined = func(name string, peer uint64) {
		o.log.Debug("joined", "room", name, "conn", peer)
	}
	e.Left = func(name string, peer uint64, err *protocol.CloseError) {
		m.lagging.remove(session{name, peer})
		if err != nil {
			o.log.Debug("session ended by the room", "room", name, "conn", peer, "reason", err.Reason.Name)
		}
	}
	e.Batch = func(_ string, b room.Batch) {
		m.updates.Add(float64(b.Updates))
		m.updateBytes.Add(float64(b.Bytes))
		m.frames.Add(float64(b.Frames))
		m.deliveries.Add(float64(b.Frames * b.Peers))
		m.apply.Observe(b.Applied.Seconds())
		m.fanout.Observe(b.Offered.Seconds())
		m.broadcast.Observe(b.Waited.Seconds())
	}
	e.Committed = func(_ string, _ int, took time.Duration) {
		m.durable.Observe(took.Seconds())
	}
	e.Refused = func(name string, peer uint64, kind protocol.Kind, why string) {
		m.messagesRefused.Inc()
		o.log.Debug("message refused", "room", name, "conn", peer, "kind", kind, "why", clip(why))
	}
	e.Lagging = func(name string, peer uint64) {
		m.lagging.add(session{name, peer})
		o.log.Debug("session lags", "room", name, "conn", peer)
	}
	e.CaughtUp = func(name string, peer uint64, bytes int) {
		m.lagging.remove(session{name, peer})
		m.resyncs.Inc()
		m.resyncBytes.Add(float64(bytes))
		o.log.Debug("session caught up", "room", name, "conn", peer, "bytes", bytes)
	}
	e.PendingKept = func(name string, peer uint64, bytes int) {
		m.pendingKept.Inc()
		o.log.Debug("update waits for what it builds on", "room", name, "conn", peer, "bytes", bytes)
	}
	e.PendingLost = func(name string, peer uint64, bytes int) {
		m.pendingLost.Inc()
		o.log.Warn("update given up that built on what nobody sent", "room", name, "conn", peer, "bytes", bytes)
	}
	e.Presence = func(_ string, b room.PresenceBatch) {
		m.presence.Add(float64(b.Updates))
		m.presenceFrames.Add(float64(b.Frames))
		m.presenceSent.Add(float64(b.Frames * b.Peers))
	}
	e.PresenceDrops = func(_ string, _ uint64, entries int) {
		m.presenceDrops.Add(float64(entries))
	}
}

func (o *observer) store() persistence.Events {
	m := o.m
	return persistence.Events{
		Committed: func(c persistence.Commit) {
			o.load.committed(c.Took)
			m.commit.Observe(c.Took.Seconds())
			m.commitRecords.Observe(float64(c.Records))
			m.commitBytes.Add(float64(c.Bytes))
		},
		Checkpointed: func(c persistence.Checkpoint) {
			m.checkpoint.Observe(c.Took.Seconds())
			m.checkpointSum.Add(float64(c.Bytes))
		},
		CheckpointDue: func(name string) {
			if rooms := o.rooms.Load(); rooms != nil { // before, it is asked again
				rooms.CheckpointDue(name)
			}
		},
		Truncated: func(floor uint64) {
			o.log.Debug("log shortened", "floor", floor)
		},
		Renewed: func(size int64) {
			m.renewals.Inc()
			o.log.Debug("log file replaced by one without free pages", "bytes", size)
		},
		Parked: func(p persistence.Parked) {
			m.parked.Add(float64(p.Bytes))
			o.log.Warn("updates of a room that cannot be saved were moved out of the log", "room", p.Room, "updates", p.Records, "bytes", p.Bytes, "took", p.Took)
		},
		Damaged: func(err *persistence.DamageError) {
			m.damages.Inc()
			o.log.Error("stored bytes are damaged", "room", err.Room, "file", err.File, "err", err)
		},
		Stalled: func(err error) {
			m.stalls.Inc()
			o.log.Error("nothing can be saved just now, so nothing is acknowledged", "err", err)
		},
		Resumed: func(after time.Duration) {
			o.log.Info("saving again", "after", after)
		},
		Fenced: func(err error) {
			m.fenced.Set(1)
			o.log.Error("the disk failed; nothing is saved or acknowledged until the server is started again", "err", err)
		},
		Scrubbed: func(s persistence.Scrub) {
			m.scrubs.Inc()
			o.log.Debug("scrubbed", "rooms", s.Rooms, "bytes", s.Bytes, "damaged", s.Damaged, "took", s.Took)
		},
	}
}

// maxKept is how many messages a process keeps in files for its operator.
const maxKept = 16

// keepMessage stores the message that a room choked on, for whoever repairs the mistake, and returns where. It holds
// content, so it goes into the data directory and not into the log.
func (o *observer) keepMessage(message []byte) string {
	n := o.panics.Add(1)
	if len(message) == 0 || n > maxKept {
		return ""
	}
	file := filepath.Join(o.panicDir, fmt.Sprintf("%s-%d.bin", time.Now().UTC().Format("20060102T150405"), n))
	err := os.MkdirAll(o.panicDir, 0o700)
	if err == nil {
		err = os.WriteFile(file, message, 0o600)
	}
	if err != nil {
		return err.Error()
	}
	return file
}
