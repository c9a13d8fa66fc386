// Records the events of real Yjs: node events.mjs --seed N --count N
// A doc that declares the four roots applies the updates of a session, with an observer on every shared type that
// reads all of each event. One JSON object a line: see EventSession in ../events.go.
import './deterministic.mjs'
import { parseArgs } from 'node:util'
import * as Y from 'yjs'
import { session } from './session.mjs'
import { base64, canonical, declare, view } from './view.mjs'

const { values } = parseArgs({ options: { seed: { type: 'string' }, count: { type: 'string' } } })

// path is the way from the root: its name, then keys and indexes.
const path = (doc, type) => {
  const steps = []
  while (type._item !== null) {
    const { parent, parentSub } = type._item
    let index = 0
    for (let c = parent._start; parentSub === null && c !== type._item; c = c.right) {
      if (!c.deleted && c.countable) index += c.length
    }
    steps.unshift(parentSub ?? index)
    type = parent
  }
  steps.unshift(Array.from(doc.share).find(([, t]) => t === type)[0])
  return steps
}

const describe = (doc, e) => ({
  path: path(doc, e.target),
  delta: canonical(e.delta),
  keys: Object.fromEntries(Array.from(e.keys, ([k, { action, oldValue }]) =>
    [k, action === 'add' ? { action } : { action, old: canonical(oldValue) }]))
})

const types = function * (doc) {
  yield * doc.share.values()
  for (const structs of doc.store.clients.values()) {
    for (const s of structs) if (s.content instanceof Y.ContentType) yield s.content.type
  }
}

const guids = docs => Array.from(docs, d => d.guid).sort()

const play = seed => {
  const { updates } = session(seed)
  const doc = declare(new Y.Doc())
  doc.clientID = 1
  const watched = new Set()
  let step
  doc.on('beforeObserverCalls', () => {
    for (const t of types(doc)) {
      if (watched.has(t)) continue
      watched.add(t)
      t.observe(e => step.events.push(describe(doc, e)))
    }
  })
  // Events of what lies in a root come together, those of outer types first.
  doc.share.forEach((t, name) => t.observeDeep(events => {
    step.deep[name] = (step.deep[name] ?? []).concat(events.map(e => path(doc, e.target)))
  }))
  doc.on('update', u => step.updates.push(base64(u)))
  doc.on('updateV2', u => step.updatesV2.push(base64(u)))
  const gone = new Set()
  doc.on('subdocs', ({ added, removed, loaded }) => {
    // Yjs destroys what was removed, and that reports it once more.
    if (added.size === 0 && Array.from(removed).every(d => gone.has(d))) return
    removed.forEach(d => gone.add(d))
    // Yjs also names as loaded what was removed in the same transaction.
    loaded.forEach(d => { if (!added.has(d)) loaded.delete(d) })
    step.subdocs.push({ added: guids(added), removed: guids(removed), loaded: guids(loaded) })
  })
  const steps = []
  for (const u of updates) {
    step = { update: base64(u.v1), events: [], deep: {}, updates: [], updatesV2: [], subdocs: [] }
    Y.applyUpdate(doc, u.v1, 'network')
    steps.push(step)
  }
  return { seed, steps, v1: base64(Y.encodeStateAsUpdate(doc)), view: view(doc) }
}

for (let i = 0; i < Number(values.count); i++) console.log(JSON.stringify(play(Number(values.seed) + i)))
