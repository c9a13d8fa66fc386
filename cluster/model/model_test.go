package model_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"weft/cluster/model"
)

var full = flag.Bool("full", false, "search the large configurations too, and print the counter-examples")

// TestProtocol visits every state of the protocol: none may violate anything, and the search must have been where it hurts.
func TestProtocol(t *testing.T) {
	small := []model.Config{
		{Policy: model.Both, Nodes: 2, Updates: 2, Claims: 3, Faults: 1},
		{Policy: model.Both, Nodes: 3, Updates: 1, Claims: 2, Faults: 1},
		{Policy: model.Two, Nodes: 3, Updates: 1, Claims: 2, Faults: 1},
		{Policy: model.Both, Nodes: 3, Updates: 1, Claims: 3, Faults: 1},
	}
	large := []model.Config{
		{Policy: model.Both, Nodes: 3, Updates: 1, Claims: 4, Faults: 1},
		{Policy: model.Two, Nodes: 3, Updates: 1, Claims: 4, Faults: 1},
		{Policy: model.Both, Nodes: 3, Updates: 2, Claims: 3, Faults: 1},
		{Policy: model.Two, Nodes: 3, Updates: 2, Claims: 3, Faults: 1},
	}
	configs := small
	if *full {
		configs = append(configs, large...)
	}
	for _, c := range configs {
		t.Run(name(c), func(t *testing.T) {
			r := search(t, c)
			if r.Violation != "" || !r.Complete {
				t.Errorf("Check(%v) = %s after %d states, want none\n%s", c, r.Violation, r.States, strings.Join(r.Trace, "\n"))
			}
			if r.Reached.OtherOwner == 0 || r.Reached.Moved == 0 || r.Reached.Returned == 0 || r.Reached.Trimmed == 0 {
				t.Errorf("Check(%v) reached %+v, want some of each", c, r.Reached)
			}
		})
	}
}

// TestRules leaves out one rule of the protocol at a time. Each is needed: there is a way to lose or hide an edit without
// it, which also shows that the checker would find a protocol that lacks it.
func TestRules(t *testing.T) {
	one := model.Config{Nodes: 2, Updates: 1, Claims: 2, Faults: 1}
	third := model.Config{Nodes: 3, Updates: 1, Claims: 2, Faults: 1}
	chain := model.Config{Nodes: 3, Updates: 1, Claims: 3, Faults: 1}
	healthy := model.Config{Nodes: 2, Updates: 1, Claims: 2}
	cases := []struct {
		rule   model.Rule
		policy model.Policy
		config model.Config
		want   string
	}{
		{model.NoFence, model.Both, healthy, "STALE"},
		{model.MoveBeforeTail, model.Both, healthy, "HIDDEN"},
		{model.MoveOpenIntake, model.Both, healthy, "HIDDEN"},
		{model.AckMemory, model.Both, healthy, "LOST"},
		{model.AckRedis, model.Both, one, "LOST"},
		{model.AckDisk, model.Both, one, "LOST"},
		{model.NoRecord, model.Both, one, "HIDDEN"},
		{model.ReadBeforeClaim, model.Both, one, "HIDDEN"},
		{model.NoSeal, model.Both, one, "HIDDEN"},
		{model.NoSeal | model.Parallel, model.Both, one, "HIDDEN"},
		{model.NoPeerReads, model.Both, one, "HIDDEN"},
		{model.SealNoOneMore, model.Both, one, "HIDDEN"},
		{model.TrimEarly, model.Both, one, "LOST"},
		{model.NoReappend, model.Both, one, "LOST"},
		{model.NoReconcile, model.Both, one, "NOT REPAIRED"},
		{model.GoToAnybody, model.Both, one, "HIDDEN"},
		{model.StandbyNoPromise, model.Two, one, "HIDDEN"},
		{model.SealOwnerOnly, model.Both, third, "HIDDEN"},
		{model.SealOwnerOnly, model.Two, one, "HIDDEN"},
		{model.ServeUncovered, model.Both, third, "HIDDEN"},
		{model.NoQuorum, model.Two, third, "HIDDEN"},
		{model.NoSeal, model.Two, third, "HIDDEN"},
		{model.ServeBeforeAppend, model.Two, third, "HIDDEN"},
		{model.RestartForgotten, model.Both, chain, "HIDDEN"},
		{model.NoRunCheck, model.Both, chain, "HIDDEN"},
	}
	for _, c := range cases {
		c.config.Policy, c.config.Without = c.policy, c.rule
		t.Run(c.policy.String()+"/"+c.rule.String(), func(t *testing.T) {
			r := search(t, c.config)
			if r.Violation != c.want {
				t.Errorf("Check(%v) = %q after %d states, want %q", c.config, r.Violation, r.States, c.want)
			}
			if *full {
				t.Logf("%s:\n%s", r.Violation, strings.Join(r.Trace, "\n"))
			}
		})
	}
}

// TestSecondLine leaves out rules that others make up for: appending in parallel to fsync is safe as long as every
// takeover seals, and believing that an outage lost nothing is found out by the next append.
func TestSecondLine(t *testing.T) {
	c := model.Config{Nodes: 2, Updates: 2, Claims: 2, Faults: 1, Without: model.Parallel}
	if r := search(t, c); r.Violation != "" {
		t.Errorf("Check(%v) = %s, want none", c, r.Violation)
	}
	c = model.Config{Nodes: 2, Updates: 1, Claims: 2, Faults: 1, Only: []model.Kind{model.Outage}, Without: model.ReturnBlindly}
	if r := search(t, c); r.Violation != "" {
		t.Errorf("Check(%v) = %s, want none", c, r.Violation)
	}
	c.Without |= model.NoReconcile
	if r := search(t, c); r.Violation != "NOT REPAIRED" {
		t.Errorf("Check(%v) = %q, want NOT REPAIRED", c, r.Violation)
	}
}

// TestEveryFault runs each kind of fault alone, so that a kind that never happens would be noticed by its count of states.
func TestEveryFault(t *testing.T) {
	c := model.Config{Nodes: 2, Updates: 1, Claims: 2}
	without := search(t, c).States
	for k := model.Kill; k <= model.Cut; k++ {
		c.Faults, c.Only = 1, []model.Kind{k}
		if r := search(t, c); r.Violation != "" || r.States <= without {
			t.Errorf("Check(%v, only %v) = %q after %d states, want none after more than %d", c, k, r.Violation, r.States, without)
		}
	}
}

// TestTwoFaults documents the limit of what is promised: a destroyed owner and a Redis that forgets, together.
func TestTwoFaults(t *testing.T) {
	c := model.Config{Nodes: 2, Updates: 1, Claims: 2, Faults: 2, Only: []model.Kind{model.Destroy, model.TailLoss}}
	if r := search(t, c); r.Violation != "LOST" {
		t.Errorf("Check(%v) = %q, want LOST", c, r.Violation)
	}
}

func search(t *testing.T, c model.Config) model.Result {
	t.Helper()
	start := time.Now()
	r := model.Check(c)
	found := "0 violations"
	if r.Violation != "" {
		found = fmt.Sprintf("%s in %d steps", r.Violation, r.Depth)
	}
	t.Logf("%v: %d states, depth %d, %s, %v", c, r.States, r.Depth, found, time.Since(start).Round(time.Millisecond))
	return r
}

func name(c model.Config) string {
	return fmt.Sprintf("%v/%d-nodes/%d-updates/%d-claims", c.Policy, c.Nodes, c.Updates, c.Claims)
}
