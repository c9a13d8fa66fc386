// The real y-websocket provider 3.1.0, unmodified, against the weft binary.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as decoding from 'lib0/decoding'
import { Server, TestServer, User, on, until } from './harness.mjs'

test('two providers sync and edit both ways', async t => {
  const server = await Server.start(t)
  const a = new User(t, server, 'notes')
  a.text.insert(0, 'typed before the connection; ')
  const b = new User(t, server, 'notes')
  await Promise.all([a.synced(), b.synced()])
  await b.reads('typed before the connection; ')
  b.text.insert(b.text.length, 'from b; ')
  await a.reads('typed before the connection; from b; ')
  a.text.delete(0, 29)
  a.text.insert(a.text.length, 'from a 😀')
  await b.reads('from b; from a 😀')
  assert.deepEqual(a.closes, [])

  // Both type at once at the same place.
  a.text.insert(0, 'A')
  b.text.insert(0, 'B')
  const same = () => a.text.length === b.text.length && a.text.toString() === b.text.toString() && a.text.length === 19
  const listen = check => {
    a.doc.on('update', check)
    b.doc.on('update', check)
    return () => { a.doc.off('update', check); b.doc.off('update', check) }
  }
  await until('both to converge', same, listen)

  await a.saved('before the read')
  await b.saved('before the read')
  const { status, body } = await server.get('/v1/rooms/notes?format=text')
  assert.equal(status, 200)
  assert.equal(body, a.text.toString())
})

test('every shared type arrives', async t => {
  const server = await Server.start(t)
  const a = new User(t, server, 'types')
  const b = new User(t, server, 'types')
  await Promise.all([a.synced(), b.synced()])
  a.doc.transact(() => {
    a.doc.getMap('m').set('k', { deep: [1, 2.5, null, true, 'x'] })
    a.doc.getArray('l').push([1, new Uint8Array([1, 2, 3])])
    a.text.insert(0, 'bold', { bold: true })
  })
  await until('the map', () => b.doc.getMap('m').has('k') && b.text.length === 4, check => {
    b.doc.on('update', check)
    return () => b.doc.off('update', check)
  })
  assert.deepEqual(b.doc.getMap('m').toJSON(), { k: { deep: [1, 2.5, null, true, 'x'] } })
  assert.deepEqual(b.doc.getArray('l').toJSON(), [1, new Uint8Array([1, 2, 3])])
  assert.deepEqual(b.text.toDelta(), [{ insert: 'bold', attributes: { bold: true } }])
})

test('presence comes, changes and goes', async t => {
  const server = await Server.start(t)
  const a = new User(t, server, 'people')
  const b = new User(t, server, 'people')
  await Promise.all([a.synced(), b.synced()])
  a.awareness.setLocalStateField('user', { name: 'Ada' })
  await b.sees('Ada', a.id, state => state?.user?.name === 'Ada')
  b.awareness.setLocalStateField('user', { name: 'Bob' })
  await a.sees('Bob', b.id, state => state?.user?.name === 'Bob')

  // Who comes later sees who is here.
  const c = new User(t, server, 'people')
  await c.sees('Ada', a.id, state => state?.user?.name === 'Ada')
  await c.sees('Bob', b.id, state => state?.user?.name === 'Bob')

  // An orderly goodbye.
  b.provider.disconnect()
  await a.sees('Bob to be gone', b.id, state => state === undefined)
  await c.sees('Bob to be gone', b.id, state => state === undefined)

  // A cable that is cut.
  c.awareness.setLocalStateField('user', { name: 'Cleo' })
  await a.sees('Cleo', c.id, state => state?.user?.name === 'Cleo')
  c.provider.shouldConnect = false
  c.provider.ws._socket.destroy()
  await a.sees('Cleo to be gone', c.id, state => state === undefined)

  // And back again with the same id.
  c.provider.connect()
  c.awareness.setLocalStateField('user', { name: 'Cleo' })
  await a.sees('Cleo again', c.id, state => state?.user?.name === 'Cleo')
})

test('room names with slashes, blanks and other scripts', async t => {
  const server = await Server.start(t)
  for (const room of ['team/2026/notes', 'a b', 'ü/日本/😀', 'a//b', '{x}:*']) {
    const a = new User(t, server, room)
    const b = new User(t, server, room)
    a.text.insert(0, room)
    await b.reads(room)
    await a.saved('x')
    const { status, body } = await server.get(`/v1/rooms/${encodeURIComponent(room)}`)
    assert.equal(status, 200, room)
    assert.equal(body, room)
  }
  const { rooms } = JSON.parse((await server.get('/v1/rooms')).body)
  assert.deepEqual(rooms.map(r => r.name), ['a b', 'a//b', 'team/2026/notes', '{x}:*', 'ü/日本/😀'])
})

