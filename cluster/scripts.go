package cluster

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var lua embed.FS

// scripts are the programs that run in Redis, each with lua/lib.lua in front.
type scripts struct {
	beat, claim, append, transfer, release, cover, trim *redis.Script
}

func newScripts() scripts {
	lib := source("lib")
	load := func(name string) *redis.Script { return redis.NewScript(lib + source(name)) }
	return scripts{
		beat: load("beat"), claim: load("claim"), append: load("append"), transfer: load("transfer"),
		release: load("release"), cover: load("cover"), trim: load("trim"),
	}
}

// source panics for a file that is not embedded, which a test of any script would find.
func source(name string) string {
	text, err := lua.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err)
	}
	return string(text)
}

// load makes every master know every script.
func (s scripts) load(ctx context.Context, client redis.UniversalClient) error {
	into := func(ctx context.Context, client redis.UniversalClient) error {
		for _, script := range []*redis.Script{s.beat, s.claim, s.append, s.transfer, s.release, s.cover, s.trim} {
			if err := script.Load(ctx, client).Err(); err != nil {
				return fmt.Errorf("load scripts: %w", err)
			}
		}
		return nil
	}
	if c, ok := client.(*redis.ClusterClient); ok {
		return c.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return into(ctx, node) })
	}
	return into(ctx, client)
}

// call is one run of a script.
type call struct {
	script *redis.Script
	keys   []string
	args   []any
}

// run sends all calls in one pipeline and returns their answers; those of failed calls are nil, and the first failure is
// the error. Redis forgets scripts when it restarts; then they are loaded and what did not run is sent again, which every
// script recognises should it have run after all.
func (s scripts) run(ctx context.Context, client redis.UniversalClient, calls []call) ([][]string, error) {
	answers := make([][]string, len(calls))
	missing, err := s.send(ctx, client, calls, answers)
	if len(missing) == 0 {
		return answers, err
	}
	if err := s.load(ctx, client); err != nil {
		return answers, err
	}
	again := make([]call, len(missing))
	for i, at := range missing {
		again[i] = calls[at]
	}
	late := make([][]string, len(again))
	left, err := s.send(ctx, client, again, late)
	for i, at := range missing {
		answers[at] = late[i]
	}
	if err == nil && len(left) > 0 {
		err = errors.New("redis forgot a script that it was just given")
	}
	return answers, err
}

// send fills in the answers and returns which calls met a Redis that does not know their script. Another failure is
// returned even if some calls succeeded.
func (s scripts) send(ctx context.Context, client redis.UniversalClient, calls []call, answers [][]string) (missing []int, err error) {
	commands := make([]*redis.Cmd, len(calls))
	pipe := client.Pipeline()
	for i, c := range calls {
		commands[i] = pipe.EvalSha(ctx, c.script.Hash(), c.keys, c.args...)
	}
	_, _ = pipe.Exec(ctx) // every command has its own error
	for i, command := range commands {
		answer, e := command.StringSlice()
		switch {
		case e == nil:
			answers[i] = answer
		case strings.HasPrefix(e.Error(), "NOSCRIPT"):
			missing = append(missing, i)
		case err == nil:
			err = e
		}
	}
	if err != nil {
		return nil, err
	}
	return missing, nil
}

// one runs a single script.
func (s scripts) one(ctx context.Context, client redis.UniversalClient, c call) ([]string, error) {
	answers, err := s.run(ctx, client, []call{c})
	return answers[0], err
}
