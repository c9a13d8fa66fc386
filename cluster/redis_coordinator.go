package cluster

import (
	"context"
	"fmt"
	"strings"
)

// Beat implements Coordinator.
func (r *Redis) Beat(ctx context.Context, b Beat) (View, error) {
	got, err := r.scripts.one(ctx, r.control, call{
		r.scripts.beat, r.sessionKeys(),
		[]any{string(b.Node), b.TTL.Milliseconds(), b.Info, b.Generation},
	})
	if err != nil {
		return View{}, fmt.Errorf("beat: %w", err)
	}
	p := parser{fields: got}
	v := View{Now: p.time(), Generation: p.text(), RunID: p.text(), Before: p.time(), BeforeInfo: p.text()}
	for p.more() {
		v.Members = append(v.Members, Member{Node: NodeID(p.text()), Expires: p.time(), Info: p.text()})
	}
	sortMembers(v.Members)
	return v, p.end("beat")
}

// Look implements Coordinator.
func (r *Redis) Look(ctx context.Context, room string) (Record, error) {
	got, err := r.control.HMGet(ctx, r.roomKeys(room, "o")[0], "e", "n", "s", "t", "b", "p", "ve", "vn", "vb", "vr").Result()
	if err != nil {
		return Record{}, roomError("look at", room, err)
	}
	p := parser{fields: make([]string, len(got))}
	for i, field := range got {
		p.fields[i], _ = field.(string) // nil where there is none
	}
	record := Record{
		Epoch: p.number(), Owner: NodeID(p.text()), Seq: p.number(), Trimmed: p.position(), Standbys: p.nodes(), Policy: p.text(),
		Served: Served{Epoch: p.number(), Node: NodeID(p.text()), Standbys: p.nodes(), RunID: p.text()},
	}
	return record, roomError("look at", room, p.end("record"))
}

// Claim implements Coordinator.
func (r *Redis) Claim(ctx context.Context, c Claim) (Claimed, error) {
	got, err := r.scripts.one(ctx, r.control, call{
		r.scripts.claim, r.roomKeys(c.Room, "o", "l", "c"),
		[]any{string(c.Node), c.Expect, c.EpochFloor, c.SeqFloor, joinNodes(c.Standbys), c.Policy},
	})
	if err != nil {
		return Claimed{}, roomError("claim", c.Room, err)
	}
	p := parser{fields: got}
	claimed := Claimed{Answer: p.answer()}
	if claimed.Status == OK {
		claimed.Trimmed, claimed.RunID = p.position(), p.text()
		claimed.Served = Served{Epoch: p.number(), Node: NodeID(p.text()), Standbys: p.nodes(), RunID: p.text()}
		for p.more() {
			if claimed.Coverage == nil {
				claimed.Coverage = map[NodeID]position{}
			}
			claimed.Coverage[NodeID(p.text())] = p.position()
		}
	}
	return claimed, roomError("claim", c.Room, p.end("claim"))
}

// Transfer implements Coordinator.
func (r *Redis) Transfer(ctx context.Context, t Transfer) (Transferred, error) {
	got, err := r.scripts.one(ctx, r.log, call{
		r.scripts.transfer, r.roomKeys(t.Room, "o", "l"),
		[]any{string(t.Node), t.Epoch, t.Prev, string(t.Target), t.EpochFloor, joinNodes(t.Standbys), t.Policy},
	})
	if err != nil {
		return Transferred{}, roomError("transfer", t.Room, err)
	}
	p := parser{fields: got}
	answer := Transferred{Answer: p.answer()}
	if answer.Status == OK {
		answer.RunID = p.text()
	}
	return answer, roomError("transfer", t.Room, p.end("transfer"))
}

// Release implements Coordinator.
func (r *Redis) Release(ctx context.Context, c Release) (Answer, error) {
	got, err := r.scripts.one(ctx, r.control, call{
		r.scripts.release, r.roomKeys(c.Room, "o", "l"), []any{string(c.Node), c.Epoch, c.Prev},
	})
	if err != nil {
		return Answer{}, roomError("release", c.Room, err)
	}
	p := parser{fields: got}
	return p.answer(), roomError("release", c.Room, p.end("release"))
}

func joinNodes(nodes []NodeID) string {
	texts := make([]string, len(nodes))
	for i, n := range nodes {
		texts[i] = string(n)
	}
	return strings.Join(texts, " ")
}
