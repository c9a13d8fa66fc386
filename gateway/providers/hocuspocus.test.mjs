// The real Hocuspocus providers 2.15.3, 3.4.4 and 4.8.0, unmodified, each through the same tests.
import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { test } from 'node:test'
import { Server, TestServer, on, until } from './harness.mjs'
import { Socket, User, frame, versions } from './hocuspocus.mjs'

for (const version of versions) {
  const v = version.name
  const each = (what, ...rest) => test(`${v}: ${what}`, ...rest)

  each('two users sync, edit both ways, and have everything saved', async t => {
    const server = await Server.start(t)
    const a = new User(t, version, server, 'team/notes')
    a.text.insert(0, 'typed before the connection; ')
    const b = new User(t, version, server, 'team/notes')
    await Promise.all([a.synced(), b.synced()])
    assert.equal(a.scope, 'read-write')
    await b.reads('typed before the connection; ')
    b.text.insert(b.text.length, 'from b; ')
    await a.reads('typed before the connection; from b; ')
    a.text.delete(0, 29)
    a.text.insert(a.text.length, 'from a 😀')
    await b.reads('from b; from a 😀')
    await Promise.all([a.saved(), b.saved()])
    const { status, body } = await server.get('/v1/rooms/team%2Fnotes')
    assert.equal(status, 200)
    assert.equal(body, a.text.toString())
    assert.deepEqual([a.socket.closes, b.socket.closes], [[], []])
    assert.equal(b.unsynced, 0) // 2.15 counts below zero when it is told too often
  })

  each('changes count as unsynced until they are on the disk', async t => {
    const server = await TestServer.start(t)
    const a = new User(t, version, server, 'slow')
    const b = new User(t, version, server, 'slow')
    await Promise.all([a.synced(), b.synced()])
    a.text.insert(0, 'first')
    await Promise.all([a.saved(), b.reads('first')])

    await server.ask('hold')
    const counts = []
    a.provider.on('unsyncedChanges', n => counts.push(n.number ?? n))
    a.text.insert(0, '1')
    a.text.insert(0, '2')
    await b.reads('21first') // the server has it and sends it on without waiting for the disk
    await a.answered() // whatever it had to say about it has come
    assert.equal(a.unsynced, 2)
    assert.deepEqual(counts, [1, 2])

    // Somebody who comes now and has what is not saved yet is not told that it is, either.
    const c = new User(t, version, server, 'slow')
    await c.reads('21first')
    c.text.insert(0, '3')
    await a.reads('321first')
    await c.answered()
    assert.ok(c.unsynced > 0, `${c.unsynced} unsynced`)

    await server.ask('release')
    await Promise.all([a.saved(), c.saved()])
    a.provider.forceSync()
    assert.equal(a.unsynced, 1)
    await a.saved()
    await a.answered()
    assert.equal(a.unsynced, 0)
  })

  each('what was typed without a connection counts until it is on the disk', async t => {
    const server = await TestServer.start(t)
    const a = new User(t, version, server, 'offline')
    const b = new User(t, version, server, 'offline')
    await Promise.all([a.synced(), b.synced()])
    a.text.insert(0, 'online. ')
    await Promise.all([a.saved(), b.reads('online. ')])

    a.socket.provider.shouldConnect = false
    a.socket.provider.webSocket._socket.destroy() // a cable that is cut
    await until('the cut', () => a.socket.closes.length > 0, check => on(a.socket.provider, 'close', check))
    a.text.insert(8, 'off')
    a.text.insert(11, 'line!!')
    a.text.delete(16, 1)
    a.text.delete(0, 8) // updates that only delete
    const counts = []
    a.provider.on('unsyncedChanges', n => counts.push(n.number ?? n))
    const typing = new Promise(resolve => {
      const stop = on(a.provider, 'outgoingMessage', ({ message }) => {
        if (!(message.description ?? '').includes('First sync step')) return
        stop()
        queueMicrotask(() => { a.text.insert(8, ' and while it connects;'); resolve() })
      })
    })
    await server.ask('hold')
    a.socket.provider.connect()
    await typing
    await b.reads('offline! and while it connects;')
    await a.answered() // whatever the server had to say about it has come
    await server.ask('mark')
    a.text.insert(0, 'back ')
    await b.reads('back offline! and while it connects;')
    await a.answered()
    assert.equal(a.unsynced, 3) // for all that it has, for what was typed while it connected, and for what came after
    await server.ask('pass') // all but the last
    await until('the answers', () => a.unsynced < 2, check => on(a.provider, 'unsyncedChanges', check))
    await a.answered()
    assert.equal(a.unsynced, 1)
    assert.ok(counts.every(n => n > 0), `counts ${counts}`)

    await server.ask('release')
    await until('everything saved', () => a.unsynced === 0, check => on(a.provider, 'unsyncedChanges', check))
    await a.answered()
    assert.equal(a.unsynced, 0) // 2.15 counts below zero when it is told too often
    await server.ask('hold')
    a.text.insert(0, 'and ')
    await b.reads('and back offline! and while it connects;')
    await a.answered()
    assert.equal(a.unsynced, 1)
    await server.ask('release')
    await a.saved()
  })

  each('presence comes, changes and goes', async t => {
    const server = await Server.start(t)
    const a = new User(t, version, server, 'people')
    const b = new User(t, version, server, 'people')
    await Promise.all([a.synced(), b.synced()])
    a.awareness.setLocalStateField('user', { name: 'Ada' })
    await b.sees('Ada', a.id, state => state?.user?.name === 'Ada')
    b.awareness.setLocalStateField('user', { name: 'Bob' })
    await a.sees('Bob', b.id, state => state?.user?.name === 'Bob')
    const c = new User(t, version, server, 'people')
    await c.sees('Ada', a.id, state => state?.user?.name === 'Ada')
    await c.sees('Bob', b.id, state => state?.user?.name === 'Bob')
    b.provider.destroy() // an orderly goodbye
    await a.sees('Bob to be gone', b.id, state => state === undefined)
    c.awareness.setLocalStateField('user', { name: 'Cleo' })
    await a.sees('Cleo', c.id, state => state?.user?.name === 'Cleo')
    c.socket.provider.shouldConnect = false
    c.socket.provider.webSocket._socket.destroy() // a cable that is cut
    await a.sees('Cleo to be gone', c.id, state => state === undefined)
  })

  each('readers read, are seen, and change nothing', async t => {
    const server = await TestServer.start(t, '--tokens')
    await server.ask('token', { token: 'w', rooms: 'doc', write: 1, user: 'ada' })
    await server.ask('token', { token: 'r', rooms: 'doc', user: 'rob' })
    const writer = new User(t, version, server, 'doc', { token: 'w' })
    const reader = new User(t, version, server, 'doc', { token: 'r' })
    await Promise.all([writer.synced(), reader.synced()])
    assert.equal(reader.scope, 'readonly')
    writer.text.insert(0, 'text')
    await reader.reads('text')
    await reader.saved() // it has nothing of its own
    reader.awareness.setLocalStateField('user', { name: 'Rob' })
    await writer.sees('Rob', reader.id, state => state?.user?.name === 'Rob')
    reader.text.insert(0, 'forged ')
    await reader.answered()
    assert.equal(reader.unsynced, 1)
    writer.text.insert(4, '!')
    await reader.reads('forged text!')
    assert.equal(writer.text.toString(), 'text!')
    assert.equal((await server.get('/v1/rooms/doc')).body, 'text!')

    // A writer who is made a reader is told.
    await writer.saved()
    await server.ask('reader', { room: 'doc' })
    await until('the downgrade', () => writer.scope === 'readonly', check => on(writer.provider, 'authenticated', check))
    writer.text.insert(0, 'late ')
    await writer.answered()
    assert.equal(writer.unsynced, 1)
    assert.equal((await server.get('/v1/rooms/doc')).body, 'text!')
  })

  each('a refused token ends one document and can be replaced on the same socket', async t => {
    const server = await TestServer.start(t, '--tokens')
    await server.ask('token', { token: 'good', rooms: 'mine,too', write: 1, user: 'ada' })
    const socket = new Socket(t, version, server)
    const mine = new User(t, version, server, 'mine', { socket, token: 'good' })
    await mine.synced()
    const unknown = new User(t, version, server, 'too', { socket, token: 'bad' })
    const foreign = new User(t, version, server, 'foreign', { socket, token: 'good' })
    await Promise.all([unknown.refused(), foreign.refused()])
    assert.deepEqual(unknown.refusals, ['a valid token is needed'])
    assert.deepEqual(foreign.refusals, ['access to this room is not allowed'])
    assert.ok(!unknown.provider.isSynced)

    unknown.retry('good')
    await unknown.synced()
    unknown.text.insert(0, 'in after all')
    await unknown.saved()
    mine.text.insert(0, 'still here')
    await mine.saved()
    assert.deepEqual(socket.closes, [])
    assert.equal((await server.get('/v1/rooms/too')).body, 'in after all')
    assert.equal((await server.get('/v1/rooms/foreign')).status, 404)
  })

  each('a grant that runs out ends the document in time', async t => {
    const server = await TestServer.start(t, '--tokens')
    await server.ask('token', { token: 'short', rooms: 'doc', write: 1, user: 'ada', ttl: 3000 })
    const began = Date.now()
    const a = new User(t, version, server, 'doc', { token: 'short' })
    await a.synced()
    await a.refused()
    const took = Date.now() - began
    assert.ok(took > 2500, `ended after ${took} ms`)
    const noted = await server.noted()
    assert.ok(noted.includes('exited doc ada unauthorized'), noted.join('\n'))
    assert.ok(a.socket.open)
    if (version.major === 4) assert.deepEqual(a.ends, ['a valid token is needed'])
  })

  each('a token can be refreshed', { skip: version.major === 2 ? '2.15 sends its token once' : false }, async t => {
    const server = await TestServer.start(t, '--tokens')
    await server.ask('token', { token: 't1', rooms: 'doc', write: 1, user: 'ada', ttl: 3000 })
    await server.ask('token', { token: 't2', rooms: 'doc', write: 1, user: 'ada', ttl: 600_000 })
    let token = 't1'
    let asked = 0
    const a = new User(t, version, server, 'doc', { token: async () => { asked++; return token } })
    await a.synced()
    token = 't2'
    const b = new User(t, version, server, 'doc', { token: 't1' })
    await b.synced()
    await b.refused() // the first token has run out, and b was asked and had no other
    assert.ok(asked >= 2, `asked ${asked} times`) // the server asked by itself
    a.text.insert(0, 'still here')
    await a.saved()
    assert.deepEqual(a.refusals, [])

    // By hand, and to somebody else's token, which is no refresh.
    await a.provider.sendToken()
    await a.answered()
    assert.deepEqual(a.refusals, [])
    await server.ask('token', { token: 'eve', rooms: 'doc', write: 1, user: 'eve' })
    token = 'eve'
    await a.provider.sendToken()
    await a.refused()
  })

  each('the server can end one document', async t => {
    const server = await TestServer.start(t)
    const socket = new Socket(t, version, server)
    const out = new User(t, version, server, 'out', { socket })
    const other = new User(t, version, server, 'other', { socket })
    const watcher = new User(t, version, server, 'out')
    await Promise.all([out.synced(), other.synced(), watcher.synced()])
    out.awareness.setLocalStateField('user', { name: 'Out' })
    await watcher.sees('Out', out.id, state => state?.user?.name === 'Out')
    await server.ask('end', { room: 'out' })
    await Promise.all([out.refused(), watcher.refused()])
    assert.equal(out.refusals[0], 'access to this room is not allowed')
    if (version.major === 4) {
      assert.deepEqual(out.ends, ['access to this room is not allowed'])
      assert.ok(!out.provider.isSynced)
    }
    out.text.insert(0, 'too late')
    other.text.insert(0, 'still here')
    await other.saved()
    assert.deepEqual(socket.closes, [])
    assert.equal((await server.get('/v1/rooms/out')).status, 404)
  })

  each('a killed server comes back with everything', async t => {
    const server = await Server.start(t)
    const a = new User(t, version, server, 'durable')
    const b = new User(t, version, server, 'durable')
    await Promise.all([a.synced(), b.synced()])
    for (let i = 0; i < 50; i++) a.text.insert(a.text.length, `line ${i}\n`)
    await a.saved()
    const saved = a.text.toString()
    b.provider.destroy()
    a.socket.provider.disconnect() // who has the text does not help
    await server.stop('SIGKILL')
    a.text.insert(a.text.length, 'typed offline by a\n')
    await server.run()
    const fresh = new User(t, version, server, 'durable')
    await fresh.synced()
    assert.equal(fresh.text.toString(), saved)
    a.socket.provider.connect()
    await fresh.reads(saved + 'typed offline by a\n')
    await a.saved()
  })

  each('an orderly restart is survived without help', async t => {
    const server = await Server.start(t)
    const a = new User(t, version, server, 'restart')
    a.text.insert(0, 'before; ')
    await a.saved()
    assert.equal(await server.stop('SIGTERM'), 0, server.log)
    await until('the close', () => a.socket.closes.length > 0, check => on(a.socket.provider, 'close', check))
    assert.equal(a.socket.closes[0], 1012)
    a.text.insert(a.text.length, 'meanwhile')
    await server.run()
    await new User(t, version, server, 'restart').reads('before; meanwhile')
    await a.saved()
    assert.equal((await server.get('/v1/rooms/restart')).body, 'before; meanwhile')
  })

  each('two documents on one socket, one leaves and comes back', async t => {
    const server = await Server.start(t)
    const socket = new Socket(t, version, server)
    const a = new User(t, version, server, 'one', { socket })
    const b = new User(t, version, server, 'two', { socket })
    const watcher = new User(t, version, server, 'one')
    await Promise.all([a.synced(), b.synced(), watcher.synced()])
    a.text.insert(0, 'text of one')
    b.text.insert(0, 'text of two')
    await Promise.all([a.saved(), b.saved(), watcher.reads('text of one')])
    a.awareness.setLocalStateField('user', { name: 'Ada' })
    await watcher.sees('Ada', a.id, state => state?.user?.name === 'Ada')
    a.provider.destroy()
    await watcher.sees('Ada to be gone', a.id, state => state === undefined)
    b.text.insert(0, 'still here: ')
    await b.saved()
    const again = new User(t, version, server, 'one', { socket })
    await again.reads('text of one')
    await again.saved()
    again.text.insert(0, 'again: ')
    await watcher.reads('again: text of one')
    assert.deepEqual(socket.closes, [])
    assert.equal((await server.get('/v1/rooms/two')).body, 'still here: text of two')
  })

  each('stateless messages reach the others', async t => {
    const server = await Server.start(t)
    const a = new User(t, version, server, 'chat')
    const b = new User(t, version, server, 'chat')
    const elsewhere = new User(t, version, server, 'quiet')
    await Promise.all([a.synced(), b.synced(), elsewhere.synced()])
    a.provider.sendStateless('hello 😀')
    await until('the message', () => b.stateless.length > 0, check => on(b.provider, 'stateless', check))
    await Promise.all([a.answered(), elsewhere.answered()])
    assert.deepEqual([a.stateless, b.stateless, elsewhere.stateless], [[], ['hello 😀'], []])

    // What only servers may say ends the document, not the socket.
    a.socket.provider.webSocket.send(frame('chat', 6, 2, 104, 105))
    const ended = () => a.refusals.length + a.ends.length > 0
    await until('the end', ended, check => {
      const stops = [on(a.provider, 'authenticationFailed', check), on(a.provider, 'close', check)]
      return () => stops.forEach(stop => stop())
    })
    assert.ok(a.socket.open)
    await b.answered()
    assert.deepEqual(b.stateless, ['hello 😀'])
  })

  each('an idle link without presence stays up', { skip: process.env.WEFT_LONG ? false : 'takes 75 s; set WEFT_LONG=1' }, async t => {
    const server = await Server.start(t)
    const a = new User(t, version, server, 'idle', { awareness: null })
    await a.synced()
    await new Promise(resolve => setTimeout(resolve, 75_000)) // the provider gives a link up after 30 s of silence
    assert.deepEqual(a.socket.closes, [])
    a.text.insert(0, 'x')
    await a.saved()
  })
}

