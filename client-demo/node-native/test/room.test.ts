// A room through faults, against a server that does what the test says.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import * as Y from 'ywasm'
import { Access, Code, SyncMode, Version } from '../src/gen/weft_pb.js'
import { Refusal, YrsReplica, type Client, type Room } from '../src/index.js'
import { FakeServer, soon, type FakeConn } from './fake.js'

/** A document of the server's side. */
class Other {
  readonly replica = new YrsReplica()
  readonly text = this.replica.doc.getText('t')

  insert (at: number, what: string): Uint8Array {
    const before = this.replica.stateVector()
    this.text.insert(at, what, undefined, undefined)
    return this.replica.diff(before)
  }

  takes (updates: Uint8Array[]): string {
    for (const update of updates) this.replica.apply(update, Version.V1)
    return this.text.toString(undefined)
  }
}

const textOf = (room: Room): string => textIn(room).toString(undefined)
const textIn = (room: Room): Y.YText => (room.replica as YrsReplica).doc.getText('t')
const write = (room: Room, at: number, what: string): void => textIn(room).insert(at, what, undefined, undefined)

/** Resolves with the first argument of an event. */
function event (room: Room, name: 'ended' | 'refused' | 'access' | 'joined' | 'signal' | 'presence' | 'change'): Promise<any> {
  return soon(name, new Promise(resolve => room.once(name as 'ended', resolve)))
}

/** A client in the room 'r' of a fake server. */
async function joined (t: TestContext, limits = {}, options = {}): Promise<{ fake: FakeServer, client: Client, conn: FakeConn, room: Room }> {
  const fake = await FakeServer.start(t)
  const client = fake.client(t)
  const room = client.join('r', options)
  const conn = await fake.welcome(limits)
  await Promise.all([conn.join(), room.joined()])
  return { fake, client, conn, room }
}

test('edits of one turn are one update, and unsaved until the ack', async t => {
  const { conn, room } = await joined(t)
  write(room, 0, 'ab')
  write(room, 2, 'c')
  assert.equal(room.unsaved, 2)
  const update = await conn.expect('update')
  assert.equal(update.id, 1n)
  assert.equal(update.roomId, 7n)
  assert.equal(update.updates.length, 2)
  assert.equal(new Other().takes(update.updates), 'abc')
  assert.equal(room.unsaved, 2)
  const saved = room.saved()
  conn.send({ case: 'ack', value: { roomId: 7n, id: 1n } })
  await soon('saved', saved)
})

test('what is beyond the updates in flight waits and leaves together', async t => {
  const { conn, room } = await joined(t, { maxUnackedUpdates: 2 })
  for (const [at, letter] of ['a', 'b', 'c', 'd', 'e'].entries()) {
    write(room, at, letter)
    await null // a turn of its own
    await null
  }
  const other = new Other()
  assert.equal(other.takes((await conn.expect('update')).updates), 'a')
  assert.equal(other.takes((await conn.expect('update')).updates), 'ab')
  conn.send({ case: 'ack', value: { roomId: 7n, id: 1n } })
  const rest = await conn.expect('update')
  assert.equal(rest.id, 3n)
  assert.equal(rest.updates.length, 3)
  assert.equal(other.takes(rest.updates), 'abcde')
  conn.send({ case: 'ack', value: { roomId: 7n, id: 3n } })
  await soon('saved', room.saved())
})

test('unsaved edits survive the connection, and the position is told', async t => {
  const { fake, conn, room } = await joined(t)
  const other = new Other()
  conn.send({ case: 'updated', value: { roomId: 7n, position: { epoch: 3n, seq: 41n }, update: other.insert(0, 'theirs ') } })
  await event(room, 'change')
  write(room, 7, 'mine ')
  await conn.expect('update')
  conn.cut()

  const again = await fake.welcome()
  write(room, 12, 'offline')
  const join = await again.join({ roomId: 8n, mode: SyncMode.TAIL, stateVector: other.replica.stateVector() })
  assert.deepEqual([join.resume?.epoch, join.resume?.seq], [3n, 41n])
  const update = await again.expect('update')
  assert.equal(update.id, 1n)
  assert.equal(update.roomId, 8n)
  assert.equal(update.updates.length, 2) // the very edits, not a diff
  assert.equal(other.takes(update.updates), 'theirs mine offline')
  assert.equal(room.unsaved, 2)
  again.send({ case: 'ack', value: { roomId: 8n, id: 1n } })
  await soon('saved', room.saved())
})

