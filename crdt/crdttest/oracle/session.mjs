// A session: several authors edit copies of one document and exchange updates late, in part and out of order.
import * as Y from 'yjs'
import { Random } from './random.mjs'
import { families } from './edits.mjs'
import { declare } from './view.mjs'

const kinds = [
  ['text'], ['fmt'], ['arr'], ['map'], ['xml'],
  ['text', 'fmt'], ['arr', 'map'], ['map', 'sub'], ['fmt', 'xml'], ['text', 'fmt', 'arr', 'map', 'xml', 'sub']
]

const fromNetwork = Symbol('network')

// clientIDs returns n distinct ids: 32-bit ones as Yjs 13 draws them, and by seed tiny ones, or up to 2^53 - 1.
const clientIDs = (r, seed, n) => {
  const ids = new Set()
  while (ids.size < n) {
    if (seed % 11 === 3) ids.add(2 ** 40 + r.uint32())
    else if (seed % 23 === 5) ids.add(Number.MAX_SAFE_INTEGER - r.below(100))
    else if (seed % 13 === 7) ids.add(r.between(2, 40))
    else ids.add(r.uint32())
  }
  return Array.from(ids)
}

// An Author is one client: a doc, what it has received, and sometimes an UndoManager.
class Author {
  constructor (session, index, id) {
    this.r = session.r
    this.astral = session.astral
    this.legacy = session.legacy
    this.index = index
    this.seen = new Set()
    this.doc = declare(new Y.Doc({ gc: session.gc }))
    this.doc.clientID = id
    this.undoManager = session.undo
      // A capture timeout of 0 never joins two edits, a huge one always does: neither looks at the clock.
      ? new Y.UndoManager(Array.from(this.doc.share.values()), { captureTimeout: session.r.pick([0, 1e9]) })
      : null
    let v1 = null
    this.doc.on('update', (u, origin) => { if (origin !== fromNetwork) v1 = u })
    this.doc.on('updateV2', (u, origin) => {
      if (origin !== fromNetwork) this.seen.add(session.record(index, v1, u))
    })
  }

  edit (session) {
    const { r } = this
    if (this.undoManager !== null && r.chance(0.2)) {
      const which = r.below(5)
      if (which < 3) this.undoManager.undo()
      else if (which < 4) this.undoManager.redo()
      else this.undoManager.stopCapturing()
      return
    }
    const n = r.chance(0.65) ? 1 : r.chance(0.93) ? r.between(2, 6) : r.between(20, 50)
    this.doc.transact(() => {
      for (let i = 0; i < n; i++) families[r.pick(session.kind)](this)
    })
  }

  receive (session, i) {
    if (this.seen.has(i)) return
    this.seen.add(i)
    if (this.r.chance(0.5)) Y.applyUpdate(this.doc, session.updates[i].v1, fromNetwork)
    else Y.applyUpdateV2(this.doc, session.updates[i].v2, fromNetwork)
  }
}

class Session {
  constructor (seed) {
    const r = new Random(seed)
    this.r = r
    this.seed = seed
    this.kind = kinds[seed % kinds.length]
    this.astral = seed % 4 === 0
    this.gc = seed % 9 !== 4
    this.undo = seed % 5 === 2
    this.legacy = seed % 3 === 1
    this.messy = seed % 7 === 6
    this.updates = []
    const n = r.chance(0.05) ? 1 : r.chance(0.05) ? 12 : r.between(2, 5)
    this.clients = clientIDs(r, seed, n)
    this.authors = this.clients.map((id, i) => new Author(this, i, id))
  }

  record (c, v1, v2) {
    this.updates.push({ c, v1, v2 })
    return this.updates.length - 1
  }

  run () {
    const { r } = this
    const x = r.float()
    const turns = x < 0.15 ? r.between(1, 5) : x < 0.9 ? r.between(10, 60) : r.between(100, 180)
    const chatter = r.pick([0.1, 0.4, 0.8])
    for (let i = 0; i < turns; i++) {
      r.pick(this.authors).edit(this)
      if (r.chance(chatter)) this.exchange()
      if (this.messy && r.chance(0.15)) this.resend()
    }
  }

  // exchange brings one author some of the updates that it lacks: oldest first, or any of them.
  exchange () {
    const { r } = this
    const to = r.pick(this.authors)
    const lacking = []
    for (let i = 0; i < this.updates.length; i++) if (!to.seen.has(i)) lacking.push(i)
    if (lacking.length === 0) return
    if (r.chance(0.15)) r.shuffle(lacking)
    const most = r.chance(0.3) ? lacking.length : r.between(1, lacking.length)
    for (const i of lacking.slice(0, most)) to.receive(this, i)
  }

  // resend records what a reconnecting or batching client sends: a diff that the server has in part, or several
  // earlier updates merged into one, with gaps between them.
  resend () {
    const { r } = this
    const a = r.pick(this.authors)
    const own = this.updates.filter(u => u.c === a.index)
    if (own.length === 0) return
    let v1, v2
    if (r.chance(0.5)) {
      const other = r.pick(this.authors).doc
      const sv = r.chance(0.3) ? undefined : Y.encodeStateVector(other)
      v1 = Y.encodeStateAsUpdate(a.doc, sv)
      v2 = Y.encodeStateAsUpdateV2(a.doc, sv)
    } else {
      const some = own.filter(() => r.chance(0.5))
      if (some.length < 2) return
      v1 = Y.mergeUpdates(some.map(u => u.v1))
      v2 = Y.mergeUpdatesV2(some.map(u => u.v2))
    }
    a.seen.add(this.record(a.index, v1, v2))
  }
}

// session runs the session of one seed and returns its updates and how it was made.
export const session = seed => {
  const s = new Session(seed)
  do s.run(); while (s.updates.length === 0)
  return s
}
