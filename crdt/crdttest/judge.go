package crdttest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"
)

// Judge is a process of real Yjs that answers questions about updates for as long as its test runs. One goroutine
// at a time may ask. Yjs trusts its peers, so a hostile update can hang it: then the process is killed, the answer
// is ErrHung, and the next question starts another one.
type Judge struct {
	// Limit is the time for one question; 0: 10 seconds.
	Limit time.Duration

	// Static after construction, but for t, which For changes.
	t        testing.TB
	bin, dir string

	// Owned by the asking goroutine; nil while no process runs.
	running *judgeProcess
}

type judgeProcess struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *bufio.Reader
}

// Question is one call of Yjs on updates of one encoding.
type Question struct {
	Updates [][]byte
	Version int  // 1 or 2, the encoding of Updates
	KeepGC  bool // true: the doc has gc off
	Typed   bool // true: the doc declares the four roots before it applies
	View    bool // true: Verdict.View is filled
}

// Verdict is the doc that applied the updates of a Question in order.
type Verdict struct {
	V1, V2, SV []byte
	Pending    bool // something waits for what is missing
	View       View
}

var (
	// ErrRefused is the error of a Judge when Yjs threw; its text has Yjs' own words.
	ErrRefused = errors.New("refused by yjs")
	// ErrHung is the error of a Judge when Yjs gave no answer within the limit, or its process died.
	ErrHung = errors.New("no answer from yjs")
)

// NewJudge returns a Judge that ends with the test. Node or its packages missing ends the test by the rule of
// [Require].
func NewJudge(t testing.TB) *Judge {
	t.Helper()
	bin, dir := node(t)
	j := &Judge{t: t, bin: bin, dir: dir}
	t.Cleanup(j.stop)
	return j
}

// For returns the judge with the test that asks from now on, which a fuzz target has to name for each call.
func (j *Judge) For(t testing.TB) *Judge {
	j.t = t
	return j
}

// Apply returns the doc that applied the updates of q one after the other. Errors: ErrRefused, ErrHung.
func (j *Judge) Apply(q Question) (Verdict, error) {
	j.t.Helper()
	var v Verdict
	err := j.ask(map[string]any{
		"op": "apply", "updates": q.Updates, "version": q.Version, "gc": !q.KeepGC, "typed": q.Typed, "view": q.View,
	}, &v)
	return v, err
}

// Merge returns mergeUpdates of the updates. Errors: ErrRefused, ErrHung.
func (j *Judge) Merge(version int, updates ...[]byte) ([]byte, error) {
	j.t.Helper()
	return j.update("merge", version, updates...)
}

// Diff returns diffUpdate of the update from the encoded state vector. Errors: ErrRefused, ErrHung.
func (j *Judge) Diff(version int, update, stateVector []byte) ([]byte, error) {
	j.t.Helper()
	return j.update("diff", version, update, stateVector)
}

// Convert returns the update in the other encoding than version, which it has. Errors: ErrRefused, ErrHung.
func (j *Judge) Convert(version int, update []byte) ([]byte, error) {
	j.t.Helper()
	return j.update("convert", version, update)
}

// Describe asks again for all that a scenario says about its updates, with the scenario's own choices of order and
// positions. Only fields of the answer that follow from the updates are set.
func (j *Judge) Describe(s *Scenario) (*Scenario, error) {
	j.t.Helper()
	positions := make([]map[string]int, len(s.RelPos))
	for i, p := range s.RelPos {
		positions[i] = map[string]int{"idx": p.Index, "assoc": p.Assoc}
	}
	choices := map[string]any{"order": s.Shuffled.Order, "half": s.Shuffled.Half.At, "mid": s.Mid.After, "relpos": positions}
	answer := &Scenario{}
	err := j.ask(map[string]any{
		"op": "describe", "scenario": map[string]any{"updates": s.Updates, "choices": choices},
	}, answer)
	return answer, err
}

func (j *Judge) update(op string, version int, updates ...[]byte) ([]byte, error) {
	j.t.Helper()
	var answer struct{ Update []byte }
	err := j.ask(map[string]any{"op": op, "updates": updates, "version": version}, &answer)
	return answer.Update, err
}

// ask sends one question and decodes its answer into answer.
func (j *Judge) ask(question, answer any) error {
	j.t.Helper()
	line, err := json.Marshal(question)
	if err != nil {
		j.t.Fatalf("judge: %v", err)
	}
	if j.running == nil {
		j.start()
	}
	reply, err := j.exchange(line)
	if err != nil {
		j.stop()
		return fmt.Errorf("%w: %w", ErrHung, err)
	}
	var refusal struct{ Error string }
	if err := json.Unmarshal(reply, &refusal); err != nil {
		j.t.Fatalf("judge answered %q: %v", clip(reply), err)
	}
	if refusal.Error != "" {
		return fmt.Errorf("%w: %s", ErrRefused, refusal.Error)
	}
	if err := json.Unmarshal(reply, answer); err != nil {
		j.t.Fatalf("judge answered %q: %v", clip(reply), err)
	}
	return nil
}

// exchange writes one line and reads one. When the limit passes, the process is killed, which ends both.
func (j *Judge) exchange(line []byte) ([]byte, error) {
	limit := j.Limit
	if limit == 0 {
		limit = 10 * time.Second
	}
	p := j.running
	var late atomic.Bool
	timer := time.AfterFunc(limit, func() {
		late.Store(true)
		// Kill fails only for a process that has ended already.
		_ = p.cmd.Process.Kill()
	})
	defer timer.Stop()
	_, err := p.in.Write(append(line, '\n'))
	var reply []byte
	if err == nil {
		reply, err = p.answers.ReadBytes('\n')
	}
	if late.Load() {
		return nil, fmt.Errorf("killed after %v", limit)
	}
	return reply, err
}

func (j *Judge) start() {
	j.t.Helper()
	// The memory limit makes Node die of a hostile update before the machine does.
	cmd := exec.Command(j.bin, "--max-old-space-size=1024", "judge.mjs")
	cmd.Dir = j.dir
	cmd.Stderr = &bytes.Buffer{}
	in, err := cmd.StdinPipe()
	if err != nil {
		j.t.Fatalf("judge: %v", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		j.t.Fatalf("judge: %v", err)
	}
	if err := cmd.Start(); err != nil {
		j.t.Fatalf("start judge: %v", err)
	}
	j.running = &judgeProcess{cmd: cmd, in: in, answers: bufio.NewReaderSize(out, 1<<20)}
}

// stop ends the process, if there is one, and waits for it.
func (j *Judge) stop() {
	if j.running == nil {
		return
	}
	// It has no state to lose, and how it ends means nothing.
	_ = j.running.cmd.Process.Kill()
	_ = j.running.cmd.Wait()
	j.running = nil
}
