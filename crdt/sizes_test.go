package crdt

import (
	"testing"
	"unsafe"
)

// TestSizes keeps the sizes that Stats counts with true.
func TestSizes(t *testing.T) {
	for _, tt := range []struct {
		name      string
		got, want int
	}{
		{"typ", typBytes, int(unsafe.Sizeof(typ{}))},
		{"list", listBytes, int(unsafe.Sizeof(list{}))},
		{"client", clientBytes, int(unsafe.Sizeof(client{}))},
	} {
		if tt.got != tt.want {
			t.Errorf("size of a %s = %d, want %d", tt.name, tt.got, tt.want)
		}
	}
}
