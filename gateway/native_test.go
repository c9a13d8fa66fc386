package gateway_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"weft/gateway"
	"weft/gateway/auth"
	"weft/protocol"
	"weft/protocol/conformance"
)

// TestNativeTranscripts holds the server to the transcripts of the native protocol.
func TestNativeTranscripts(t *testing.T) {
	files, err := filepath.Glob("../protocol/conformance/testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("Glob = %d transcripts, %v, want some", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			transcript, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var o gateway.Options
			forTranscripts(&o)
			r := start(t, o)
			s := conformance.Server{URL: "ws://" + r.addr + "/native", Names: map[string]string{"writer": "write", "reader": "read"}}
			if err := conformance.Run(t.Context(), s, transcript); err != nil {
				t.Errorf("%s: %v", filepath.Base(file), err)
			}
		})
	}
}

// forTranscripts makes a server one that transcripts can be played to: its limits are small.
func forTranscripts(o *gateway.Options) {
	o.Auth, o.NativeFrame, o.Limits = authFunc(authorizeTranscript), 1<<10, protocol.Limits{Message: 4 << 10}
}

// authorizeTranscript lets in who the transcripts say may enter.
func authorizeTranscript(_ context.Context, r auth.Request) (auth.Grant, error) {
	switch {
	case r.Token != "write" && r.Token != "read":
		return auth.Grant{}, protocol.Unauthorized.Closef("no token of ours")
	case r.Room == "secret":
		return auth.Grant{}, protocol.Forbidden.Closef("nobody may")
	}
	return auth.Grant{User: auth.User{ID: "ada"}, Write: r.Token == "write"}, nil
}
