// Package model is an explicit-state checker of the cluster's ownership protocol: it visits every state that one room can
// reach on two or three nodes and one Redis, and says whether an acknowledged update can be lost, hidden or left with
// fewer copies than promised. Only tests import it; the code of the cluster follows the same steps, it does not call them.
//
// A state holds what is in Redis, what the last restart with tail loss would bring back, what each node has in memory, on
// disk and in its view of the log, and which updates were acknowledged. Steps are as small as messages are: the claim, the
// SEAL of each peer, the read of the log, the fsync of what was found, the re-append and every part of a planned move are
// separate, and anything may come between them. Nobody waits for a timeout: any node may claim at any time, which is
// more than real failure detectors do.
//
// Faults, as many as Config.Faults, come at any point: a node is killed, its disk is destroyed, it is paused, Redis
// restarts without the tail of its log, Redis is wiped, Redis cannot be reached, all links between nodes are cut.
//
// What is checked in each state:
//   - LOST: an acknowledged update is nowhere.
//   - HIDDEN: the owner according to Redis serves the room without an acknowledged update.
//   - STALE: an append of a fenced owner was accepted.
//   - NOT REPAIRED: nothing is left to do, and an acknowledged update is in fewer than two places.
//
// What it leaves out: bytes, the order of entries (documents are join-semilattices, so a set of updates is enough), lost
// replies (the conformance tests of package cluster have them) and time.
package model

import (
	"fmt"
	"slices"
)

// Policy says when an update is acknowledged.
type Policy uint8

// The policies: on the owner's disk and in Redis; in any two of the owner's disk, Redis and the standby's disk.
const (
	Both Policy = iota
	Two
)

func (p Policy) String() string {
	if p == Two {
		return "two"
	}
	return "both"
}

// Config is one question to the checker.
type Config struct {
	Nodes   int    // 2 or 3
	Updates int    // that clients submit, at most 2
	Claims  int    // takeovers and planned moves beside the first ownership, at most 5
	Faults  int    // at most 3
	Only    []Kind // the kinds of faults that happen, nil for all
	Policy  Policy
	Without Rule // what is left out of the protocol; zero for the protocol itself
	Limit   int  // states after which the search gives up, 0 for none
}

func (c Config) String() string {
	text := fmt.Sprintf("policy %v, %d nodes, %d updates, %d claims, %d faults", c.Policy, c.Nodes, c.Updates, c.Claims, c.Faults)
	if c.Without != 0 {
		text += ", without " + c.Without.String()
	}
	return text
}

// Kind is a kind of fault.
type Kind uint8

// The kinds of faults. A killed, destroyed or paused node comes back at any later point or never, as do Redis and links.
const (
	Kill     Kind = iota // kill -9 of a node: its memory is gone
	Destroy              // kill -9, and its disk is gone too
	Pause                // a node stands still, answers nobody and goes on later as if nothing had happened
	TailLoss             // Redis restarts with what it had last synced
	Wipe                 // Redis restarts empty
	Outage               // nobody reaches Redis
	Cut                  // no node reaches another
	kinds
)

var kindNames = [kinds]string{"kill", "destroy", "pause", "tail loss", "wipe", "outage", "cut"}

func (k Kind) String() string { return kindNames[k] }

// Rule is a set of rules of the protocol, to be left out: the test of the checker, and of whether a rule is needed.
type Rule uint32

// The rules. Each names what is done instead.
const (
	NoFence           Rule = 1 << iota // append does not compare owner and epoch
	NoRecord                           // claim needs no epoch greater than those before: INCR of what Redis remembers
	ReadBeforeClaim                    // the log is read before the claim and not after it
	AckMemory                          // acknowledged when applied
	AckRedis                           // acknowledged when in Redis
	AckDisk                            // acknowledged when on the owner's disk
	Parallel                           // append does not wait for fsync
	NoSeal                             // a new owner asks peers for nothing and makes them promise nothing
	NoPeerReads                        // a sealed peer promises, but hands over nothing
	SealOwnerOnly                      // of those who served before only the owner in the record is sealed
	SealNoOneMore                      // after a restart of Redis no more peers are sealed than otherwise
	RestartForgotten                   // a claim, and not the first append after loading, takes note of Redis' restart
	NoRunCheck                         // the first append does not ask whether Redis restarted since the claim
	TrimEarly                          // the log is trimmed when one disk has an update
	ServeUncovered                     // a loader does not ask whether it has what was trimmed
	NoReappend                         // a loader serves without appending what it found
	NoReconcile                        // an owner does not look whether Redis lost entries that it had appended
	ReturnBlindly                      // after an outage what is on disk counts as appended
	MoveBeforeTail                     // a planned move does not wait until the target has everything
	MoveOpenIntake                     // a planned move goes on taking edits, and the target counts all it has as appended
	GoToAnybody                        // a target serves when told to, also if it does not remember what it was given
	NoQuorum                           // policy two: a loader is content with Redis
	StandbyNoPromise                   // policy two: a standby takes entries of fenced owners
	ServeBeforeAppend                  // policy two: the target of a move acknowledges before its first append
	rules
)

var ruleNames = []string{
	"fence", "growing epochs", "reading after the claim", "waiting for durability", "own disk", "redis", "fsync before append",
	"SEAL", "peer reads", "sealing whoever served last", "sealing all after a restart", "remembering a restart until loaded",
	"run id at the first append", "two copies before trim", "coverage of what was trimmed", "re-append", "reconcile", "reconcile after an outage",
	"tail before transfer", "closed intake while moving", "remembering the tail", "quorum read", "standby's promise", "append before serving",
}

func (r Rule) String() string {
	text := ""
	for i, name := range ruleNames {
		if r&(1<<i) != 0 {
			if text != "" {
				text += " and "
			}
			text += name
		}
	}
	return text
}

// without reports whether any of these rules is left out.
func (c *Config) without(r Rule) bool { return c.Without&r != 0 }

// faulty reports whether faults of this kind happen.
func (c *Config) faulty(k Kind) bool {
	if slices.Contains(c.Only, k) {
		return true
	}
	return c.Only == nil
}
