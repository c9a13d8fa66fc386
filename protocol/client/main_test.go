package client_test

import (
	"errors"
	"os"
	"testing"

	"go.uber.org/goleak"

	"weft/internal/weftbin"
	"weft/protocol/client"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		weftbin.Remove()
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
