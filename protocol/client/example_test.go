package client_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"syscall"

	"weft/crdt"
	"weft/protocol/client"
)

// exampleServer starts a server for an example, and returns its URL and what ends it.
func exampleServer() (url string, stop func()) {
	dir, err := os.MkdirTemp("", "weft-client-example-")
	if err != nil {
		log.Fatal(err)
	}
	s, err := startServer(filepath.Clean(dir), "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	return s.url(), func() {
		s.stop(syscall.SIGTERM)
		_ = os.RemoveAll(dir) // in the system's folder for temporary files
	}
}

func Example() {
	url, stop := exampleServer() // such as ws://127.0.0.1:8080/native
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()

	c, err := client.Dial(ctx, url, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)
	s, err := c.Join(ctx, "my-room", client.JoinOptions{})
	if err != nil {
		log.Fatal(err)
	}
	err = s.Edit(func(tx *crdt.Tx) error { return tx.Text("notes").Insert(0, "hello") })
	if err != nil {
		log.Fatal(err)
	}
	if err := s.WaitSaved(ctx); err != nil { // on the server's disk
		log.Fatal(err)
	}
	s.View(func(d *crdt.Doc) { fmt.Println(d.Text("notes")) })
	// Output: hello
}

// Edits work without a connection, and are saved when there is one again.
func ExampleClient_GoOffline() {
	url, stop := exampleServer()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := client.Dial(ctx, url, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)
	s, err := c.Join(ctx, "my-room", client.JoinOptions{})
	if err != nil {
		log.Fatal(err)
	}

	c.GoOffline()
	if err := s.Edit(func(tx *crdt.Tx) error { return tx.Map("m").Set("done", true) }); err != nil {
		log.Fatal(err)
	}
	fmt.Println("saved offline:", s.Saved().All())
	c.GoOnline()
	fmt.Println("saved online:", s.WaitSaved(ctx) == nil && s.Saved().All())
	// Output:
	// saved offline: false
	// saved online: true
}

// Who is there comes as events, or as a list.
func ExampleSession_SetPresence() {
	url, stop := exampleServer()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()

	came := make(chan client.Peer, 1)
	for _, name := range []string{"Ada", "Bob"} {
		c, err := client.Dial(ctx, url, client.Options{})
		if err != nil {
			log.Fatal(err)
		}
		defer c.Close(ctx)
		events := client.Events{}
		if name == "Ada" {
			events.Presence = func(changed []client.Peer) { came <- changed[0] }
		}
		s, err := c.Join(ctx, "my-room", client.JoinOptions{Events: events})
		if err != nil {
			log.Fatal(err)
		}
		if name == "Bob" {
			err = s.SetPresence(map[string]any{"user": map[string]any{"name": name}})
		}
		if err != nil {
			log.Fatal(err)
		}
	}
	fmt.Printf("%s\n", (<-came).State)
	// Output: {"user":{"name":"Bob"}}
}