test('2.15.3 without a token enters a server that wants none', async t => {
  const server = await Server.start(t)
  const a = new User(t, versions[0], server, 'open', { token: null })
  await a.synced()
  a.text.insert(0, 'x')
  await a.saved()
})

test('4.8.0: two providers of one document share a socket', async t => {
  const version = versions[2]
  const server = await TestServer.start(t, '--tokens')
  await server.ask('token', { token: 'w', rooms: 'doc', write: 1, user: 'ada' })
  await server.ask('token', { token: 'r', rooms: 'doc', user: 'ada' })
  const socket = new Socket(t, version, server)
  const a = new User(t, version, server, 'doc', { socket, token: 'w', sessionAwareness: true })
  const b = new User(t, version, server, 'doc', { socket, token: 'r', sessionAwareness: true })
  await Promise.all([a.synced(), b.synced()])
  assert.deepEqual([a.scope, b.scope], ['read-write', 'readonly'])
  a.text.insert(0, 'from a')
  await b.reads('from a')
  await a.saved()
  b.text.insert(0, 'forged ')
  await b.answered()
  assert.deepEqual([a.unsynced, b.unsynced], [0, 1])
  a.awareness.setLocalStateField('user', { name: 'A' })
  await b.sees('A', a.id, state => state?.user?.name === 'A')
  b.provider.destroy()
  await a.answered()
  a.text.insert(6, '!')
  await a.saved()
  assert.equal((await server.get('/v1/rooms/doc')).body, 'from a!')
  assert.deepEqual(socket.closes, [])
})

