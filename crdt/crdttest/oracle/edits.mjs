// The edits that one author can make, by family. An edit is a function (author) => void that runs inside a
// transaction of the author's doc; author carries doc, r (Random) and astral.
import * as Y from 'yjs'
import * as values from './values.mjs'
import { roots } from './view.mjs'

const keys = ['k0', 'k1', 'k2', 'k3', 'k4', '', 'ключ', '7']
const nodeNames = ['p', 'h1', 'ul', 'li', 'img', 'blockquote']
const attributeNames = ['a0', 'a1', 'a2', 'href']

const string = ({ r, astral }) => {
  const x = r.float()
  return values.text(r, x < 0.5 ? 1 : x < 0.97 ? r.between(2, 12) : r.between(100, 600), astral) || 'x'
}

// Positions ignore surrogate pairs on purpose: an edit may fall between the two halves of one.
const position = (r, length) => (r.chance(0.25) ? length : r.chance(0.15) ? 0 : r.below(length + 1))

const range = (r, length, most) => {
  const at = r.below(length)
  return [at, Math.min(length - at, r.between(1, r.chance(0.9) ? most : length))]
}

const insertText = (a, t) => t.insert(position(a.r, t.length), string(a))
const deleteText = (a, t) => t.length > 0 && t.delete(...range(a.r, t.length, 8))

const typeText = (a, t) => {
  let at = position(a.r, t.length)
  for (let n = a.r.between(3, 12); n > 0; n--) {
    const s = values.text(a.r, 1, a.astral)
    t.insert(at, s)
    at += s.length
  }
}

const formatText = (a, t) => t.length > 0 && t.format(...range(a.r, t.length, 20), values.attributes(a.r, true))

const textEdits = [insertText, insertText, insertText, typeText, deleteText, deleteText]

const formatEdits = [
  formatText, formatText, formatText, insertText, deleteText,
  (a, t) => t.insert(position(a.r, t.length), string(a), values.attributes(a.r, true)),
  (a, t) => t.insertEmbed(position(a.r, t.length), values.embed(a.r), values.attributes(a.r, false)),
  (a, t) => t.insertEmbed(position(a.r, t.length), values.embed(a.r)),
  (a, t) => a.legacy && a.r.chance(0.3) && t.insertEmbed(position(a.r, t.length), nested(a, 0)),
  (a, t) => t.applyDelta(delta(a, t.length)),
  (a, t) => t.setAttribute(a.r.pick(attributeNames), values.json(a.r, 1, a.astral))
]

const delta = (a, length) => {
  const { r } = a
  const ops = []
  for (let at = 0, n = r.between(1, 5); n > 0; n--) {
    const keep = r.below(length - at + 1)
    if (keep > 0) ops.push(r.chance(0.5) ? { retain: keep } : { retain: keep, attributes: values.attributes(r, true) })
    at += keep
    const x = r.float()
    if (x < 0.5) ops.push({ insert: string(a), attributes: values.attributes(r, false) })
    else if (x < 0.6) ops.push({ insert: values.embed(r) })
    else if (at < length) {
      const gone = r.between(1, Math.min(length - at, 6))
      ops.push({ delete: gone })
      at += gone
    }
  }
  return ops
}

// nested makes a shared type with some content; depth bounds how deep it nests.
const nested = (a, depth = 2) => {
  const { r } = a
  switch (r.below(depth > 0 ? 5 : 3)) {
    case 0: return new Y.Text(r.chance(0.3) ? undefined : string(a))
    case 1: return Y.Array.from(Array.from({ length: r.below(4) }, () => arrayValue(a, 2)))
    case 2: {
      const m = new Y.Map()
      for (let n = r.below(3); n > 0; n--) m.set(r.pick(keys), values.any(r, 2, a.astral))
      return m
    }
    case 3: return r.chance(0.4) ? new Y.Array() : r.chance(0.5) ? new Y.XmlFragment() : xmlNode(a)
    default: {
      const m = new Y.Map()
      m.set('x', nested(a, depth - 1))
      return m
    }
  }
}

// arrayValue wraps what Y.Array.insert refuses at the top level although its wire format can carry it.
const arrayValue = (a, depth) => {
  const v = values.any(a.r, depth, a.astral)
  return v === undefined || typeof v === 'bigint' ? { b: v } : v
}

// element is one value for an array or a map: plain content, bytes or a shared type.
const element = a => {
  const x = a.r.float()
  if (x < 0.7) return arrayValue(a, 3)
  if (x < 0.8) return values.bytes(a.r)
  return nested(a)
}

const children = type => type.toArray().filter(v => v instanceof Y.AbstractType)
const entries = map => Array.from(map.values()).filter(v => v instanceof Y.AbstractType)

// editNested changes a shared type found inside another one.
const editNested = (a, found) => {
  const t = found.length > 0 ? a.r.pick(found) : undefined
  if (t instanceof Y.XmlFragment || t instanceof Y.XmlText || t instanceof Y.XmlHook) a.r.pick(xmlEdits)(a, t)
  else if (t instanceof Y.Text) a.r.pick(a.r.chance(0.5) ? textEdits : formatEdits)(a, t)
  else if (t instanceof Y.Array) a.r.pick(arrayEdits)(a, t)
  else if (t instanceof Y.Map) a.r.pick(mapEdits)(a, t)
}

