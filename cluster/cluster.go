// Package cluster lets many nodes share one Redis so that every room has one owner at a time.
//
// It has four parts, and none of them knows sockets of clients or documents:
//   - A Ring orders the nodes for a room: who should own it, who should keep its second copy. It is a preference; views of
//     different nodes may differ.
//   - A Coordinator holds the truth: a session for each node, and a record for each room with its owner and epoch. Claims
//     are compare-and-swap.
//   - A Log is the durable tail of each room and its second failure domain. An append names the owner, the epoch and the
//     last sequence number, so a fenced owner is refused and a repeated append is recognised.
//   - RunSession keeps a node's session alive and tells when it is lost or when Redis is not what it was.
//
// Redis implements Coordinator and Log with the scripts in lua/, Memory does in memory with faults on demand; the
// conformance tests hold one to the other.
//
// Invariants, proved over all states by package cluster/model:
//   - Epochs of a room never repeat, whatever Redis forgets: each is above the last, above what the claimant ever saw, and
//     at least Redis' clock in milliseconds.
//   - The identity of a log entry is (epoch, seq), and it is the id of the stream entry.
//   - The record remembers who served last until somebody else has loaded the room: whoever claims must seal those.
//   - The first append of an epoch is refused if Redis restarted since the claim, for it may have forgotten a later one.
//
// All methods of Coordinator and Log may be called from any goroutine. They wait for the network, as long as their context
// and the client's timeout allow.
package cluster

import (
	"crypto/sha256"
	"encoding/hex"
)

// NodeID names a node of the cluster. It stays the same as long as the node's data directory does.
type NodeID string

// Valid reports whether a name may be used: 1 to 64 letters, digits, dots, dashes and underscores of ASCII.
func (n NodeID) Valid() bool {
	for _, c := range []byte(n) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_') {
			return false
		}
	}
	return n != "" && len(n) <= 64
}

// roomTag is what stands for a room in keys: never the name itself, which may hold braces and be long.
func roomTag(room string) string {
	sum := sha256.Sum256([]byte(room))
	return hex.EncodeToString(sum[:16])
}
