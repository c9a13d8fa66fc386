package persistence_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"weft/persistence"
	"weft/persistence/storetest"
)

// plantedEnv names the bug when the test binary runs the suite on a store that has one.
const plantedEnv = "WEFT_PERSISTENCE_PLANTED"

// planted is a Memory with a bug.
type planted struct {
	*persistence.Memory
	bug string
	n   *atomic.Int64
}

func (p planted) Append(recs []persistence.Record, done func(error)) error {
	n := p.n.Add(1)
	switch {
	case p.bug == "ack-before-commit" && done != nil:
		err := p.Memory.Append(recs, nil)
		if err == nil {
			go done(nil) // not at once: a test may hold it
		}
		return err
	case p.bug == "drop-one-update" && n%11 == 0:
		recs = recs[:len(recs)-1]
	case p.bug == "store-half" && n%7 == 0:
		recs = append([]persistence.Record(nil), recs...)
		last := &recs[len(recs)-1]
		last.Update = last.Update[:len(last.Update)/2]
	case p.bug == "swap-two-updates" && len(recs) > 1:
		recs = append([]persistence.Record(nil), recs...)
		recs[0].Update, recs[1].Update = recs[1].Update, recs[0].Update
	}
	return p.Memory.Append(recs, done)
}

func (p planted) Save(ctx context.Context, room string, snap persistence.Snapshot) error {
	switch p.bug {
	case "save-covers-too-much":
		snap.Pos.Seq++
	case "lose-state-vector":
		snap.StateVector = nil
	case "save-nothing":
		return nil
	}
	return p.Memory.Save(ctx, room, snap)
}

func (p planted) Delete(ctx context.Context, room string) error {
	err := p.Memory.Delete(ctx, room)
	if err == nil && p.bug == "delete-nothing" {
		return p.Memory.Append([]persistence.Record{{Room: room, Pos: persistence.Position{Epoch: 1, Seq: 1}}}, nil)
	}
	return err
}

// TestPlanted runs the suite on a store with the bug that the environment names. TestSuiteFindsBugs calls it.
func TestPlanted(t *testing.T) {
	bug := os.Getenv(plantedEnv)
	if bug == "" {
		t.Skip("only run by TestSuiteFindsBugs")
	}
	wrap := func(t testing.TB, m *persistence.Memory) storetest.Store {
		t.Cleanup(func() { m.Close() })
		return planted{m, bug, new(atomic.Int64)}
	}
	storetest.Run(t, storetest.Harness{
		Open:  func(t testing.TB, o persistence.Options) storetest.Store { return wrap(t, persistence.NewMemory(o)) },
		Crash: func(t testing.TB, s storetest.Store) storetest.Store { return wrap(t, s.(planted).Crash()) },
	})
}

// TestSuiteFindsBugs runs the suite on stores with a planted bug each: it must pass without one and fail on every one.
func TestSuiteFindsBugs(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, bug := range []string{
		"none", "ack-before-commit", "drop-one-update", "store-half", "swap-two-updates", "save-covers-too-much", "lose-state-vector", "save-nothing", "delete-nothing",
	} {
		cmd := exec.Command(exe, "-test.run=^TestPlanted$", "-test.timeout=60s", "-rapid.checks=20", "-rapid.nofailfile")
		cmd.Env = append(os.Environ(), plantedEnv+"="+bug)
		out, err := cmd.CombinedOutput()
		if failed := err != nil && strings.Contains(string(out), "--- FAIL"); failed == (bug == "none") {
			t.Errorf("suite on a store with bug %s: %v\n%s", bug, err, out)
		}
	}
}
