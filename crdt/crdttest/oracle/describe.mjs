// Everything that real Yjs says about a list of updates: the states of servers of several sorts, merges, diffs,
// conversions, snapshots and relative positions. A scenario is this description with the updates themselves.
import * as Y from 'yjs'
import { base64, canonical, declare, roots, view } from './view.mjs'

// A server's own client id never reaches its updates, but a random one could be an author's.
const serverID = 1

const server = gc => {
  const doc = new Y.Doc({ gc })
  doc.clientID = serverID
  return doc
}

const states = doc => ({ v1: base64(Y.encodeStateAsUpdate(doc)), v2: base64(Y.encodeStateAsUpdateV2(doc)) })

// choose draws the free choices of a description, so that it can be made again from them.
export const choose = (r, updates) => ({
  order: order(r, updates),
  half: Math.floor(updates.length / 2),
  mid: r.below(updates.length),
  relpos: Array.from({ length: 4 }, () => ({ at: r.float(), assoc: r.pick([0, -1]) })),
  versions: Array.from({ length: 3 }, () => ({
    at: r.chance(0.2) ? null : r.below(updates.length + 1),
    since: r.chance(0.2) ? null : r.below(updates.length + 1),
    user: r.chance(0.5)
  }))
})

// order is a permutation of the updates as a network may deliver them: fully shuffled, each a little late,
// author after author as when they were offline, or one held back to the end.
const order = (r, updates) => {
  const ids = updates.map((_, i) => i)
  const x = r.float()
  if (x < 0.3) return r.shuffle(ids)
  if (x < 0.6) {
    const late = ids.map(i => i + r.float() * 12)
    return ids.sort((a, b) => late[a] - late[b])
  }
  if (x < 0.8) {
    const rank = r.shuffle(Array.from({ length: 12 }, (_, i) => i))
    return ids.sort((a, b) => rank[updates[a].c] - rank[updates[b].c] || a - b)
  }
  ids.push(...ids.splice(r.below(ids.length), 1))
  return ids
}

// watched is the server of the field final: gc on, roots declared, and an observer that reads each event's delta.
// Reading a delta makes Yjs delete formatting that became redundant, so the observer is part of the outcome.
const watched = (updates, mid) => {
  const doc = declare(server(true))
  const events = []
  let current = null
  doc.getText(roots.text).observe(e => { (current ??= []).push(canonical(e.delta)) })
  let middle = at(doc, mid, 0)
  updates.forEach((u, i) => {
    current = null
    Y.applyUpdate(doc, u)
    events.push(current)
    middle ??= at(doc, mid, i + 1)
  })
  return { doc, events, middle }
}

const at = (doc, mid, applied) => mid !== applied
  ? undefined
  : { sv: Y.encodeStateVector(doc), v1: Y.encodeStateAsUpdate(doc) }

// kept is the server of the fields noGC and snapshotMid: gc off.
const kept = (updates, mid) => {
  const doc = declare(server(false))
  let snapshot = mid === 0 ? Y.snapshot(doc) : null
  updates.forEach((u, i) => {
    Y.applyUpdate(doc, u)
    if (i + 1 === mid) snapshot = Y.snapshot(doc)
  })
  return { doc, snapshot }
}

// version reads a doc with gc off as it was after some updates, and how it changed between two moments. Reading
// splits and merges structs in Yjs, so that each gets a doc of its own.
const version = (updates, { at, since, user }) => {
  const doc = declare(server(false))
  const moments = new Map()
  const look = i => { if (i === at || i === since) moments.set(i, Y.snapshot(doc)) }
  look(0)
  updates.forEach((u, i) => {
    Y.applyUpdate(doc, u)
    look(i + 1)
  })
  const mark = user ? (type, id) => ({ user: id.client, type }) : undefined
  const delta = doc.getText(roots.text).toDelta(moments.get(at), moments.get(since), mark)
  const shallow = v => v instanceof Y.AbstractType ? 'type' : canonical(v)
  const then = at === null ? doc : Y.createDocFromSnapshot(doc, moments.get(at))
  return {
    at,
    since,
    user,
    delta: canonical(delta),
    arr: then.getArray(roots.arr).toArray().map(shallow),
    map: Object.fromEntries(Array.from(then.getMap(roots.map).entries(), ([k, v]) => [k, shallow(v)]))
  }
}

const untyped = updates => {
  const doc = server(true)
  for (const u of updates) Y.applyUpdate(doc, u)
  const state = states(doc)
  // The view declares the roots, so it comes last.
  return { ...state, sv: base64(Y.encodeStateVector(doc)), view: view(doc) }
}

