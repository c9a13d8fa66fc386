package gateway

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestBudget has many messages grow side by side to more than there is: all get what they need, one after another.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, largest, messages = 1000, 640, 200
		b := &budget{size: size}
		most := int64(0)
		var wg sync.WaitGroup
		for i := range messages {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(1, uint64(i)))
				var c claim
				for held := int64(0); held < largest; held += 64 {
					if _, err := b.take(t.Context(), &c, 64); err != nil {
						t.Errorf("take = %v, want nil", err)
					}
					b.mu.Lock()
					most = max(most, b.used)
					b.mu.Unlock()
					time.Sleep(time.Duration(rng.IntN(1000)) * time.Microsecond)
				}
				b.give(&c)
			})
		}
		wg.Wait()
		if most > size+largest || most < size {
			t.Errorf("at most %d bytes were taken, want %d to %d", most, size, size+largest)
		}
		if b.used != 0 || b.over != nil || len(b.waiting) != 0 {
			t.Errorf("afterwards %d bytes are taken, %d wait, want none", b.used, len(b.waiting))
		}
	})
}

// TestBudgetWaiterGivesUp checks that one who goes away stands in nobody's way.
func TestBudgetWaiterGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &budget{size: 10}
		var full, over, gone, small claim
		for _, step := range []struct {
			c *claim
			n int64
		}{{&full, 6}, {&over, 7}} {
			if waited, err := b.take(t.Context(), step.c, step.n); waited || err != nil {
				t.Fatalf("take(%d) = %v, %v, want it at once", step.n, waited, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := b.take(ctx, &gone, 20); err != context.Canceled {
				t.Errorf("take of one that goes away = %v, want %v", err, context.Canceled)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if waited, err := b.take(t.Context(), &small, 1); !waited || err != nil {
				t.Errorf("take(1) = %v, %v, want it after a wait", waited, err)
			}
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		if small.held != 0 {
			t.Errorf("%d bytes over the bound are given to a second one, want none", small.held)
		}
		b.give(&full)
		wg.Wait()
		b.give(&over)
		b.give(&small)
		b.give(&gone)
		if b.used != 0 {
			t.Errorf("afterwards %d bytes are taken, want none", b.used)
		}
	})
}
