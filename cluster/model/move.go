package model

import "fmt"

// verb is what happens in a step.
type verb uint8

const (
	submit verb = iota
	claim
	peek
	seal
	refuseSeal
	readLog
	store
	reappend
	reappendFenced
	fsync
	appendLog
	appendGap
	appendFenced
	ack
	push
	trim
	noteOutage
	reconcile
	prepare
	tail
	abort
	transfer
	transferGap
	transferFenced
	takeOver
	letGo
	redisSync
	kill
	destroy
	restart
	pause
	resume
	loseTail
	wipe
	outage
	redisBack
	cut
	heal
)

// phrases say what a step does, with the letters of its nodes.
var phrases = []string{
	submit:         "a client sends u%[2]d to %[1]c, which applies it",
	claim:          "%c claims the room",
	peek:           "%c reads the log",
	seal:           "%c seals %c",
	refuseSeal:     "%[2]c refuses the SEAL of %[1]c: it knows a higher epoch",
	readLog:        "%c reads the log",
	store:          "%c syncs what it found to its disk",
	reappend:       "%c appends what it found to the log and serves",
	reappendFenced: "%c learns at its append that it is fenced",
	fsync:          "%c syncs to its disk",
	appendLog:      "%c appends what is on its disk to the log",
	appendGap:      "%c learns that Redis lost entries",
	appendFenced:   "%c learns at its append that it is fenced",
	ack:            "%c acknowledges",
	push:           "%c pushes to %c, which syncs to its disk",
	trim:           "%c trims the log",
	noteOutage:     "%c notices that Redis is gone",
	reconcile:      "%c notices that Redis is back and appends what waited",
	prepare:        "%c prepares a move to %c and closes its intake",
	tail:           "%c has given everything to %c",
	abort:          "%c gives up its move to %c",
	transfer:       "%c transfers the record to %c",
	transferGap:    "%c learns at the transfer that Redis lost entries",
	transferFenced: "%c learns at the transfer that it is fenced",
	takeOver:       "%c tells %c to go",
	letGo:          "%c lets go of the room without having told %c",
	redisSync:      "Redis syncs to its disk",
	kill:           "FAULT: %c is killed",
	destroy:        "FAULT: %c is killed and its disk destroyed",
	restart:        "%c starts again",
	pause:          "FAULT: %c is paused",
	resume:         "%c goes on after its pause",
	loseTail:       "FAULT: Redis restarts with what it had synced last",
	wipe:           "FAULT: Redis restarts empty",
	outage:         "FAULT: Redis cannot be reached",
	redisBack:      "Redis can be reached again",
	cut:            "FAULT: the links between nodes are cut",
	heal:           "the links are back",
}

// move is one step: what happened, at which node, to which other one.
type move struct {
	verb verb
	a, b uint8
}

func (m move) String() string {
	phrase := phrases[m.verb]
	a := 'A' + rune(m.a)
	switch {
	case m.verb == submit:
		return fmt.Sprintf(phrase, a, m.b+1)
	case m.b != nobody:
		return fmt.Sprintf(phrase, a, 'A'+rune(m.b))
	case m.a != nobody:
		return fmt.Sprintf(phrase, a)
	}
	return phrase
}

// environment reports whether a step comes from outside: nothing has to happen for the room to come to rest.
func (m move) environment() bool {
	switch m.verb {
	case submit, claim, peek, prepare, push, trim, redisSync, kill, destroy, restart, pause, resume,
		loseTail, wipe, outage, redisBack, cut, heal:
		return true
	}
	return false
}