const shuffled = (updates, { order, half }) => {
  const doc = declare(server(true))
  let middle
  order.forEach((j, i) => {
    Y.applyUpdate(doc, updates[j])
    if (i === half) middle = pending(doc, half)
  })
  return { order, half: middle, ...states(doc) }
}

// pending describes a doc that waits for updates: half.at + 1 of them were applied.
const pending = (doc, half) => {
  const { pendingStructs: structs, pendingDs: deletes } = doc.store
  return {
    at: half,
    sv: base64(Y.encodeStateVector(doc)),
    ...states(doc),
    missing: structs && Array.from(structs.missing).sort((a, b) => a[0] - b[0]),
    pendingStructsV2: structs && base64(structs.update),
    pendingDsV2: deletes && base64(deletes),
    view: view(doc)
  }
}

const relativePosition = (doc, { idx, assoc }) => {
  const rel = Y.createRelativePositionFromTypeIndex(doc.getText(roots.text), idx, assoc)
  const enc = Y.encodeRelativePosition(rel)
  const abs = Y.createAbsolutePositionFromRelativePosition(Y.decodeRelativePosition(enc), doc)
  return { idx, assoc, enc: base64(enc), abs: abs && abs.index }
}

// fields maps the name of a field to its maker. shared computes each server once for all fields that need it.
const fields = {
  final: ({ final, finalV1, finalV2 }) => ({
    view: view(final.doc),
    sv: base64(Y.encodeStateVector(final.doc)),
    v1: base64(finalV1),
    v2: base64(finalV2),
    snapshot: base64(Y.encodeSnapshot(Y.snapshot(final.doc))),
    svFromUpdate: base64(Y.encodeStateVectorFromUpdate(finalV1))
  }),
  textEvents: ({ final }) => final.events,
  untyped: ({ updates }) => untyped(updates),
  noGC: ({ noGC: { doc } }) => ({ ...states(doc), sv: base64(Y.encodeStateVector(doc)), view: view(doc) }),
  shuffled: ({ updates, choices }) => shuffled(updates, choices),
  mid: ({ final: { doc, middle }, finalV1, choices }) => ({
    after: choices.mid,
    sv: base64(middle.sv),
    v1: base64(middle.v1),
    diffFromFinal: base64(Y.encodeStateAsUpdate(doc, middle.sv)),
    diffFromFinalV2: base64(Y.encodeStateAsUpdateV2(doc, middle.sv)),
    diffUpdate: base64(Y.diffUpdate(finalV1, middle.sv))
  }),
  merged: ({ list, updates, choices }) => ({
    v1: base64(Y.mergeUpdates(updates)),
    v2: base64(Y.mergeUpdatesV2(list.map(u => u.v2))),
    v1Shuffled: base64(Y.mergeUpdates(choices.order.map(j => updates[j])))
  }),
  convert: ({ finalV1, finalV2 }) => ({
    v1toV2: base64(Y.convertUpdateFormatV1ToV2(finalV1)),
    v2toV1: base64(Y.convertUpdateFormatV2ToV1(finalV2))
  }),
  relpos: ({ final: { doc }, choices }) => {
    const { length } = doc.getText(roots.text)
    return choices.relpos.map(({ idx, at, assoc }) =>
      relativePosition(doc, { idx: idx ?? Math.floor(at * (length + 1)), assoc }))
  },
  snapshotMid: ({ noGC: { doc, snapshot }, choices }) => ({
    after: choices.mid,
    v1: base64(Y.encodeSnapshot(snapshot)),
    v2: base64(Y.encodeSnapshotV2(snapshot)),
    view: view(Y.createDocFromSnapshot(doc, snapshot))
  })
}

// more are fields that no recording has and that are made only when asked for.
const more = {
  versions: ({ updates, choices }) => choices.versions.map(v => version(updates, v))
}

export const fieldNames = Object.keys(fields)
export const allNames = [...fieldNames, ...Object.keys(more)]

// describe returns the named fields of a scenario; they follow from its updates and the choices made.
export const describe = (list, choices, names = fieldNames) => {
  const updates = list.map(u => u.v1)
  const shared = {
    list,
    updates,
    choices,
    get final () { return once(this, 'final', watched(updates, choices.mid)) },
    get finalV1 () { return once(this, 'finalV1', Y.encodeStateAsUpdate(this.final.doc)) },
    get finalV2 () { return once(this, 'finalV2', Y.encodeStateAsUpdateV2(this.final.doc)) },
    get noGC () { return once(this, 'noGC', kept(updates, choices.mid)) }
  }
  return Object.fromEntries(names.map(name => [name, (fields[name] ?? more[name])(shared)]))
}

const once = (object, name, value) => {
  Object.defineProperty(object, name, { value })
  return value
}
