package protocol

import "google.golang.org/protobuf/encoding/protowire"

// FragmentNative calls write with the frames in which a payload of Native is
// sent that is larger than a frame may be: each in two parts, of which the second
// aliases payload. frame is the largest one in bytes, more than 64. It stops at
// the first error of write and returns it.
func FragmentNative(payload []byte, frame int, write func(head, data []byte) error) error {
	_, _, tag := protowire.ConsumeTag(payload)
	rest := payload[tag:]
	if _, n := protowire.ConsumeVarint(rest); n > 0 {
		rest = rest[n:]
	}
	total := len(rest)
	for index := uint64(0); len(rest) > 0; index++ {
		data := rest[:min(len(rest), frame-fragmentOverhead)]
		rest = rest[len(data):]
		if err := write(fragmentHead(index, total, len(data)), data); err != nil {
			return err
		}
	}
	return nil
}

// fragmentHead returns a batch of one Fragment up to the bytes of its data.
func fragmentHead(index uint64, total, n int) []byte {
	announced := uint64(0)
	if index == 0 {
		announced = uint64(total)
	}
	size := uintSize(fragmentIndex, index) + uintSize(fragmentTotal, announced) + bytesSize(fragmentData, n)
	dst := appendBody(make([]byte, 0, fragmentOverhead), serverFragment, size)
	dst = appendUint(dst, fragmentIndex, index)
	dst = appendUint(dst, fragmentTotal, announced)
	return protowire.AppendVarint(protowire.AppendTag(dst, fragmentData, protowire.BytesType), uint64(n))
}
