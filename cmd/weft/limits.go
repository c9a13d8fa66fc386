package main

import "weft/gateway"

// limitFlags bound what clients may cost. Where 0 means that there is no bound, the help says so.
type limitFlags struct {
	MaxConnections           int `default:"20000" help:"WebSocket connections at one time (${default})."`
	MaxConnectionsPerAddress int `default:"4096" help:"WebSocket connections at one time of one client address (${default})."`
	MaxConnectionsPerUser    int `default:"1000" help:"WebSocket connections at one time of one user, by the id of the token (${default}; 0 for any number)."`
	MaxClientsPerRoom        int `default:"10000" help:"Clients in one room at one time (${default}; 0 for any number)."`
	MaxMessage               int `default:"8388608" placeholder:"BYTES" help:"Largest message of a client in bytes (${default})."`
	MaxMessageMemory         int `default:"268435456" placeholder:"BYTES" help:"Memory of all messages that are being read or wait for a token to be looked at (${default}; 0 for any)."`

	MaxCompressedConnections int `default:"2000" help:"Connections at one time whose messages are compressed, with --compression (${default}; 0 for any number)."`

	MaxMessageRate           int `default:"200" placeholder:"N" help:"Messages a second of one connection (${default}; 0 for any number). After a rest 25 times as many may come at once; this is so for all rates."`
	MaxByteRate              int `default:"2097152" placeholder:"BYTES" help:"Bytes a second of one connection (${default}; 0 for any number)."`
	MaxMessageRatePerUser    int `default:"2000" placeholder:"N" help:"Messages a second of one user (${default}; 0 for any number)."`
	MaxByteRatePerUser       int `default:"16777216" placeholder:"BYTES" help:"Bytes a second of one user (${default}; 0 for any number)."`
	MaxMessageRatePerAddress int `default:"20000" placeholder:"N" help:"Messages a second of one client address (${default}; 0 for any number)."`
	MaxByteRatePerAddress    int `default:"67108864" placeholder:"BYTES" help:"Bytes a second of one client address (${default}; 0 for any number)."`
}

// apply sets the gateway's options.
func (f *limitFlags) apply(o *gateway.Options) {
	o.MaxConns, o.MaxConnsPerAddress, o.Limits.Message = f.MaxConnections, f.MaxConnectionsPerAddress, f.MaxMessage
	o.MaxConnsPerUser, o.MaxPlacesPerRoom = orNone(f.MaxConnectionsPerUser), orNone(f.MaxClientsPerRoom)
	o.MessageMemory = orNone(f.MaxMessageMemory)
	o.MaxCompressed = orNone(f.MaxCompressedConnections)
	o.ConnRate = gateway.Rate{Messages: orNone(f.MaxMessageRate), Bytes: orNone(f.MaxByteRate)}
	o.UserRate = gateway.Rate{Messages: orNone(f.MaxMessageRatePerUser), Bytes: orNone(f.MaxByteRatePerUser)}
	o.AddressRate = gateway.Rate{Messages: orNone(f.MaxMessageRatePerAddress), Bytes: orNone(f.MaxByteRatePerAddress)}
}

// orNone turns the 0 of a flag, no bound, into that of gateway.Options.
func orNone(n int) int {
	if n == 0 {
		return -1
	}
	return n
}
