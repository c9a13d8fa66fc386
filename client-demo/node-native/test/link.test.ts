// Connections: frames, fragments, faults, ends.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClientEnvelopeSchema, Code, ServerBatchSchema, ServerEnvelopeSchema, Version, type ServerEnvelope } from '../src/gen/weft_pb.js'
import { Backoff, YrsReplica, type Client, type Refusal } from '../src/index.js'
import { FakeServer, soon } from './fake.js'

const lost = (client: Client): Promise<Refusal> => soon('the loss', new Promise(resolve => client.once('lost', resolve)))

/** Cuts an envelope as a server does. */
function * parts (envelope: ServerEnvelope, size: number) {
  const bytes = toBinary(ServerEnvelopeSchema, envelope)
  for (let index = 0; index * size < bytes.length; index++) {
    yield { index, totalBytes: index === 0 ? BigInt(bytes.length) : 0n, data: bytes.subarray(index * size, (index + 1) * size) }
  }
}

test('hello names version, token and client', async t => {
  const fake = await FakeServer.start(t)
  fake.client(t, { token: async () => 'secret', name: 'a test' })
  const conn = await fake.accept()
  const { ref, body } = await conn.next()
  assert(body.case === 'hello')
  assert.notEqual(ref, 0)
  assert.deepEqual([body.value.minor, body.value.token, body.value.client, body.value.features.length], [0, 'secret', 'a test', 2])
})

test('envelopes of one turn leave in one frame', async t => {
  const fake = await FakeServer.start(t)
  const client = fake.client(t)
  const rooms = ['a', 'b', 'c'].map(name => client.join(name))
  const conn = await fake.welcome()
  for (const roomId of [1n, 2n, 3n]) await conn.join({ roomId })
  await soon('all', Promise.all(rooms.map(room => room.joined())))
  assert.deepEqual(conn.frames, [1, 3])
})

test('what is larger than a frame travels in parts, both ways', async t => {
  const fake = await FakeServer.start(t)
  const client = fake.client(t)
  const room = client.join('r')
  const conn = await fake.welcome({ maxFrameBytes: 1000 })
  await Promise.all([conn.join(), room.joined()])
  const doc = (room.replica as YrsReplica).doc
  const text = doc.getText('t')
  text.insert(0, '0123456789'.repeat(1000), undefined, undefined)
  room.signal(Uint8Array.of(1))
  const chunks: Uint8Array[] = []
  let total = 0
  for (;;) {
    const { body } = await conn.next()
    if (body.case === 'signal') continue // overtakes nothing: it was sent before the turn's edits
    assert(body.case === 'fragment')
    assert.equal(body.value.index, chunks.length)
    if (body.value.index === 0) total = Number(body.value.totalBytes)
    chunks.push(body.value.data)
    if (chunks.reduce((sum, chunk) => sum + chunk.length, 0) === total) break
  }
  assert(chunks.length > 10)
  const other = new YrsReplica()
  const { body } = fromBinary(ClientEnvelopeSchema, Buffer.concat(chunks))
  assert(body.case === 'update')
  other.apply(body.value.updates[0]!, Version.V1)
  assert.equal(other.doc.getText('t').length(undefined), 10_000)

  // And back, with another message between the parts.
  other.doc.getText('t').insert(0, 'x'.repeat(5000), undefined, undefined)
  const envelope = create(ServerEnvelopeSchema, { body: { case: 'updated', value: { roomId: 7n, update: other.diff(new Uint8Array()) } } })
  const arrived = soon('the update', new Promise<void>(resolve => room.once('change', resolve)))
  for (const value of parts(envelope, 700)) {
    conn.send({ case: 'fragment', value })
    if (value.index === 2) conn.send({ case: 'ping', value: { time: 5n } })
  }
  assert.equal((await conn.expect('pong')).time, 5n)
  await arrived
  assert.equal(text.length(undefined), 15_000)
})

const broken: [string, (fragment: { index: number, totalBytes: bigint, data: Uint8Array }[]) => void, Code][] = [
  ['parts out of order', list => list.splice(1, 1), Code.MALFORMED],
  ['the first part missing', list => list.shift(), Code.MALFORMED],
  ['more bytes than were said', list => { list[0]!.totalBytes -= 1n }, Code.MALFORMED],
  ['an empty part', list => { list[1]!.data = new Uint8Array() }, Code.MALFORMED],
  ['a size beyond all limits', list => { list[0]!.totalBytes = 1n << 40n }, Code.TOO_LARGE]
]
for (const [name, spoil, code] of broken) {
  test(`fragments with ${name} end the connection for good`, async t => {
    const fake = await FakeServer.start(t)
    const client = fake.client(t)
    const conn = await fake.welcome()
    const list = [...parts(create(ServerEnvelopeSchema, { body: { case: 'draining', value: { reason: 'x'.repeat(50) } } }), 20)]
    spoil(list)
    for (const value of list) conn.send({ case: 'fragment', value })
    assert.equal((await conn.expect('closing')).code, code)
    assert.equal((await soon('the end', client.ended))?.code, code)
    assert.equal(client.status, 'closed')
  })
}

