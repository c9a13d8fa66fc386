package lib0

// Type bytes of an "any" value (lib0/src/encoding.js writeAny).
const (
	AnyUndefined = 127 // no body
	AnyNull      = 126 // no body
	AnyInteger   = 125 // varInt, |n| <= 2^31-1
	AnyFloat32   = 124 // 4 bytes, big endian
	AnyFloat64   = 123 // 8 bytes, big endian
	AnyBigInt    = 122 // 8 bytes, big endian, signed
	AnyFalse     = 121 // no body
	AnyTrue      = 120 // no body
	AnyString    = 119 // varString
	AnyObject    = 118 // varUint n, n x (varString key, any)
	AnyArray     = 117 // varUint n, n x any
	AnyBytes     = 116 // varUint8Array
)

// Any reads one "any" value, checks it whole and returns its bytes, which
// alias the input. Containers may nest depth levels deep.
func (d *Decoder) Any(depth int) []byte {
	start := d.pos
	d.skipAny(depth)
	if d.err != nil {
		return nil
	}
	return d.buf[start:d.pos:d.pos]
}

func (d *Decoder) skipAny(depth int) {
	switch t := d.Byte(); t {
	case AnyUndefined, AnyNull, AnyFalse, AnyTrue:
	case AnyInteger:
		d.Int()
	case AnyFloat32:
		d.Raw(4)
	case AnyFloat64, AnyBigInt:
		d.Raw(8)
	case AnyString:
		d.String()
	case AnyBytes:
		d.Bytes()
	case AnyObject, AnyArray:
		if depth <= 0 {
			d.Fail(ErrDepth)
			return
		}
		for n := d.Uint(); n > 0 && d.err == nil; n-- {
			if t == AnyObject {
				d.String()
			}
			d.skipAny(depth - 1)
		}
	default:
		if d.err == nil {
			d.pos--
			d.Fail(ErrAny)
		}
	}
}
