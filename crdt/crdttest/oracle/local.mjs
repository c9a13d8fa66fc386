// Plays sessions of local editing with real Yjs: node local.mjs --seed N --count N
// A doc is edited through its own types, undoes and redoes, and now and then applies what another author did.
// One JSON object a line: see LocalSession in ../local.go. Yjs' cache of positions, which makes an insert go to
// another place among deleted neighbours depending on what was edited before, is switched off.
import './deterministic.mjs'
import { parseArgs } from 'node:util'
import * as Y from 'yjs'
import { Random } from './random.mjs'
import { text as words } from './values.mjs'
import { base64, canonical, declare, roots, view } from './view.mjs'

const { values } = parseArgs({ options: { seed: { type: 'string' }, count: { type: 'string' } } })

// value is one that JSON can carry, objects with one key as their order is not the point here.
const value = (r, astral, depth = 2) => {
  switch (r.below(depth > 0 ? 8 : 6)) {
    case 0: return null
    case 1: return r.chance(0.5)
    case 2: return r.pick([0, 1, -1, 64, 0.5, 0.1, 2147483648, -2147483648, 1e21, 9007199254740991])
    case 3: return r.between(-1000, 1000)
    case 6: return Array.from({ length: r.below(3) }, () => value(r, astral, depth - 1))
    case 7: return { [r.pick(['a', 'b', '1'])]: value(r, astral, depth - 1) }
    default: return words(r, r.below(5), astral)
  }
}

// Objects are left out: whether two of them are the same depends in Yjs on whether the doc was reloaded in between.
const formats = (r, some) => {
  const out = {}
  for (const [k, list] of [['bold', [true, null]], ['color', ['red', 'blue', null]], ['link', ['x', 'y', 5, null]]]) {
    if (r.chance(some)) out[k] = r.pick(list)
  }
  return out
}

const keys = ['k0', 'k1', 'k2', '']
const position = (r, n) => r.chance(0.3) ? n : r.below(n + 1)
const range = (r, n, most) => {
  const at = r.below(n)
  return [at, r.between(1, Math.min(n - at, most))]
}

// Each edit is [name, arguments...]; run carries it out on a type, the test does the same.
const textEdit = (r, t, astral) => {
  const n = t.length
  const s = words(r, r.between(1, 6), astral) || 'x'
  switch (r.below(n > 0 ? 9 : 4)) {
    case 0: case 1: return ['insert', position(r, n), s]
    case 2: return r.chance(0.5)
      ? ['insertf', position(r, n), s, formats(r, 0.4)]
      : r.chance(0.7)
        ? ['embed', position(r, n), { image: s }, formats(r, 0.3)]
        : ['embedType', position(r, n), r.pick(Object.keys(make)), formats(r, 0.3)]
    case 3: return r.chance(0.2) ? ['tidy'] : ['attr', r.pick(keys), value(r, astral)]
    case 4: case 5: return ['delete', ...range(r, n, 8)]
    case 6: return ['delta', delta(r, n, astral)]
    default: return ['format', ...range(r, n, 12), formats(r, 0.5)]
  }
}

const delta = (r, length, astral) => {
  const ops = []
  for (let at = 0, n = r.between(1, 4); n > 0; n--) {
    const keep = r.between(0, Math.min(6, length - at))
    at += keep
    if (keep > 0) ops.push(r.chance(0.5) ? { retain: keep } : { retain: keep, attributes: formats(r, 0.5) })
    const cut = r.between(0, Math.min(4, length - at))
    if (r.chance(0.4) && cut > 0) {
      at += cut
      ops.push({ delete: cut })
    } else {
      ops.push({ insert: words(r, r.between(1, 4), astral) || 'y', attributes: formats(r, 0.3) })
    }
  }
  return ops
}

const listEdit = (r, t, astral) => {
  const n = t.length
  switch (r.below(n > 0 ? 5 : 3)) {
    case 0: case 1: return ['insert', position(r, n), Array.from({ length: r.between(1, 3) }, () => value(r, astral))]
    case 2: return r.chance(0.6)
      ? ['insertType', position(r, n), r.pick(Object.keys(make))]
      : [r.pick(['push', 'unshift']), Array.from({ length: r.between(1, 2) }, () => value(r, astral))]
    default: return ['delete', ...range(r, n, 3)]
  }
}

const mapEdit = (r, t, astral) => {
  switch (r.below(6)) {
    case 0: return r.chance(0.9) ? ['unset', r.pick(keys)] : ['clear']
    case 1: return ['setType', r.pick(keys), r.pick(Object.keys(make))]
    case 2: return ['setDoc', r.pick(keys), 'sub-' + r.below(3)]
    default: return ['set', r.pick(keys), value(r, astral)]
  }
}

const xmlEdit = (r, t) => {
  const n = t.length
  switch (r.below(n > 0 ? 6 : 4)) {
    case 0: return ['element', position(r, n), r.pick(['p', 'h1'])]
    case 1: return ['text', position(r, n)]
    case 2: return r.chance(0.5) ? ['hook', position(r, n), 'h' + r.below(2)] : ['after', r.below(n + 1) - 1, r.pick(['element', 'xmlText', 'hook'])]
    case 3: return t instanceof Y.XmlElement ? ['attr', r.pick(keys), 'v' + r.below(9)] : ['text', position(r, n)]
    default: return ['delete', ...range(r, n, 2)]
  }
}