const insertElements = (a, t) => t.insert(position(a.r, t.length), Array.from({ length: a.r.between(1, 4) }, () => element(a)))

const arrayEdits = [
  insertElements, insertElements, insertElements,
  (a, t) => t.push([element(a)]),
  (a, t) => t.length > 0 && t.delete(...range(a.r, t.length, 3)),
  (a, t) => t.length > 0 && t.delete(...range(a.r, t.length, 3)),
  (a, t) => editNested(a, children(t)),
  (a, t) => editNested(a, children(t)),
  (a, t) => a.legacy && insertLegacy(a, t)
]

// insertLegacy appends content that the wire carries but Y.Array.insert does not make: ContentJSON, which only
// versions before 13 wrote, and bigint or undefined beside other values.
const insertLegacy = (a, t) => {
  const { doc, r } = a
  Y.transact(doc, tr => {
    let left = null
    for (let i = t._start; i !== null; i = i.right) left = i
    const make = value => Array.from({ length: r.between(1, 4) }, value)
    const content = r.chance(0.6)
      ? new Y.ContentJSON(make(() => (r.chance(0.2) ? undefined : values.json(r, 2, a.astral))))
      : new Y.ContentAny(make(() => values.any(r, 2, a.astral)))
    const id = Y.createID(doc.clientID, Y.getState(doc.store, doc.clientID))
    new Y.Item(id, left, left && left.lastId, null, null, t, null, content).integrate(tr, 0)
  })
}

const mapEdits = [
  (a, t) => t.set(a.r.pick(keys), values.any(a.r, 3, a.astral)),
  (a, t) => t.set(a.r.pick(keys), element(a)),
  (a, t) => t.set(a.r.pick(keys), element(a)),
  (a, t) => t.set(a.r.pick(['n0', 'n1']), nested(a)),
  (a, t) => t.delete(a.r.pick(keys)),
  (a, t) => a.r.chance(0.1) && t.clear(),
  (a, t) => editNested(a, entries(t)),
  (a, t) => editNested(a, entries(t))
]

const xmlNode = a => {
  const { r } = a
  const x = r.float()
  if (x < 0.05) {
    const hook = new Y.XmlHook('hook' + r.below(3))
    hook.set('h', r.chance(0.7) ? values.json(r, 1) : nested(a, 0))
    return hook
  }
  if (x < 0.35) return new Y.XmlText(string(a))
  const e = new Y.XmlElement(r.pick(nodeNames))
  if (r.chance(0.4)) e.setAttribute(r.pick(attributeNames), 'v' + r.below(100))
  if (r.chance(0.5)) e.insert(0, [r.chance(0.8) ? new Y.XmlText(string(a)) : xmlNode(a)])
  return e
}

const insertNodes = (a, t) => t instanceof Y.XmlFragment &&
  t.insert(position(a.r, t.length), Array.from({ length: a.r.between(1, 3) }, () => xmlNode(a)))

const setXmlAttribute = (a, t) => {
  const { r } = a
  if (t instanceof Y.XmlHook) return t.set(r.pick(keys), values.json(r, 2))
  if (t instanceof Y.XmlElement || t instanceof Y.XmlText) {
    return r.chance(0.2)
      ? t.removeAttribute(r.pick(attributeNames))
      : t.setAttribute(r.pick(attributeNames), r.chance(0.8) ? 'v' + r.below(100) : r.pick([1, 0.5, true, 'é"<']))
  }
}

const xmlEdits = [
  insertNodes, insertNodes,
  (a, t) => t instanceof Y.XmlText && a.r.pick(textEdits)(a, t),
  (a, t) => t instanceof Y.XmlText && a.r.pick(formatEdits)(a, t),
  setXmlAttribute, setXmlAttribute,
  (a, t) => t instanceof Y.XmlFragment && t.length > 0 && t.delete(...range(a.r, t.length, 2)),
  (a, t) => t instanceof Y.XmlFragment && editNested(a, children(t)),
  (a, t) => t instanceof Y.XmlFragment && editNested(a, children(t)),
  (a, t) => t instanceof Y.XmlFragment && editNested(a, children(t))
]

const subdocument = ({ r }) => new Y.Doc({
  guid: 'sub-' + r.below(6),
  ...(r.chance(0.3) ? { gc: false } : {}),
  ...(r.chance(0.3) ? { autoLoad: true } : {}),
  ...(r.chance(0.4) ? { meta: values.json(r, 1) } : {})
})

const subdocumentEdits = [
  (a, t) => t.set('doc' + a.r.below(3), subdocument(a)),
  (a, t) => t.set('doc' + a.r.below(3), subdocument(a)),
  (a, t) => t.delete('doc' + a.r.below(3)),
  (a) => a.doc.getArray(roots.arr).push([subdocument(a)])
]

// families maps a kind of a scenario to its edits on the root type.
export const families = {
  text: a => a.r.pick(textEdits)(a, a.doc.getText(roots.text)),
  fmt: a => a.r.pick(formatEdits)(a, a.doc.getText(roots.text)),
  arr: a => a.r.pick(arrayEdits)(a, a.doc.getArray(roots.arr)),
  map: a => a.r.pick(mapEdits)(a, a.doc.getMap(roots.map)),
  xml: a => a.r.pick(xmlEdits)(a, a.doc.getXmlFragment(roots.xml)),
  sub: a => a.r.pick(subdocumentEdits)(a, a.doc.getMap(roots.map))
}
