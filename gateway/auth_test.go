package gateway_test

import (
	"testing"

	"weft/gateway"
	"weft/gateway/auth"
)

// adminServer returns a server without clients, and its restrictions.
func adminServer(t *testing.T) (*gateway.Server, *auth.Restrictions) {
	t.Helper()
	restrictions, err := auth.OpenRestrictions("")
	if err != nil {
		t.Fatal(err)
	}
	s, err := gateway.New(gateway.Options{Rooms: &fakeRooms{}, Restrictions: restrictions})
	if err != nil {
		t.Fatal(err)
	}
	return s, restrictions
}
