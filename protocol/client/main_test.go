package client_test

import (
	"errors"
	"os"
	"testing"

	"go.uber.org/goleak"

	"weft/protocol/client"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if built != "" {
			_ = os.RemoveAll(built) // in the system's folder for temporary files
		}
		os.Exit(code)
	}))
}

// codeOf returns the code of a refusal, 0 of anything else.
func codeOf(err error) client.Code {
	if refused, ok := errors.AsType[*client.RefusedError](err); ok {
		return refused.Code
	}
	return 0
}
