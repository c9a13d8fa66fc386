// What a reader sees of a doc, as plain JSON with the order of object keys made canonical.
//
// JSON cannot say everything a document can hold, so four markers stand for the rest:
// {$undef: 1}, {$negzero: 1}, {$bigint: "decimal"}, {$u8: "base64"}. A subdocument is {}, as its toJSON gives before it is loaded.
// NaN and the infinities are null, as JSON.stringify writes them.
import * as Y from 'yjs'

export const roots = { text: 'text', arr: 'arr', map: 'map', xml: 'xml' }

// declare gives the four roots their types, as an editor's client does and a y-websocket server does not.
export const declare = doc => {
  doc.getText(roots.text)
  doc.getArray(roots.arr)
  doc.getMap(roots.map)
  doc.getXmlFragment(roots.xml)
  return doc
}

const byCodeUnit = (a, b) => (a < b ? -1 : a > b ? 1 : 0)

export const canonical = v => {
  if (v === undefined) return { $undef: 1 }
  if (v === null || typeof v === 'string' || typeof v === 'boolean') return v
  if (typeof v === 'bigint') return { $bigint: String(v) }
  if (typeof v === 'number') return Object.is(v, -0) ? { $negzero: 1 } : Number.isFinite(v) ? v : null
  if (v instanceof Uint8Array) return { $u8: base64(v) }
  if (v instanceof Y.Doc) return {}
  if (v instanceof Y.AbstractType) return canonical(v.toJSON())
  if (Array.isArray(v)) return v.map(canonical)
  const out = {}
  for (const k of Object.keys(v).sort(byCodeUnit)) {
    // Assigning to __proto__ would set the prototype instead of a property.
    Object.defineProperty(out, k, { value: canonical(v[k]), enumerable: true, writable: true, configurable: true })
  }
  return out
}

export const base64 = u8 => Buffer.from(u8.buffer, u8.byteOffset, u8.byteLength).toString('base64')
export const unbase64 = s => new Uint8Array(Buffer.from(s, 'base64'))

// view declares the roots as a side effect: call it only when nothing is applied to the doc afterwards,
// or when the doc is a typed one anyway.
export const view = doc => ({
  arr: canonical(doc.getArray(roots.arr).toJSON()),
  delta: canonical(doc.getText(roots.text).toDelta()),
  map: canonical(doc.getMap(roots.map).toJSON()),
  subdocs: Array.from(doc.getSubdocGuids()).sort(byCodeUnit),
  text: doc.getText(roots.text).toString(),
  xml: doc.getXmlFragment(roots.xml).toString()
})
