package main

import (
	"math"
	"net/http"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"weft/gateway"
	"weft/protocol"
)

// metrics are everything that /metrics shows: names weft_*, base units, and no label that a client can choose, so the
// number of series is bounded by the tables of this repository.
type metrics struct {
	registry *prometheus.Registry

	accepted         *prometheus.CounterVec
	handshake        prometheus.Histogram
	connDuration     prometheus.Histogram
	disconnects      map[protocol.Reason]prometheus.Counter
	disconnectsVec   *prometheus.CounterVec
	places           prometheus.Gauge
	entered          *prometheus.CounterVec
	enter            prometheus.Histogram
	barred           *prometheus.CounterVec
	authFailures     *prometheus.CounterVec
	adminActions     *prometheus.CounterVec
	refused          *prometheus.CounterVec
	messagesReceived prometheus.Counter
	bytesReceived    prometheus.Counter
	paused           *prometheus.CounterVec
	pausedTime       *prometheus.CounterVec
	messagesSent     prometheus.Counter
	bytesSent        prometheus.Counter
	writes           prometheus.Counter
	deflatedFrom     prometheus.Counter
	deflatedTo       prometheus.Counter
	panics           *prometheus.CounterVec

	roomsClosed      prometheus.Counter
	roomLoad         prometheus.Histogram
	roomLoadFailures prometheus.Counter
	roomSave         prometheus.Histogram
	roomSaveBytes    prometheus.Counter
	roomSaveFailures prometheus.Counter
	roomsReadOnly    members[string]
	updates          prometheus.Counter
	updateBytes      prometheus.Counter
	frames           prometheus.Counter
	deliveries       prometheus.Counter
	apply            prometheus.Histogram
	fanout           prometheus.Histogram
	broadcast        prometheus.Histogram
	durable          prometheus.Histogram
	messagesRefused  prometheus.Counter
	lagging          members[session]
	resyncs          prometheus.Counter
	resyncBytes      prometheus.Counter
	pendingKept      prometheus.Counter
	pendingLost      prometheus.Counter
	presence         prometheus.Counter
	presenceFrames   prometheus.Counter
	presenceSent     prometheus.Counter
	presenceDrops    prometheus.Counter

	commit        prometheus.Histogram
	commitRecords prometheus.Histogram
	commitBytes   prometheus.Counter
	checkpoint    prometheus.Histogram
	checkpointSum prometheus.Counter
	renewals      prometheus.Counter
	parked        prometheus.Counter
	damages       prometheus.Counter
	stalls        prometheus.Counter
	fenced        prometheus.Gauge
	scrubs        prometheus.Counter
}

// Buckets in seconds. Latencies of edits matter between 0.1 ms and some seconds; a connection lives up to days.
var (
	latencyBuckets  = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	lifetimeBuckets = []float64{1, 10, 60, 300, 1800, 3600, 4 * 3600, 24 * 3600, 7 * 24 * 3600}
	batchBuckets    = prometheus.ExponentialBuckets(1, 4, 9)
)

func newMetrics() *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	info := m.gaugeVec("build_info", "Always 1; the label says what was built.", "version")
	info.WithLabelValues(buildVersion()).Set(1)
	m.connectionMetrics()
	m.roomMetrics()
	m.storeMetrics()
	return m
}

