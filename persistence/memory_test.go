package persistence_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weft/persistence"
)

// TestMemoryFaults tells a Memory to fail: a full disk holds the records back until it ends, any other error fences for good.
func TestMemoryFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var resumed atomic.Int64
		m := persistence.NewMemory(persistence.Options{Events: persistence.Events{Resumed: func(d time.Duration) { resumed.Store(int64(d)) }}})
		defer m.Close()
		var full atomic.Bool
		full.Store(true)
		m.SetFaults(persistence.Faults{Commit: func(persistence.Commit) error {
			if full.Load() {
				return persistence.ErrDiskFull
			}
			return nil
		}})
		done := make(chan error, 2)
		if err := m.Append([]persistence.Record{record("a", 1)}, func(err error) { done <- err }); err != nil {
			t.Fatalf("Append = %v, want nil", err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(done) != 0 || !errors.Is(m.Health(), persistence.ErrDiskFull) {
			t.Fatalf("after a minute of full disk: %d answers, Health() = %v, want none and ErrDiskFull", len(done), m.Health())
		}
		if _, err := m.Load(t.Context(), "a"); !errors.Is(err, persistence.ErrNotFound) {
			t.Errorf("Load(a) = %v, want ErrNotFound", err)
		}
		full.Store(false)
		err := <-done
		synctest.Wait()
		if stalled := time.Duration(resumed.Load()); err != nil || m.Health() != nil || stalled < time.Minute {
			t.Errorf("with space again: done = %v, Health() = %v, stalled for %v", err, m.Health(), stalled)
		}

		cause := errors.New("fsync failed")
		m.SetFaults(persistence.Faults{Commit: func(persistence.Commit) error { return cause }})
		if err := m.Append([]persistence.Record{record("a", 2)}, func(err error) { done <- err }); err != nil {
			t.Fatalf("Append = %v, want nil", err)
		}
		if err := <-done; !errors.Is(err, persistence.ErrFenced) || !errors.Is(err, cause) {
			t.Errorf("done = %v, want ErrFenced with its cause", err)
		}
		m.SetFaults(persistence.Faults{})
		if err := m.Append([]persistence.Record{record("a", 3)}, nil); !errors.Is(err, persistence.ErrFenced) {
			t.Errorf("Append after the fence = %v, want ErrFenced", err)
		}
		if err := m.Save(t.Context(), "a", persistence.Snapshot{}); !errors.Is(err, persistence.ErrFenced) {
			t.Errorf("Save after the fence = %v, want ErrFenced", err)
		}
		if st, err := m.Load(t.Context(), "a"); err != nil || len(st.Tail) != 1 {
			t.Errorf("Load(a) = %d records, %v, want 1", len(st.Tail), err)
		}
	})
}

// TestMemoryDamage sets a room aside.
func TestMemoryDamage(t *testing.T) {
	m := persistence.NewMemory(persistence.Options{})
	defer m.Close()
	appendWait(t, m, record("a", 1))
	m.Damage("a")
	if _, err := m.Load(t.Context(), "a"); !isDamage(err) {
		t.Errorf("Load(a) = %v, want a DamageError", err)
	}
	if err := m.Save(t.Context(), "a", persistence.Snapshot{}); !isDamage(err) {
		t.Errorf("Save(a) = %v, want a DamageError", err)
	}
	if err := m.Append([]persistence.Record{record("a", 2)}, nil); !isDamage(err) {
		t.Errorf("Append(a) = %v, want a DamageError", err)
	}
	if err := m.Delete(t.Context(), "a"); err != nil || len(m.Quarantined()) != 0 {
		t.Errorf("Delete(a) = %v, Quarantined() = %v, want nil and none", err, m.Quarantined())
	}
}

func isDamage(err error) bool {
	_, ok := errors.AsType[*persistence.DamageError](err)
	return ok
}
