// Plays sessions of undoing with real Yjs: node undo.mjs --seed N --count N
// A doc applies the updates of a session, some of them with an origin that its UndoManager tracks, and now and then
// undoes and redoes. Everything it writes thereby is the UndoManager's, so that bytes can be compared with an engine
// whose own editing takes other ways. One JSON object a line: see UndoSession in ../undo.go.
import './deterministic.mjs'
import { parseArgs } from 'node:util'
import * as Y from 'yjs'
import { Random } from './random.mjs'
import { session } from './session.mjs'
import { base64, canonical, declare, roots, view } from './view.mjs'

const { values } = parseArgs({ options: { seed: { type: 'string' }, count: { type: 'string' } } })

const play = seed => {
  const { updates } = session(seed)
  const r = new Random(seed + 1e9)
  const gc = r.chance(0.8)
  const doc = declare(new Y.Doc({ gc }))
  doc.clientID = 1
  const names = Object.values(roots)
  const scope = r.pick([null, names, names.filter(() => r.chance(0.6))])
  const join = r.chance(0.4)
  const overwrite = r.chance(0.2)
  const tidying = r.chance(0.5)
  const events = r.chance(0.5)
  const keepTypes = r.chance(0.2)
  const um = new Y.UndoManager(scope === null ? doc : scope.map(n => doc.share.get(n)), {
    doc,
    captureTimeout: join ? 1e12 : 0,
    // Yjs records transactions without any change when the scope is the whole doc; the engine does not.
    captureTransaction: tr => tr.deleteSet.clients.size > 0 ||
      Array.from(tr.afterState).some(([client, clock]) => tr.beforeState.get(client) !== clock),
    trackedOrigins: new Set(tidying ? ['me', null] : ['me']),
    deleteFilter: item => !(keepTypes && item.content instanceof Y.ContentType),
    ignoreRemoteMapChanges: overwrite
  })
  let told
  um.on('stack-item-added', ({ type }) => told.push(['added', type]))
  um.on('stack-item-updated', ({ type }) => told.push(['updated', type]))
  um.on('stack-item-popped', ({ type }) => told.push(['popped', type]))
  um.on('stack-cleared', e => told.push(['cleared', e.undoStackCleared, e.redoStackCleared]))
  let heard
  let deltas
  doc.on('update', u => heard.push(base64(u)))
  if (events) doc.getText(roots.text).observe(e => deltas.push(canonical(e.delta)))
  const mine = new Set(updates.map(u => u.c).filter(() => r.chance(0.5)))
  const steps = []
  const step = (op, f, more = {}) => {
    heard = []
    deltas = []
    told = []
    f()
    steps.push({ op, ...more, updates: heard, deltas, told, undo: um.undoStack.length, redo: um.redoStack.length })
  }
  for (const u of updates) {
    const origin = mine.has(u.c) ? 'me' : 'other'
    step('apply', () => Y.applyUpdate(doc, u.v1, origin), { update: base64(u.v1), origin })
    while (r.chance(0.35)) {
      const op = r.weighted({ undo: 5, redo: 3, stop: 1, clear: 0.2, clearUndo: 0.1, clearRedo: 0.1 })
      step(op, {
        undo: () => um.undo(),
        redo: () => um.redo(),
        stop: () => um.stopCapturing(),
        clear: () => um.clear(),
        clearUndo: () => um.clear(true, false),
        clearRedo: () => um.clear(false, true)
      }[op])
    }
  }
  while (um.canUndo()) step('undo', () => um.undo())
  while (um.canRedo()) step('redo', () => um.redo())
  return {
    seed, gc, scope, join, overwrite, tidying, events, keepTypes, steps,
    v1: base64(Y.encodeStateAsUpdate(doc)),
    v2: base64(Y.encodeStateAsUpdateV2(doc)),
    view: view(doc)
  }
}

for (let i = 0; i < Number(values.count); i++) console.log(JSON.stringify(play(Number(values.seed) + i)))
