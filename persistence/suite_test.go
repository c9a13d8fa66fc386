package persistence_test

import (
	"context"
	"testing"

	"weft/persistence"
	"weft/persistence/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		Open: func(t testing.TB, o persistence.Options) storetest.Store {
			m := persistence.NewMemory(o)
			t.Cleanup(func() { m.Close() })
			return m
		},
		Crash: func(t testing.TB, s storetest.Store) storetest.Store {
			m := s.(*persistence.Memory).Crash()
			t.Cleanup(func() { m.Close() })
			return m
		},
	})
}

func TestStore(t *testing.T) {
	open := func(t testing.TB, dir string, o persistence.Options) storetest.Store {
		t.Helper()
		o.ReserveBytes, o.ScrubEvery = -1, -1
		o.Events.Damaged = func(d *persistence.DamageError) { t.Errorf("Damaged(%v), want none", d) }
		s, err := persistence.Open(dir, o)
		if err != nil {
			t.Fatalf("Open(%s) = %v, want nil", dir, err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Errorf("Close() = %v, want nil", err)
			}
		})
		noSalvage(t, dir)
		return s
	}
	storetest.Run(t, storetest.Harness{
		Open: func(t testing.TB, o persistence.Options) storetest.Store { return open(t, fastDir(t), o) },
		Crash: func(t testing.TB, s storetest.Store) storetest.Store {
			dir := fastDir(t)
			if err := s.(*persistence.Store).CopyTo(t.Context(), dir); err != nil {
				t.Fatalf("CopyTo(%s) = %v, want nil", dir, err)
			}
			s.Close()
			return open(t, dir, persistence.Options{})
		},
		Park: func(ctx context.Context, s storetest.Store, room string) error {
			return s.(*persistence.Store).Park(ctx, room)
		},
	})
}