const garbage: [string, Uint8Array | string][] = [
  ['bytes that are no batch', Uint8Array.of(255, 255, 255)],
  ['a text frame', 'hello'],
  ['a batch that ends early', Uint8Array.of(10, 20, 1)],
  ['a fragment in a fragment', toBinary(ServerBatchSchema, create(ServerBatchSchema, { envelopes: [{ body: { case: 'fragment', value: { totalBytes: 4n, data: Uint8Array.of(0x6a, 2, 8, 1) } } }] }))]
]
for (const [name, bytes] of garbage) {
  test(`${name} ends the connection for good`, async t => {
    const fake = await FakeServer.start(t)
    const client = fake.client(t)
    const conn = await fake.welcome()
    conn.raw(bytes)
    assert.equal((await conn.expect('closing')).code, Code.MALFORMED)
    assert.equal((await soon('the end', client.ended))?.code, Code.MALFORMED)
  })
}

test('what a newer server says is passed over', async t => {
  const fake = await FakeServer.start(t)
  fake.client(t)
  const conn = await fake.welcome()
  conn.raw(Uint8Array.of(
    0x0a, 5, 0xfa, 0x01, 2, 8, 1, // an envelope with the unknown body 31
    0x0a, 0, // an empty envelope
    0x12, 1, 7, // an unknown field of the batch
    0x0a, 7, 0x5a, 5, 8, 9, 0x98, 0x06, 1 // Ping with an unknown field
  ))
  assert.equal((await conn.expect('pong')).time, 9n)
})

test('a silent server is given up', async t => {
  const fake = await FakeServer.start(t)
  const client = fake.client(t)
  await fake.welcome({}, 20)
  assert.equal((await lost(client)).code, Code.TIMED_OUT)
  await fake.accept()
})

test('a server that keeps the link up is not given up', async t => {
  const fake = await FakeServer.start(t)
  const client = fake.client(t)
  const conn = await fake.welcome({}, 200)
  let losses = 0
  client.on('lost', () => losses++)
  for (let pings = 0n; pings < 20n; pings++) { // a second, five intervals and more
    conn.send({ case: 'ping', value: { time: pings } })
    assert.equal((await conn.expect('pong')).time, pings)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  assert.equal(losses, 0)
})

test('a final Closing ends the client, another one does not', async t => {
  const fake = await FakeServer.start(t)
  const client = fake.client(t)
  let conn = await fake.welcome()
  conn.send({ case: 'closing', value: { code: Code.DRAINING, message: 'restart', retry: true } })
  conn = await fake.welcome()
  conn.send({ case: 'closing', value: { code: Code.UNAUTHORIZED, message: 'token', retry: false } })
  const why = await soon('the end', client.ended)
  assert.deepEqual([why?.code, why?.retry], [Code.UNAUTHORIZED, false])
})

test('close codes tell where no Closing came', async t => {
  const fake = await FakeServer.start(t)
  const client = fake.client(t)
  for (const code of [1001, 1012, 1013, 4503, 4508]) {
    const conn = await fake.welcome()
    const gone = lost(client)
    conn.close(code)
    assert.equal((await gone).retry, true, `retry after ${code}`)
  }
  const conn = await fake.welcome()
  conn.close(4403)
  assert.equal((await soon('the end', client.ended))?.code, Code.FORBIDDEN)
})

test('an upgrade that is refused for now is tried again, another one is not', async t => {
  const fake = await FakeServer.start(t)
  fake.status = 503
  const client = fake.client(t)
  await lost(client)
  await lost(client)
  fake.status = 404
  const why = await soon('the end', client.ended)
  assert.equal(why?.retry, false)
  assert(fake.upgrades >= 3)
})

test('a refused hello ends the client', async t => {
  const fake = await FakeServer.start(t)
  const client = fake.client(t)
  const room = client.join('r')
  const conn = await fake.accept()
  const { ref } = await conn.next()
  conn.send({ case: 'refused', value: { code: Code.UNSUPPORTED, message: 'too old' } }, ref)
  await assert.rejects(room.joined(), { code: Code.UNSUPPORTED })
  assert.equal((await soon('the end', client.ended))?.code, Code.UNSUPPORTED)
  assert.throws(() => client.join('s'), /closed/)
})

test('a drained server is left alone as long as it asks for', async t => {
  const fake = await FakeServer.start(t)
  fake.client(t)
  const conn = await fake.welcome()
  conn.send({ case: 'draining', value: { reason: 'deploy', reconnectAfterMs: 300 } })
  const before = Date.now()
  conn.close(1012)
  await fake.accept()
  assert(Date.now() - before >= 290, 'came back too early') // timers may be a little early
})

test('close ends a client in every state', async t => {
  const fake = await FakeServer.start(t)
  const connected = fake.client(t)
  const room = connected.join('r')
  const conn = await fake.welcome()
  await Promise.all([conn.join(), room.joined()])
  ;(room.replica as YrsReplica).doc.getText('t').insert(0, 'last words', undefined, undefined)
  await soon('the close', connected.close())
  await conn.expect('update')
  await conn.expect('leave')
  assert.equal((await conn.expect('closing')).code, Code.NORMAL)
  await soon('the end of the socket', conn.ended)

  const greeting = fake.client(t) // no Welcome comes
  await fake.accept()
  await soon('the close', greeting.close())

  fake.status = 503
  const waiting = fake.client(t, { backoff: new Backoff(() => 100_000) })
  await lost(waiting)
  await soon('the close', waiting.close())

  const fresh = fake.client(t)
  await soon('the close', fresh.close())
})