test('a killed server comes back with everything', async t => {
  const server = await Server.start(t)
  const a = new User(t, server, 'durable')
  const b = new User(t, server, 'durable')
  await Promise.all([a.synced(), b.synced()])
  for (let i = 0; i < 50; i++) a.text.insert(a.text.length, `line ${i}\n`)
  await a.saved('all')
  const saved = a.text.toString()
  await server.stop('SIGKILL')
  await Promise.all([a.status('disconnected'), b.status('disconnected')])

  // Nobody who had the text helps: it must come from the disk.
  a.provider.disconnect()
  b.provider.disconnect()
  await server.run()
  const fresh = new User(t, server, 'durable')
  await fresh.synced()
  assert.equal(fresh.text.toString(), saved)

  // What was typed while the server was away arrives.
  a.text.insert(a.text.length, 'typed offline by a\n')
  b.text.insert(0, 'typed offline by b\n')
  a.provider.connect()
  b.provider.connect()
  const want = `typed offline by b\n${saved}typed offline by a\n`
  await Promise.all([a, b, fresh].map(user => user.reads(want)))
})

test('providers reconnect by themselves after a kill', async t => {
  const server = await Server.start(t)
  const a = new User(t, server, 'again')
  await a.synced()
  await server.stop('SIGKILL')
  await a.status('disconnected')
  a.text.insert(0, 'offline')
  await server.run()
  await a.synced()
  await a.saved('again')
  assert.equal((await server.get('/v1/rooms/again')).body, 'offline')
})

test('a final refusal stops the provider', async t => {
  const server = await Server.start(t)
  for (const [what, frame] of [['malformed message', new Uint8Array([0, 2, 9, 1])], ['text frame', 'hello']]) {
    const a = new User(t, server, 'refused')
    await a.synced()
    let closed
    a.provider.on('closed', event => { closed = event })
    a.provider.ws.send(frame)
    await until(`closed after a ${what}`, () => closed, check => { a.provider.on('closed', check) })
    assert.equal(closed.code, 4400)
    assert.equal(closed.reason, 'a message could not be read')
    assert.equal(a.provider.shouldConnect, false)
    assert.equal(a.provider.ws, null)
  }
})

test('a message that is too large stops the provider, and only it', async t => {
  const server = await Server.start(t, '--max-message', '100000')
  const a = new User(t, server, 'large')
  const b = new User(t, server, 'large')
  await Promise.all([a.synced(), b.synced()])
  let closed
  a.provider.on('closed', event => { closed = event })
  a.text.insert(0, 'x'.repeat(1_000_000))
  await until('closed', () => closed, check => { a.provider.on('closed', check) })
  assert.equal(closed.code, 4413)
  b.text.insert(0, 'still here')
  await b.saved('b')
  assert.equal((await server.get('/v1/rooms/large')).body, 'still here')
})

test('a restart is announced with 1012, and the provider comes back', async t => {
  const server = await Server.start(t)
  const a = new User(t, server, 'restart')
  a.text.insert(0, 'before')
  await a.synced()
  const code = await server.stop('SIGTERM')
  assert.equal(code, 0, server.log)
  await a.status('disconnected')
  assert.equal(a.closes[0], 1012)
  await server.run()
  await a.synced()
  const b = new User(t, server, 'restart')
  await b.reads('before')
})

test('a save marker comes back when everything before it is durable', async t => {
  const server = await Server.start(t)
  const a = new User(t, server, 'marker')
  await a.synced()
  await a.saved('nothing yet')
  a.text.insert(0, 'kept')
  await a.saved('kept')
  const { body } = await server.get('/v1/rooms/marker/saved')
  const { epoch, seq, saved } = JSON.parse(body)
  assert.deepEqual(saved, { epoch, seq })
  assert.ok(seq >= 1, body)
  await server.stop('SIGKILL')
  a.provider.disconnect()
  await server.run()
  const b = new User(t, server, 'marker')
  await b.reads('kept')
})

test('an idle link without presence stays up', { skip: process.env.WEFT_LONG ? false : 'takes 75 s; set WEFT_LONG=1' }, async t => {
  const server = await Server.start(t)
  const a = new User(t, server, 'idle')
  a.awareness.setLocalState(null)
  await a.synced()
  await new Promise(resolve => setTimeout(resolve, 75_000)) // the provider gives a link up after 30 s of silence
  assert.deepEqual(a.closes, [])
  assert.equal(a.provider.wsconnected, true)
  a.text.insert(0, 'x')
  await a.saved('x')
})

/** A user whose provider notes what the server denies and for which code it gives up. */
function watched (t, server, room, options) {
  const user = new User(t, server, room, options)
  user.denied = []
  user.provider.messageHandlers[2] = (_encoder, decoder) => {
    decoding.readVarUint(decoder)
    user.denied.push(decoding.readVarString(decoder))
    user.provider.emit('denied', [])
  }
  user.provider.on('closed', ({ code, reason }) => { user.closed = { code, reason } })
  user.gaveUp = () => until('the provider to give up', () => user.closed, check => on(user.provider, 'closed', check))
  return user
}

