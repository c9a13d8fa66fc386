package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s\t%s\n", r.Protocol, r.URL)
	for i := range r.Results {
		s := &r.Results[i]
		verdict := "every client ended with every update"
		if s.Faults.Any() {
			verdict = "FAULTS: " + s.Faults.String()
		}
		fmt.Fprintf(t, "\n%s\t%s\n", s.Scenario, verdict)
		for _, l := range s.lines() {
			fmt.Fprintf(t, "  %s\t%s\n", l[0], l[1])
		}
	}
	return t.Flush()
}

// lines are the names and values of what the scenario found.
func (s *Result) lines() [][2]string {
	switch {
	case s.Ladder != nil:
		return s.Ladder.lines()
	case s.Idle != nil:
		i := s.Idle
		return [][2]string{
			{"connections", fmt.Sprintf("%d, %d in a room, opened in %.1f s", i.Connections, i.PerRoom, i.Seconds)},
			{"memory", fmt.Sprintf("%.1f kB each (%.1f -> %.1f MB)", i.EachKB, mb(i.Before), mb(i.After))},
			{"server cpu", fmt.Sprintf("%.2f cores", i.CPU)},
		}
	case s.Storm != nil:
		o := s.Storm
		return [][2]string{
			{"connections", fmt.Sprintf("%d at once, %d in a room", o.Connections, o.PerRoom)},
			{"all synced", fmt.Sprintf("after %.2f s, %.0f a second, %d retries; %v", o.Seconds, o.PerSecond, o.Retries, o.Synced)},
			{"server", fmt.Sprintf("%.0f us each, %.2f cores, peak %.0f MB", o.CPUEachUS, o.ServerCPU, mb(o.Peak))},
		}
	case s.Reconnect != nil:
		return s.Reconnect.lines()
	case s.Join != nil:
		j := s.Join
		return [][2]string{
			{"document", fmt.Sprintf("%d bytes; %d received for each join", j.Document, j.BytesEach)},
			{"joins", fmt.Sprintf("%d one by one: %v", j.Joins, j.Synced)},
			{"server cpu", fmt.Sprintf("%.2f ms each", j.CPUEachMS)},
			{"at once", fmt.Sprintf("%d in %.2f s", j.AtOnce, j.AtOnceSecs)},
		}
	case s.Awareness != nil:
		a := s.Awareness
		return [][2]string{
			{"cursors", fmt.Sprintf("%d in one room, %g states a second each", a.Clients, a.Rate)},
			{"latency", a.Latency.String()},
			{"received", fmt.Sprintf("%.0f messages a second", a.Messages)},
			{"server", fmt.Sprintf("%.1f %% of a core, %.0f MB", a.ServerCPU*100, mb(a.RSS))},
		}
	case s.Slow != nil:
		return s.Slow.lines()
	}
	return nil
}

func (l *Ladder) lines() [][2]string {
	limit := ""
	if l.GeneratorLimited {
		limit = "; then the generator had no more CPU, the server may be better"
	}
	lines := [][2]string{
		{"load", fmt.Sprintf("%d clients in %d rooms, %d writers, %d bytes an update", l.Clients, l.Rooms, l.Writers, l.Record)},
		{"best", fmt.Sprintf("%.0f updates/s with p99 <= %.0f ms%s", l.Best, l.LimitMS, limit)},
	}
	for _, s := range l.Steps {
		lines = append(lines, [2]string{fmt.Sprintf("%.0f/s", s.Rate), s.String()})
	}
	return lines
}

func (o *Reconnect) lines() [][2]string {
	lines := [][2]string{{"connections", fmt.Sprintf("%d; %d asked for what they did not have, the others for everything", o.Connections, o.Again)}}
	for _, c := range o.Rooms {
		lines = append(lines, [2]string{"rooms", fmt.Sprintf("%d with %d clients and %d bytes each", c.Rooms, c.Clients, c.Document)})
	}
	down := fmt.Sprintf("everybody was cut off; the first was back after %.2f s", o.Down)
	if o.Killed {
		down = fmt.Sprintf("the server was killed, and accepted connections again after %.2f s", o.Down)
	}
	return append(lines,
		[2]string{"down", down},
		[2]string{"all synced", fmt.Sprintf("%.2f s later; %v", o.Seconds, o.Synced)},
		[2]string{"on the way", fmt.Sprintf("%d retries, %d of them told to come later", o.Retries, o.Refused)},
		[2]string{"cpu", fmt.Sprintf("server %.2f, generator %.2f cores", o.ServerCPU, o.OwnCPU)},
	)
}

func (s *Slow) lines() [][2]string {
	phase := func(p SlowPhase) string {
		return fmt.Sprintf("%v; server %.2f cores, %.0f MB (peak %.0f)", p.Latency, p.ServerCPU, mb(p.RSS), mb(p.Peak))
	}
	return [][2]string{
		{"load", fmt.Sprintf("%d clients, %d of them stop reading; %.0f updates/s of %d bytes; %.0f MB at the start", s.Clients, s.Stopped, s.Rate, s.Record, mb(s.Start))},
		{"all read", phase(s.Before)},
		{"some stop", phase(s.During)},
		{"unread", fmt.Sprintf("%.1f MB each", s.UnreadMBEach)},
		{"afterwards", fmt.Sprintf("%d caught up within %.1f s, %d were cut off", s.CaughtUp, s.CatchUpSecs, s.CutOff)},
	}
}

// String is one line for people.
func (l Latency) String() string {
	return fmt.Sprintf("p50 %.2f, p90 %.2f, p99 %.2f, max %.0f ms", l.P50, l.P90, l.P99, l.Max)
}
