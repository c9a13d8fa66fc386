package gateway_test

import (
	"os/exec"
	"testing"
)

// TestNativeNode runs the tests of client-demo/node-native, the client of the native protocol in TypeScript with yrs as
// its document, against a server of its own that breaks things on demand.
func TestNativeNode(t *testing.T) {
	const dir = "../client-demo/node-native"
	needNode(t, "the native client in TypeScript was not tested", dir)
	cmd := exec.CommandContext(t.Context(), "npm", "test", "--silent")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("npm test in client-demo/node-native = %v, want nil", err)
	}
}