test('a token is taken from the query and from a subprotocol', async t => {
  const server = await TestServer.start(t, '--tokens')
  await server.ask('token', { token: 'good.to-ken_1', rooms: 'doc', write: 1, user: 'ada' })
  const users = [{ params: { token: 'good.to-ken_1' } }, { params: { yauth: 'good.to-ken_1' } }, { protocols: ['yauth-good.to-ken_1'] }]
    .map(options => watched(t, server, 'doc', options))
  await Promise.all(users.map(user => user.synced()))
  for (const [i, user] of users.entries()) user.text.insert(0, `${i}`)
  await until('all texts', () => users.every(user => user.text.length === 3), check => {
    users.forEach(user => user.doc.on('update', check))
    return () => users.forEach(user => user.doc.off('update', check))
  })
  assert.deepEqual(users.map(user => user.closes), [[], [], []])
  assert.ok((await server.noted()).filter(line => line === 'entered doc ada').length === 3)
})

test('a refused token is told, and the provider stops', async t => {
  const server = await TestServer.start(t, '--tokens')
  await server.ask('token', { token: 'good', rooms: 'mine', write: 1, user: 'ada' })
  for (const [room, options, code, reason] of [
    ['mine', {}, 4401, 'a valid token is needed'],
    ['mine', { params: { token: 'bad' } }, 4401, 'a valid token is needed'],
    ['mine', { protocols: ['yauth-bad'] }, 4401, 'a valid token is needed'],
    ['yours', { params: { token: 'good' } }, 4403, 'access to this room is not allowed']
  ]) {
    const user = watched(t, server, room, options)
    await user.gaveUp()
    assert.deepEqual(user.closed, { code, reason })
    assert.deepEqual(user.denied, [reason])
    assert.deepEqual(user.closes, [code])
    assert.equal(user.provider.shouldConnect, false)

    // With a better token it comes back when the page says so.
    user.provider.params = { token: 'good' }
    user.provider.protocols = []
    if (room === 'mine') {
      user.provider.connect()
      await user.synced()
    }
  }
  assert.equal((await server.get('/v1/rooms/yours')).status, 404)
})

test('readers read, are seen, change nothing, and are told so once', async t => {
  const server = await TestServer.start(t, '--tokens')
  await server.ask('token', { token: 'w', rooms: 'doc', write: 1, user: 'ada' })
  await server.ask('token', { token: 'r', rooms: 'doc', user: 'rob' })
  const writer = watched(t, server, 'doc', { params: { token: 'w' } })
  const reader = watched(t, server, 'doc', { params: { token: 'r' } })
  await Promise.all([writer.synced(), reader.synced()])
  writer.text.insert(0, 'text')
  await reader.reads('text')
  reader.awareness.setLocalStateField('user', { name: 'Rob' })
  await writer.sees('Rob', reader.id, state => state?.user?.name === 'Rob')
  reader.text.insert(0, 'forged ')
  reader.text.insert(0, 'twice ')
  await until('a word', () => reader.denied.length > 0, check => on(reader.provider, 'denied', check))
  writer.text.insert(4, '!')
  await reader.reads('twice forged text!')
  assert.equal(reader.denied.length, 1)
  assert.match(reader.denied[0], /^read-only: /)
  assert.equal(writer.text.toString(), 'text!')
  assert.deepEqual([writer.denied, writer.closes, reader.closes], [[], [], []])

  // A writer who is made a reader.
  await writer.saved('all')
  await server.ask('reader', { room: 'doc' })
  writer.text.insert(0, 'late ')
  await until('a word', () => writer.denied.length > 0, check => on(writer.provider, 'denied', check))
  assert.equal((await server.get('/v1/rooms/doc')).body, 'text!')
})

test('a grant that runs out, or is taken away, stops the provider', async t => {
  const server = await TestServer.start(t, '--tokens')
  await server.ask('token', { token: 'short', rooms: 'doc', write: 1, user: 'ada', ttl: 3000 })
  await server.ask('token', { token: 'long', rooms: 'doc', write: 1, user: 'bob' })
  const began = Date.now()
  const a = watched(t, server, 'doc', { params: { token: 'short' } })
  const b = watched(t, server, 'doc', { params: { token: 'long' } })
  await Promise.all([a.synced(), b.synced()])
  await a.gaveUp()
  assert.ok(Date.now() - began > 2500, `ended after ${Date.now() - began} ms`)
  assert.equal(a.closed.code, 4401)
  assert.deepEqual(b.closes, [])
  await server.ask('end', { room: 'doc' })
  await b.gaveUp()
  assert.equal(b.closed.code, 4403)
  assert.deepEqual(b.denied, ['access to this room is not allowed'])
})

test('a save marker waits for a slow disk', async t => {
  const server = await TestServer.start(t)
  const a = new User(t, server, 'slow')
  const b = new User(t, server, 'slow')
  await Promise.all([a.synced(), b.synced()])
  await server.ask('hold')
  a.text.insert(0, 'x')
  const saved = a.saved('x')
  a.awareness.setLocalStateField('after', 1)
  await b.sees('what a sent behind the marker', a.id, state => state?.after === 1)
  assert.equal(a.answers.has('x'), false)
  await server.ask('release')
  await saved
})