test('a server that has lost what it had gets it again', async t => {
  const { fake, conn, room } = await joined(t)
  write(room, 0, 'kept')
  await conn.expect('update')
  conn.send({ case: 'ack', value: { roomId: 7n, id: 1n } })
  await soon('saved', room.saved())
  conn.cut()
  const again = await fake.welcome()
  await again.join()
  assert.equal(new Other().takes((await again.expect('update')).updates), 'kept')
  assert.equal(room.unsaved, 1)
})

test('nothing is sent to a server that has everything', async t => {
  const { fake, conn, room } = await joined(t)
  write(room, 0, 'kept')
  await conn.expect('update')
  conn.send({ case: 'ack', value: { roomId: 7n, id: 1n } })
  await soon('saved', room.saved())
  conn.cut()
  const again = await fake.welcome()
  await again.join({ stateVector: room.replica.stateVector() })
  room.signal(Uint8Array.of(1)) // whatever came before it would be seen
  await soon('joined', room.joined())
  room.signal(Uint8Array.of(2))
  await again.expect('signal')
})

test('a document that exists before the room is brought into it', async t => {
  const other = new Other()
  other.insert(0, 'old')
  other.text.delete(0, 1, undefined)
  const fake = await FakeServer.start(t)
  fake.client(t).join('r', { replica: other.replica })
  const conn = await fake.welcome()
  await conn.join()
  assert.equal(new Other().takes((await conn.expect('update')).updates), 'ld')
})

test('a refused update that may be tried again is tried again', async t => {
  const { conn, room } = await joined(t)
  write(room, 0, 'x')
  await conn.expect('update')
  const refused = event(room, 'refused')
  conn.send({ case: 'refused', value: { code: Code.UNAVAILABLE, message: 'full', retry: true, retryAfterMs: 1, roomId: 7n, updateId: 1n } })
  assert.equal((await refused).code, Code.UNAVAILABLE)
  const update = await conn.expect('update')
  assert.equal(update.id, 2n)
  assert.equal(new Other().takes(update.updates), 'x')
  assert.equal(room.unsaved, 1)
})

test('a refused update that will never be taken ends the room', async t => {
  const { conn, room } = await joined(t)
  write(room, 0, 'x')
  await conn.expect('update')
  const saved = assert.rejects(room.saved(), { code: Code.MALFORMED, retry: false })
  conn.send({ case: 'refused', value: { code: Code.MALFORMED, message: 'no', roomId: 7n, updateId: 1n } })
  await soon('the end', saved)
  assert.equal(room.unsaved, 1)
  await assert.rejects(room.joined(), { code: Code.NORMAL })
})

test('an edit that no message can hold ends the room here', async t => {
  const { room } = await joined(t, { maxMessageBytes: 200 })
  const ended = event(room, 'ended')
  write(room, 0, 'x'.repeat(200))
  assert.equal((await ended).code, Code.TOO_LARGE)
})

test('what is refused and no update leaves the room as it is', async t => {
  const { conn, room } = await joined(t)
  room.setPresence({ user: { name: 'Ada' } })
  const { clientId, clock, state } = await conn.expect('setPresence')
  assert.equal(clientId, BigInt(room.replica.clientId))
  assert.equal(clock, 1n)
  assert.deepEqual(JSON.parse(Buffer.from(state).toString()), { user: { name: 'Ada' } })
  const refused = event(room, 'refused')
  conn.send({ case: 'refused', value: { code: Code.TOO_LARGE, message: 'too much', roomId: 7n } })
  assert.equal((await refused).code, Code.TOO_LARGE)
  room.setPresence(null)
  const gone = await conn.expect('setPresence')
  assert.equal(gone.clock, 2n)
  assert.equal(gone.state.length, 0)
})