func (m *metrics) connectionMetrics() {
	m.accepted = m.counterVec("connections_total", "WebSocket connections accepted.", "protocol")
	for _, p := range gateway.Protocols() {
		m.accepted.WithLabelValues(p)
	}
	m.handshake = m.histogram("handshake_seconds", "From a handshake's arrival to its answer.", latencyBuckets)
	m.connDuration = m.histogram("connection_duration_seconds", "How long connections lived.", lifetimeBuckets)
	m.disconnectsVec = m.counterVec("disconnects_total", "Connections that ended, by reason.", "reason", "code")
	m.disconnects = map[protocol.Reason]prometheus.Counter{}
	for _, r := range protocol.Reasons() {
		m.disconnects[r] = m.disconnectsVec.WithLabelValues(r.Name, strconv.Itoa(r.Code))
	}
	m.places = m.gauge("places", "Clients in rooms; one connection may have several.")
	m.entered = m.counterVec("entered_total", "Clients let into rooms, by protocol.", "protocol")
	m.enter = m.histogram("enter_seconds", "From a client's grant to its place in the room, loading a cold room included.", latencyBuckets)
	m.barred = m.counterVec("barred_total", "Clients not let into rooms, by reason.", "reason")
	m.authFailures = m.counterVec("auth_failures_total", "Questions that the webhook, or readings that the key set, did not answer.", "part")
	m.adminActions = m.counterVec("admin_actions_total", "What operators did to clients, by verb.", "verb")
	m.refused = m.counterVec("requests_refused_total", "HTTP requests and handshakes answered with an error, by its code.", "code", "status")
	m.messagesReceived = m.counter("messages_received_total", "Messages read from clients.")
	m.bytesReceived = m.counter("received_bytes_total", "Bytes of messages read from clients, without frame headers.")
	m.paused = m.counterVec("pauses_total", "Times that a connection was not read because it, its user or its address sent more than it may, for want of memory, or because its token was being looked at.", "by")
	m.pausedTime = m.counterVec("paused_seconds_total", "How long connections were not read in the pauses of weft_pauses_total.", "by")
	m.messagesSent = m.counter("messages_sent_total", "Messages written to clients.")
	m.bytesSent = m.counter("sent_bytes_total", "Bytes written to clients' sockets.")
	m.writes = m.counter("writes_total", "System calls that wrote to clients; messages_sent_total by this is how many one carries.")
	m.deflatedFrom = m.counter("compressed_from_bytes_total", "Bytes of payloads before they were compressed, once for however many connections.")
	m.deflatedTo = m.counter("compressed_to_bytes_total", "Bytes of compressed payloads, once for however many connections.")
	m.panics = m.counterVec("panics_recovered_total", "Panics that ended one connection, request or room. Any is a mistake of this program.", "where")
}

func (m *metrics) roomMetrics() {
	m.roomsClosed = m.counter("rooms_closed_total", "Rooms that were taken out of memory, after nobody had been in them for a while or by an error.")
	m.roomLoad = m.histogram("room_load_seconds", "Loading a room.", latencyBuckets)
	m.roomLoadFailures = m.counter("room_load_failures_total", "Rooms that could not be loaded.")
	m.roomSave = m.histogram("room_save_seconds", "Saving a room's snapshot.", latencyBuckets)
	m.roomSaveBytes = m.counter("room_save_bytes_total", "Bytes of snapshots saved.")
	m.roomSaveFailures = m.counter("room_save_failures_total", "Snapshots that could not be saved; they are tried again.")
	m.roomsReadOnly.gauge = m.gauge("rooms_read_only", "Rooms that refuse updates because the store does not take them.")
	m.updates = m.counter("updates_total", "Updates that brought something new.")
	m.updateBytes = m.counter("update_bytes_total", "Bytes of updates that brought something new.")
	m.frames = m.counter("broadcast_frames_total", "Frames made to broadcast updates; fewer than updates when they were merged.")
	m.deliveries = m.counter("broadcast_deliveries_total", "Frames of updates times the sessions that they were offered to.")
	m.apply = m.histogram("update_apply_seconds", "Checking and integrating the updates of one broadcast, on the room's goroutine.", latencyBuckets)
	m.fanout = m.histogram("update_fanout_seconds", "Merging, encoding and offering one broadcast to all sessions, on the room's goroutine.", latencyBuckets)
	m.broadcast = m.histogram("update_broadcast_seconds", "From an update's arrival in the room to the end of its broadcast.", latencyBuckets)
	m.durable = m.histogram("update_durable_seconds", "From an update's arrival in the room to the store's word that it is durable, which is when its author is told.", latencyBuckets)
	m.messagesRefused = m.counter("messages_refused_total", "Messages that a room did not act on.")
	m.lagging.gauge = m.gauge("sessions_lagging", "Sessions whose outbox is over its bound; they get one diff when it has drained.")
	m.resyncs = m.counter("resyncs_total", "Sessions that lagged and caught up with a diff.")
	m.resyncBytes = m.counter("resync_bytes_total", "Bytes of the diffs with which sessions that lagged caught up.")
	m.pendingKept = m.counter("updates_pending_total", "Updates that wait for what they build on.")
	m.pendingLost = m.counter("updates_pending_lost_total", "Waiting updates that were given up.")
	m.presence = m.counter("presence_updates_total", "Presence messages taken from clients.")
	m.presenceFrames = m.counter("presence_frames_total", "Frames made to send presence on; fewer than updates, since what comes close together leaves together.")
	m.presenceSent = m.counter("presence_deliveries_total", "Frames of presence times the sessions that they were offered to.")
	m.presenceDrops = m.counter("presence_drops_total", "Presence entries about foreign ids or over a limit.")
}

