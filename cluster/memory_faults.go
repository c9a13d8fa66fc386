package cluster

import (
	"context"
	"fmt"
	"time"
)

// Sync makes everything there is survive LoseTail.
func (m *Memory) Sync() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.synced = m.now.clone()
}

// LoseTail restarts with what the last Sync has kept.
func (m *Memory) LoseTail() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.synced.clone()
	m.run++
}

// Restart restarts and loses nothing.
func (m *Memory) Restart() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.run++
}

// Wipe forgets everything, as FLUSHALL does: without a restart.
func (m *Memory) Wipe() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now, m.synced = emptyContents(), emptyContents()
}

// Hang makes calls wait from here on, until Resume or the end of their context.
func (m *Memory) Hang() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hang == nil {
		m.hang = make(chan struct{})
	}
}

// Resume ends Hang; calls that still wait go on.
func (m *Memory) Resume() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hang != nil {
		close(m.hang)
		m.hang = nil
	}
}

// LoseReplies makes the next n calls do their work and fail.
func (m *Memory) LoseReplies(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lose = n
}

// JumpClock moves the clock.
func (m *Memory) JumpClock(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.skew += d
}

// do runs a call as soon as the Memory does not hang.
func (m *Memory) do(ctx context.Context, run func()) error {
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("memory: %w", err)
		}
		m.mu.Lock()
		hang := m.hang
		if hang == nil {
			break
		}
		m.mu.Unlock()
		select {
		case <-hang:
		case <-ctx.Done():
		}
	}
	defer m.mu.Unlock()
	run()
	if m.lose > 0 {
		m.lose--
		return fmt.Errorf("memory: %w", errReplyLost)
	}
	return nil
}

type replyLost struct{}

var errReplyLost error = replyLost{}

func (replyLost) Error() string   { return "reply lost" }
func (replyLost) Timeout() bool   { return true }
func (replyLost) Temporary() bool { return true }
