package gateway_test

import (
	"os"
	"path/filepath"
	"testing"

	"weft/gateway"
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
			r := start(t, gateway.Options{})
			s := conformance.Server{URL: "ws://" + r.addr + "/native", Names: map[string]string{"writer": ""}}
			if err := conformance.Run(t.Context(), s, transcript); err != nil {
				t.Errorf("%s: %v", filepath.Base(file), err)
			}
		})
	}
}