func (m *metrics) storeMetrics() {
	m.commit = m.histogram("commit_seconds", "Group commits, fsync included.", latencyBuckets)
	m.commitRecords = m.histogram("commit_records", "Updates in a group commit.", batchBuckets)
	m.commitBytes = m.counter("commit_bytes_total", "Bytes committed to the log.")
	m.checkpoint = m.histogram("checkpoint_seconds", "Writing one room's snapshot.", latencyBuckets)
	m.checkpointSum = m.counter("checkpoint_bytes_total", "Bytes of snapshots written.")
	m.parked = m.counter("log_parked_bytes_total", "Bytes of updates moved out of the log because their rooms could not be saved.")
	m.renewals = m.counter("log_renewals_total", "Times that the log file was replaced by one without free pages.")
	m.damages = m.counter("damages_total", "Damages found in stored bytes. Any needs an operator.")
	m.stalls = m.counter("store_stalls_total", "Times that the disk was full.")
	m.fenced = m.gauge("store_fenced", "1 after a disk error that ended all writing.")
	m.scrubs = m.counter("scrubs_total", "Background passes over everything stored.")
}

// limits shows the configured limits that have their use beside them. Where there is no bound it is +Inf, so that use by
// limit is 0.
func (m *metrics) limits(f *limitFlags) {
	for _, l := range []struct {
		name, use string
		value     int
		unbounded bool // 0 stands for any number
	}{
		{"connections_limit", "weft_connections", f.MaxConnections, false},
		{"connections_address_limit", "weft_connections_address_max", f.MaxConnectionsPerAddress, false},
		{"connections_user_limit", "weft_connections_user_max", f.MaxConnectionsPerUser, true},
		{"room_clients_limit", "weft_room_clients_max", f.MaxClientsPerRoom, true},
		{"message_memory_limit_bytes", "weft_message_memory_bytes", f.MaxMessageMemory, true},
	} {
		v := float64(l.value)
		if l.unbounded && l.value == 0 {
			v = math.Inf(1)
		}
		m.gauge(l.name, "The limit of "+l.use+".").Set(v)
	}
}

// disconnect returns the counter of a reason.
func (m *metrics) disconnect(r protocol.Reason) prometheus.Counter {
	if c, ok := m.disconnects[r]; ok {
		return c
	}
	return m.disconnectsVec.WithLabelValues(r.Name, strconv.Itoa(r.Code))
}

// handler serves the metrics in Prometheus' formats.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

func (m *metrics) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "weft", Name: name, Help: help})
	m.registry.MustRegister(g)
	return g
}

func (m *metrics) gaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "weft", Name: name, Help: help}, labels)
	m.registry.MustRegister(g)
	return g
}

func (m *metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "weft", Name: name, Help: help})
	m.registry.MustRegister(c)
	return c
}

func (m *metrics) counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "weft", Name: name, Help: help}, labels)
	m.registry.MustRegister(c)
	return c
}

func (m *metrics) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "weft", Name: name, Help: help, Buckets: buckets})
	m.registry.MustRegister(h)
	return h
}

// members is a gauge of those who are in a state; they leave it by recovering or by ending, whichever is told.
type members[K comparable] struct {
	gauge prometheus.Gauge

	// Guarded by mu.
	mu  sync.Mutex
	set map[K]struct{}
}

// session names a session among all rooms.
type session struct {
	room string
	peer uint64
}

func (m *members[K]) add(k K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.set == nil {
		m.set = map[K]struct{}{}
	}
	m.set[k] = struct{}{}
	m.gauge.Set(float64(len(m.set)))
}

func (m *members[K]) remove(k K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.set, k)
	m.gauge.Set(float64(len(m.set)))
}
