// Package weftv1 holds the messages of the native protocol, generated from protocol/weft.proto by `make proto`.
// protocol/PROTOCOL.md says what they mean together.
package weftv1
