package cluster

import (
	"context"
	"fmt"
	"strconv"
)

// Append implements Log. All appends travel in one pipeline, or one for each server of a Redis Cluster.
func (r *Redis) Append(ctx context.Context, appends []Append) ([]Answer, error) {
	calls := make([]call, len(appends))
	for i, a := range appends {
		args := make([]any, 0, 4+2*len(a.Entries))
		args = append(args, string(a.Node), a.Epoch, a.Prev, a.RunID)
		for _, e := range a.Entries {
			args = append(args, string(e.Kind), e.Data)
		}
		calls[i] = call{r.scripts.append, r.roomKeys(a.Room, "o", "l"), args}
	}
	got, err := r.scripts.run(ctx, r.log, calls)
	answers := make([]Answer, len(appends))
	for i, fields := range got {
		if fields == nil {
			continue
		}
		p := parser{fields: fields}
		answers[i] = p.answer()
		if bad := p.end("append"); bad != nil && err == nil {
			answers[i], err = Answer{}, roomError("append to", appends[i].Room, bad)
		}
	}
	if err != nil {
		err = fmt.Errorf("append to %d rooms: %w", len(appends), err)
	}
	return answers, err
}

// Read implements Log.
func (r *Redis) Read(ctx context.Context, room string, after position, limit int) ([]Entry, error) {
	from := "-"
	if after != (position{}) {
		from = "(" + after.String()
	}
	messages, err := r.bulk.XRangeN(ctx, r.roomKeys(room, "l")[0], from, "+", int64(limit)).Result()
	if err != nil {
		return nil, roomError("read the log of", room, err)
	}
	entries := make([]Entry, 0, len(messages))
	for _, m := range messages {
		pos, ok := parsePosition(m.ID)
		if !ok || len(m.Values) != 1 {
			return nil, roomError("read the log of", room, fmt.Errorf("entry %s is not one of ours", m.ID))
		}
		for kind, data := range m.Values {
			text, _ := data.(string) // go-redis gives nothing else
			entries = append(entries, Entry{Pos: pos, Kind: Kind(kind), Data: []byte(text)})
		}
	}
	return entries, nil
}

// Cover implements Log.
func (r *Redis) Cover(ctx context.Context, covers []Cover) error {
	calls := make([]call, len(covers))
	for i, c := range covers {
		calls[i] = call{r.scripts.cover, r.roomKeys(c.Room, "c"), []any{string(c.Node), c.Pos.Epoch, c.Pos.Seq}}
	}
	if _, err := r.scripts.run(ctx, r.log, calls); err != nil {
		return fmt.Errorf("cover %d rooms: %w", len(covers), err)
	}
	return nil
}

// Trim implements Log.
func (r *Redis) Trim(ctx context.Context, trims []Trim) ([]Trimmed, error) {
	calls := make([]call, len(trims))
	for i, t := range trims {
		calls[i] = call{
			r.scripts.trim, r.roomKeys(t.Room, "o", "l", "c"),
			[]any{string(t.Node), t.Epoch, strconv.Itoa(t.Copies)},
		}
	}
	got, err := r.scripts.run(ctx, r.log, calls)
	answers := make([]Trimmed, len(trims))
	for i, fields := range got {
		if fields == nil {
			continue
		}
		p := parser{fields: fields}
		answers[i].Answer = p.answer()
		if answers[i].Status == OK {
			answers[i].Trimmed = p.position()
		}
		if bad := p.end("trim"); bad != nil && err == nil {
			answers[i], err = Trimmed{}, roomError("trim", trims[i].Room, bad)
		}
	}
	if err != nil {
		err = fmt.Errorf("trim %d rooms: %w", len(trims), err)
	}
	return answers, err
}
