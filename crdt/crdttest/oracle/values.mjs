// Values and strings that editors, and people who test parsers, put into documents.
const plain = ['a', 'e', 'n', 'r', 's', 't', ' ', 'x', 'the ', 'word', '.', '\n']
const escapes = ['"', '\\', '\n', '\t', '\u0000', '\u001f', '\u007f', '\u2028', '</p>', '&amp;', "'"]
const bmp = ['é', 'ß', 'Ω', '漢', '字', 'ي', '\u0301', '\ufeff', '\uffff', '\ufffd']
const astral = ['😀', '𝒳', '🇩🇪', '👩‍👩‍👧', '\u{10ffff}', '𠮷']

// text is a string of about n characters; with astral it has characters that take two UTF-16 units.
export const text = (r, n, withAstral) => {
  let s = ''
  for (let i = 0; i < n; i++) {
    const x = r.float()
    if (withAstral && x < 0.35) s += r.pick(astral)
    else if (x < 0.45) s += r.pick(bmp)
    else if (x < 0.5) s += r.pick(escapes)
    else s += r.pick(plain)
  }
  return s
}

const numbers = [
  0, 1, -1, 63, 64, -64, 127, 8191, 8192, 2147483647, -2147483647, -2147483648, 2147483648, 4294967296,
  9007199254740991, -9007199254740991, 9007199254740992, 0.5, -0.25, 0.1, 1 / 3, 1e21, 1e-7, 123456789.125,
  16777216, 16777217, 3.4028234663852886e38, 1e300, 5e-324, 1.7976931348623157e308
]

// jsonNumber survives JSON.stringify: formats, embeds and legacy content travel as JSON in update v1.
const jsonNumber = r => (r.chance(0.6) ? r.pick(numbers) : r.chance(0.5) ? r.between(-1000, 1000) : (r.float() - 0.5) * 1000)

const keys = ['a', 'b', 'k', 'nested', 'z', '1', '10', '2', 'ключ', '', 'a b', '\u{1f600}']

// json is a value that JSON can carry in full.
export const json = (r, depth = 3, withAstral = false) => {
  switch (r.below(depth > 0 ? 8 : 5)) {
    case 0: return r.chance(0.5)
    case 1: return null
    case 2: return jsonNumber(r)
    case 3: return text(r, r.below(6), withAstral)
    case 4: return r.between(-100, 100)
    case 5: return list(r, () => json(r, depth - 1, withAstral))
    default: return object(r, () => json(r, depth - 1, withAstral))
  }
}

// any is a value that lib0's Any encoding can carry: JSON and undefined, -0, NaN, infinities, bigint and bytes.
export const any = (r, depth = 3, withAstral = false) => {
  switch (r.below(depth > 0 ? 12 : 8)) {
    case 0: return undefined
    case 1: return -0
    case 2: return r.pick([NaN, Infinity, -Infinity])
    case 3: return bigint(r)
    case 4: return depth < 3 ? bytes(r) : r.between(-100, 100)
    case 5: return jsonNumber(r)
    case 6: return text(r, r.below(8), withAstral)
    case 7: return r.pick([true, false, null])
    case 8: return list(r, () => any(r, depth - 1, withAstral))
    case 9: return deep(r)
    default: return object(r, () => any(r, depth - 1, withAstral))
  }
}

const list = (r, element) => Array.from({ length: r.below(4) }, element)

const object = (r, element) => {
  const o = {}
  for (let n = r.below(4); n > 0; n--) o[r.pick(keys)] = element()
  return o
}

const deep = r => {
  let v = r.between(0, 9)
  for (let n = r.between(5, 40); n > 0; n--) v = r.chance(0.5) ? [v] : { d: v }
  return v
}

const bigint = r => r.pick([
  0n, 1n, -1n, 9007199254740993n, -9007199254740993n, 9223372036854775807n, -9223372036854775808n,
  BigInt(r.uint32()) * 1000000007n
])

export const bytes = r => Uint8Array.from({ length: r.below(10) }, () => r.below(256))

const attributeValues = {
  bold: r => r.pick([true, true, null]),
  italic: r => r.pick([true, true, null]),
  link: r => r.pick([{ href: 'x' }, { href: 'https://example.test/?q="1"', title: 'é' }, null]),
  color: r => r.pick(['#' + r.below(3), null]),
  width: r => r.pick([5, 0.1, 1e21, null])
}

// attributes are text formats: 1 to 3 of five names, so that concurrent formats meet.
export const attributes = (r, withRemovals) => {
  const out = {}
  for (let n = r.chance(0.7) ? 1 : r.between(2, 3); n > 0; n--) {
    const name = r.pick(Object.keys(attributeValues))
    const v = attributeValues[name](r)
    if (v !== null || withRemovals) out[name] = v
  }
  return out
}

export const embed = r => (r.chance(0.7) ? { image: 'u' + r.below(10) } : { widget: json(r, 2), 2: 1, 1: 2 })