test('a refused join is tried again only where that may help', async t => {
  const fake = await FakeServer.start(t)
  const client = fake.client(t)
  const room = client.join('r')
  const conn = await fake.welcome()
  const first = await conn.next()
  conn.send({ case: 'refused', value: { code: Code.OVERLOADED, message: 'later', retry: true, retryAfterMs: 1 } }, first.ref)
  const second = await conn.next()
  assert.equal(second.body.case, 'join')
  const ended = event(room, 'ended')
  conn.send({ case: 'refused', value: { code: Code.FORBIDDEN, message: 'no' } }, second.ref)
  assert.equal((await ended).code, Code.FORBIDDEN)
  assert.equal(client.status, 'connected')
  client.join('r').leave() // the name is free again
})

test('a place that is taken away is taken again where that may help', async t => {
  const { conn, room } = await joined(t)
  conn.send({ case: 'left', value: { roomId: 7n, reason: { code: Code.TOO_SLOW, message: 'slow', retry: true, retryAfterMs: 1 } } })
  await conn.join({ roomId: 9n })
  await soon('joined', room.joined())
  write(room, 0, 'x')
  assert.equal((await conn.expect('update')).roomId, 9n)
  const ended = event(room, 'ended')
  conn.send({ case: 'left', value: { roomId: 9n, reason: { code: Code.FORBIDDEN, message: 'out' } } })
  const why: Refusal = await ended
  assert.deepEqual([why.code, why.message], [Code.FORBIDDEN, 'FORBIDDEN: out'])
})

test('a reader keeps its edits until it may write', async t => {
  const { conn, room } = await joined(t)
  conn.send({ case: 'accessChanged', value: { roomId: 7n, access: Access.READ } })
  assert.equal(await event(room, 'access'), Access.READ)
  write(room, 0, 'x')
  await null
  room.signal(Uint8Array.of(1))
  await conn.expect('signal')
  assert.equal(room.unsaved, 1)
  conn.send({ case: 'accessChanged', value: { roomId: 7n, access: Access.WRITE } })
  assert.equal(new Other().takes((await conn.expect('update')).updates), 'x')
})

test('credit is given back when half of the window is used up', async t => {
  const { conn, room } = await joined(t, {}, { windowBytes: 400 })
  const other = new Other()
  const update = other.insert(0, 'x'.repeat(150))
  conn.send({ case: 'updated', value: { roomId: 7n, position: { epoch: 1n, seq: 1n }, update } })
  await event(room, 'change')
  const next = other.insert(0, 'y'.repeat(150))
  conn.send({ case: 'updated', value: { roomId: 7n, position: { epoch: 1n, seq: 2n }, update: next } })
  assert.equal((await conn.expect('flow')).bytes, update.length + next.length)
  assert.equal(textOf(room).length, 300)
})

test('updates in version 2 are read', async t => {
  const { conn, room } = await joined(t)
  const other = new Other()
  other.insert(0, 'two')
  conn.send({ case: 'updated', value: { roomId: 7n, version: Version.V2, update: Y.encodeStateAsUpdateV2(other.replica.doc) } })
  await event(room, 'change')
  assert.equal(textOf(room), 'two')
})

test('an update that yrs cannot read ends the room and not the program', async t => {
  const { conn, room } = await joined(t)
  const ended = event(room, 'ended')
  conn.send({ case: 'updated', value: { roomId: 7n, update: Uint8Array.of(1, 2, 3) } })
  assert.equal((await ended).code, Code.MALFORMED)
})

