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
			r := start(t, gateway.Options{Auth: authFunc(authorizeTranscript), NativeFrame: 1 << 10, Limits: protocol.Limits{Message: 4 << 10}})
			s := conformance.Server{URL: "ws://" + r.addr + "/native", Names: map[string]string{"writer": "write", "reader": "read"}}
			if err := conformance.Run(t.Context(), s, transcript); err != nil {
				t.Errorf("%s: %v", filepath.Base(file), err)
			}
		})
	}
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