test('4.8.0: a change made while the token is fetched arrives', async t => {
  const version = versions[2]
  const server = await TestServer.start(t, '--tokens')
  await server.ask('token', { token: 'w', rooms: 'doc', write: 1, user: 'ada' })
  let fetched
  const a = new User(t, version, server, 'doc', { token: () => new Promise(resolve => { fetched = () => resolve('w') }) })
  await until('the socket', () => a.socket.open && fetched, check => on(a.socket.provider, 'open', check))
  a.text.insert(0, 'early')
  fetched()
  await a.saved()
  assert.equal((await server.get('/v1/rooms/doc')).body, 'early')
})

test('bytes that are no frame end the socket of a stranger, and one document of a friend', async t => {
  const server = await Server.start(t)
  const stranger = new Socket(t, versions[2], server)
  await until('the socket', () => stranger.open, check => on(stranger.provider, 'open', check))
  stranger.provider.shouldConnect = false
  stranger.provider.webSocket.send(Buffer.from([200, 1, 2]))
  await until('the close', () => stranger.closes.length > 0, check => on(stranger.provider, 'close', check))
  assert.deepEqual(stranger.closes, [4401])

  const socket = new Socket(t, versions[2], server)
  const a = new User(t, versions[2], server, 'broken', { socket })
  const b = new User(t, versions[2], server, 'whole', { socket })
  await Promise.all([a.synced(), b.synced()])
  socket.provider.webSocket.send(frame('broken', 0, 2, 9, 1))
  await until('the end', () => a.ends.length > 0, check => on(a.provider, 'close', check))
  assert.deepEqual(a.ends, ['a message could not be read'])
  b.text.insert(0, 'fine')
  await b.saved()
  assert.deepEqual(socket.closes, [])
})
