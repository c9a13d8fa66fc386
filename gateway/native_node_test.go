package gateway_test

import (
	"os"
	"os/exec"
	"testing"
)

// TestNativeNode runs the tests of client-demo/node-native, the client of the native protocol in TypeScript with yrs as
// its document: against a server of its own that breaks things on demand, and together with the real providers against
// the servers of TestProviders.
func TestNativeNode(t *testing.T) {
	const dir = "../client-demo/node-native"
	needNode(t, "the native client in TypeScript was not tested", "providers", dir)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "npm", "run", "--silent", "test:all")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "WEFT_BIN="+weftBinary(t), "WEFT_TEST_BIN="+self)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("npm run test:all in client-demo/node-native = %v, want nil", err)
	}
}
