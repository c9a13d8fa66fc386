// Writes golden.json: values and how lib0 encodes them. Run with Node after `npm ci` in crdt/crdttest/oracle, whose
// lock file names the version of lib0:
//
//   node crdt/lib0/testdata/golden.mjs
import { createRequire } from 'node:module'
import { writeFileSync } from 'node:fs'

const require = createRequire(new URL('../../crdttest/oracle/package.json', import.meta.url))
const encoding = require('lib0/encoding')

const hex = bytes => Buffer.from(bytes).toString('hex')
const encode = f => hex(encoding.encode(f))

const uints = [0, 1, 63, 64, 127, 128, 255, 16383, 16384, 2 ** 21, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 49, 2 ** 53 - 1]
const ints = [0, -0, 1, -1, 63, -63, 64, -64, 8191, -8192, 2 ** 31 - 1, -(2 ** 31), 2 ** 53 - 1, -(2 ** 53 - 1)]
const strings = ['', 'a', 'ü', '漢', '😀', 'a😀b', '\u0000', '\ud83d', 'x'.repeat(200)]
const anys = {
  undefined, null: null, true: true, false: false, zero: 0, negzero: -0, one: 1, big: 2 ** 31, float: 1.5, double: 0.1,
  nan: NaN, infinity: Infinity, bigint: 12345678901234567890n, string: 'hé😀', bytes: new Uint8Array([1, 2, 255]),
  array: [1, [null, 'x'], {}], object: { b: 1, a: [true], 2: 'two', 1: undefined }
}
const lists = [[], [0], [0, 0], [0, 0, 0, 1], [1, 1, 1, 2, 3, 3], [5, 4, 3, 2, 1], [0, 2, 4, 6, 9], [7, 7, 7, 7, 7, 7, 7], [2 ** 40, 2 ** 40, 3], [1, 2, 3, 100, 101, 102, 0]]

const column = (C, values) => {
  const c = new C()
  for (const v of values) c.write(v)
  return hex(c.toUint8Array())
}
const rle = values => {
  const c = new encoding.RleEncoder(encoding.writeUint8)
  for (const v of values) c.write(v)
  return hex(encoding.toUint8Array(c))
}

writeFileSync(new URL('golden.json', import.meta.url), JSON.stringify({
  uints: uints.map(v => ({ value: v, hex: encode(e => encoding.writeVarUint(e, v)) })),
  ints: ints.map(v => ({ magnitude: Math.abs(v), negative: v < 0 || Object.is(v, -0), hex: encode(e => encoding.writeVarInt(e, v)) })),
  strings: strings.map(s => ({ value: s.toWellFormed(), units: s.length, hex: encode(e => encoding.writeVarString(e, s)) })),
  anys: Object.entries(anys).map(([name, v]) => ({ name, hex: encode(e => encoding.writeAny(e, v)) })),
  columns: lists.map(values => ({
    values,
    uint: column(encoding.UintOptRleEncoder, values),
    diff: column(encoding.IntDiffOptRleEncoder, values),
    byte: rle(values.map(v => v % 256))
  })),
  stringColumns: [[], ['a'], ['', '', ''], ['text', 'a', '', 'üx'], ['😀', 'a😀', 'b'], strings.filter(s => s !== '\ud83d')].map(values => ({
    values, hex: column(encoding.StringEncoder, values)
  })),
  // Halves of a surrogate pair that meet in the joined column.
  brokenColumn: { want: ['x\ufffd', '\ufffdy', '\ufffd', '\ufffd', 'z'], hex: column(encoding.StringEncoder, ['x\ud83d', '\ude00y', '\ud83d', '\ude00', 'z']) }
}, null, 1) + '\n')