test('others come, change and go', async t => {
  const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
  const fake = await FakeServer.start(t)
  const room = fake.client(t).join('r', { presence: { me: true } })
  const conn = await fake.welcome()
  await conn.join({ peers: [{ clientId: 1n, clock: 5n, state: json({ a: 1 }) }] })
  await soon('joined', room.joined())
  assert.equal((await conn.expect('setPresence')).clock, 1n)
  await soon('1', new Promise<void>(resolve => room.peers.has(1) ? resolve() : room.once('presence', () => resolve())))
  assert.deepEqual([...room.peers], [[1, { a: 1 }]])
  conn.send({ case: 'presence', value: { roomId: 7n, peers: [
    { clientId: 1n, clock: 5n }, // as its state: gone
    { clientId: 2n, clock: 3n, state: json({ b: 2 }) },
    { clientId: 2n, clock: 2n, state: json({ b: 'old' }) },
    { clientId: 2n, clock: 3n, state: json({ b: 'again' }) },
    { clientId: 3n, clock: 1n, state: json([1]) } // no state
  ] } })
  assert.deepEqual(await event(room, 'presence'), [1, 2])
  assert.deepEqual([...room.peers], [[2, { b: 2 }]])

  // The same id had a higher clock in an earlier life.
  conn.send({ case: 'presence', value: { roomId: 7n, peers: [{ clientId: BigInt(room.replica.clientId), clock: 9n, state: json({}) }, { clientId: 2n, clock: 3n }] } })
  assert.deepEqual(await event(room, 'presence'), [2])
  room.setPresence({ me: 2 })
  assert.equal((await conn.expect('setPresence')).clock, 10n)

  conn.send({ case: 'signal', value: { roomId: 7n, data: Uint8Array.of(4, 2) } })
  assert.deepEqual([...await event(room, 'signal')], [4, 2])

  // Somebody holds this client for gone.
  conn.send({ case: 'presence', value: { roomId: 7n, peers: [{ clientId: BigInt(room.replica.clientId), clock: 11n }] } })
  assert.equal((await conn.expect('setPresence')).clock, 12n)
})

test('presence is renewed', async t => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const { conn, room } = await joined(t)
  t.mock.timers.tick(15_000) // there is nothing to renew yet
  room.setPresence({ me: true })
  assert.equal((await conn.expect('setPresence')).clock, 1n)
  t.mock.timers.tick(15_000)
  const { clock, state } = await conn.expect('setPresence')
  assert.deepEqual([clock, Buffer.from(state).toString()], [2n, '{"me":true}'])
})

test('many rooms share a connection, by the numbers of the server', async t => {
  const { conn, client, room } = await joined(t)
  const second = client.join('s')
  await Promise.all([conn.join({ roomId: 12n }), second.joined()])
  const other = new Other()
  conn.send({ case: 'updated', value: { roomId: 12n, update: other.insert(0, 'in s') } })
  await event(second, 'change')
  assert.deepEqual([textOf(room), textOf(second)], ['', 'in s'])
  assert.throws(() => client.join('r'), /joined already/)
})

test('a room that was left can be joined again when the server knows', async t => {
  const { conn, client, room } = await joined(t)
  const left = room.leave()
  assert.throws(() => client.join('r'), /joined already/)
  const { ref, body } = await conn.next()
  assert(body.case === 'leave')
  assert.equal(body.value.roomId, 7n)
  conn.send({ case: 'left', value: { roomId: 7n } }, ref)
  await soon('the end', left)

  // Left while the answer to the join is on its way.
  const hasty = client.join('r')
  const join = await conn.next()
  const gone = hasty.leave()
  conn.send({ case: 'joined', value: { roomId: 8n } }, join.ref)
  const leave = await conn.next()
  assert(leave.body.case === 'leave')
  assert.equal(leave.body.value.roomId, 8n)
  conn.send({ case: 'left', value: { roomId: 8n } }, leave.ref)
  await soon('the end', gone)
  client.join('r')
})

test('an update that came too late for the right to write waits for it', async t => {
  const { conn, room } = await joined(t)
  write(room, 0, 'x')
  await conn.expect('update')
  const refused = event(room, 'refused')
  conn.send({ case: 'refused', value: { code: Code.FORBIDDEN, message: 'read-only', roomId: 7n, updateId: 1n } })
  await refused
  assert.deepEqual([room.access, room.unsaved], [Access.READ, 1])
  conn.send({ case: 'accessChanged', value: { roomId: 7n, access: Access.WRITE } })
  assert.equal(new Other().takes((await conn.expect('update')).updates), 'x')
})
