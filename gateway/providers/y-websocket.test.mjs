// The real y-websocket provider 3.1.0, unmodified, against the weft binary.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Server, User, until } from './harness.mjs'

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
