package gateway

import (
	"encoding/binary"
	"unicode/utf8"
)

// Frames from server to client as RFC 6455 section 5.2 draws them: never masked, never fragmented, no extension bits.
//
//	FIN 0 0 0 opcode(4) | 0 length(7) | length(16 or 64, big endian) | payload
const (
	frameFin      = 0x80
	frameDeflated = 0x40 // RSV1: the message is compressed, RFC 7692 section 6
	frameMasked   = 0x80 // of the second byte; only clients mask
	frameBinary   = 0x2
	frameClose    = 0x8
	framePing     = 0x9
	framePong     = 0xA

	length16 = 126 // the 7-bit length that announces a 16-bit one
	length64 = 127 // the 7-bit length that announces a 64-bit one

	frameHead = 2 // bytes up to the mask or the payload, of frames with a 7-bit length
	frameMask = 4 // bytes

	maxControlPayload = 125                   // bytes, RFC 6455 section 5.5
	maxCloseText      = maxControlPayload - 2 // bytes, the code takes two
)

// appendFrameHeader appends the header of a final, unmasked frame whose payload has n bytes.
func appendFrameHeader(dst []byte, opcode byte, n int) []byte {
	dst = append(dst, frameFin|opcode)
	switch {
	case n < length16:
		return append(dst, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, length16), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, length64), uint64(n))
	}
}

// appendFrame appends one whole frame; payload is copied.
func appendFrame(dst []byte, opcode byte, payload []byte) []byte {
	return append(appendFrameHeader(dst, opcode, len(payload)), payload...)
}

// appendCloseFrame appends a close frame (RFC 6455 section 5.5.1). A text longer than a control frame may carry is
// cut at the end of a character, for clients must fail the connection on text that is not UTF-8.
func appendCloseFrame(dst []byte, code int, text string) []byte {
	if len(text) > maxCloseText {
		cut := maxCloseText
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut]
	}
	dst = appendFrameHeader(dst, frameClose, 2+len(text))
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, text...)
}