// make has a maker for each kind of shared type; names of elements and hooks are p.
const make = {
  text: () => new Y.Text(),
  array: () => new Y.Array(),
  map: () => new Y.Map(),
  fragment: () => new Y.XmlFragment(),
  element: () => new Y.XmlElement('p'),
  xmlText: () => new Y.XmlText(),
  hook: () => new Y.XmlHook('p')
}

const nested = t => {
  if (t._searchMarker) t._searchMarker = null
  return t
}

const run = (t, [name, ...a]) => {
  switch (name) {
    case 'insert': return t.insert(...a)
    case 'insertf': return t.insert(...a)
    case 'embed': return t.insertEmbed(...a)
    case 'attr': return t.setAttribute(...a)
    case 'delete': return t.delete(...a)
    case 'delta': return t.applyDelta(a[0])
    case 'format': return t.format(...a)
    case 'embedType': return t.insertEmbed(a[0], nested(make[a[1]]()), a[2])
    case 'tidy': return Y.cleanupYTextFormatting(t)
    case 'push': return t.push(a[0])
    case 'unshift': return t.unshift(a[0])
    case 'clear': return t.clear()
    case 'after': return t.insertAfter(a[0] < 0 ? null : t.get(a[0]), [nested(make[a[1]]())])
    case 'insertType': return t.insert(a[0], [nested(make[a[1]]())])
    case 'unset': return t.delete(a[0])
    case 'set': return t.set(...a)
    case 'setType': return t.set(a[0], nested(make[a[1]]()))
    case 'setDoc': return t.set(a[0], new Y.Doc({ guid: a[1] }))
    case 'element': return t.insert(a[0], [new Y.XmlElement(a[1])])
    case 'text': return t.insert(a[0], [nested(new Y.XmlText())])
    case 'hook': return t.insert(a[0], [new Y.XmlHook(a[1])])
  }
}

const editOf = (r, t, astral) => {
  if (t instanceof Y.Text) return textEdit(r, t, astral)
  if (t instanceof Y.Array) return listEdit(r, t, astral)
  if (t instanceof Y.Map) return mapEdit(r, t, astral)
  return xmlEdit(r, t)
}

// pick descends from a root and returns a type and the way to it.
const pick = (r, doc) => {
  const path = [r.pick(Object.values(roots))]
  let t = doc.share.get(path[0])
  while (r.chance(0.6)) {
    const children = []
    if (t instanceof Y.Map) t.forEach((v, k) => { if (v instanceof Y.AbstractType) children.push([k, v]) })
    else if (!(t instanceof Y.Text)) t.toArray().forEach((v, i) => { if (v instanceof Y.AbstractType) children.push([i, v]) })
    if (children.length === 0) break
    const [step, child] = r.pick(children)
    path.push(step)
    t = child
  }
  return { path, t: nested(t) }
}

const author = (id, gc) => {
  const doc = declare(new Y.Doc({ gc }))
  doc.clientID = id
  doc.share.forEach(nested)
  return doc
}

const play = seed => {
  const r = new Random(seed)
  const astral = r.chance(0.25)
  const gc = r.chance(0.8)
  const ids = r.shuffle([5, r.between(6, 2 ** 32 - 1)])
  const doc = author(ids[0], gc)
  const other = author(ids[1], gc)
  const join = r.chance(0.3)
  const tracked = r.chance(0.8)
  const um = new Y.UndoManager(Object.values(roots).map(n => doc.share.get(n)), { captureTimeout: join ? 1e12 : 0 })
  let heard
  let deltas
  doc.on('update', u => heard.push(base64(u)))
  const events = r.chance(0.4)
  if (events) doc.getText(roots.text).observe(e => deltas.push(canonical(e.delta)))
  const steps = []
  const step = (op, f, more = {}) => {
    heard = []
    deltas = []
    f()
    steps.push({ op, ...more, updates: heard, deltas, undo: um.undoStack.length, redo: um.redoStack.length })
  }
  const edit = target => {
    const edits = []
    target.transact(() => {
      for (let n = r.chance(0.7) ? 1 : r.between(2, 5); n > 0; n--) {
        const { path, t } = pick(r, target)
        const e = editOf(r, t, astral)
        run(t, structuredClone(e)) // Yjs adds to the formats it is given
        edits.push({ path, edit: e })
      }
    })
    return edits
  }
  for (let n = r.between(5, 60); n > 0; n--) {
    const x = r.float()
    if (x < 0.55) {
      const more = {}
      step('edit', () => { more.edits = edit(doc) }, more)
      steps[steps.length - 1].edits = more.edits
    } else if (x < 0.7) {
      if (r.chance(0.6)) Y.applyUpdate(other, Y.encodeStateAsUpdate(doc), 'network')
      const sv = Y.encodeStateVector(doc)
      edit(other)
      const u = Y.encodeStateAsUpdate(other, sv)
      step('apply', () => Y.applyUpdate(doc, u, 'network'), { update: base64(u) })
    } else if (tracked) {
      const op = r.weighted({ undo: 5, redo: 3, stop: 1 })
      step(op, { undo: () => um.undo(), redo: () => um.redo(), stop: () => um.stopCapturing() }[op])
    }
  }
  return { seed, client: ids[0], gc, join, events, steps, v1: base64(Y.encodeStateAsUpdate(doc)), view: view(doc) }
}

for (let i = 0; i < Number(values.count); i++) console.log(JSON.stringify(play(Number(values.seed) + i)))
