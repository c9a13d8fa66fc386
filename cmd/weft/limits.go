package main

import "weft/gateway"

// limitFlags bound what clients may cost. Where 0 means that there is no bound, the help says so.
type limitFlags struct {
	MaxConnections           int `default:"20000" help:"WebSocket connections at one time (${default})."`
	MaxConnectionsPerAddress int `default:"4096" help:"WebSocket connections at one time of one client address (${default})."`
	MaxConnectionsPerUser    int `default:"1000" help:"WebSocket connections at one time of one user, by the id of the token (${default}; 0 for any number)."`
	MaxClientsPerRoom        int `default:"10000" help:"Clients in one room at one time (${default}; 0 for any number)."`
	MaxMessage               int `default:"8388608" placeholder:"BYTES" help:"Largest message of a client in bytes (${default})."`
}

// apply sets the gateway's options.
func (f *limitFlags) apply(o *gateway.Options) {
	o.MaxConns, o.MaxConnsPerAddress, o.Limits.Message = f.MaxConnections, f.MaxConnectionsPerAddress, f.MaxMessage
	o.MaxConnsPerUser, o.MaxPlacesPerRoom = orNone(f.MaxConnectionsPerUser), orNone(f.MaxClientsPerRoom)
}

// orNone turns the 0 of a flag, no bound, into that of gateway.Options.
func orNone(n int) int {
	if n == 0 {
		return -1
	}
	return n
}
