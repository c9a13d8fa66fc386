// What is saved, resumed and refused by the real server.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Server, TestServer, User as YwsUser, on, until } from '../../../gateway/providers/harness.mjs'
import { Access, Code, Refusal, SyncMode } from '../build/src/index.js'
import { Link } from '../build/src/link.js'
import { Cable, User, within } from './native.mjs'

test('an edit is saved when the disk has it, not before', async t => {
  const server = await TestServer.start(t)
  const one = new User(t, server, 'slow')
  const yws = new YwsUser(t, server, 'slow')
  await Promise.all([one.synced(), yws.synced()])
  await server.ask('hold')
  one.insert(0, 'fast')
  await yws.reads('fast')
  yws.text.insert(4, ' and seen')
  await one.reads('fast and seen') // whatever the server said about the edit before this has arrived
  assert.equal(one.room.unsaved, 1)
  await server.ask('release')
  await one.saved()
})

test('what was acknowledged survives kill -9', async t => {
  const server = await Server.start(t)
  const one = new User(t, server, 'durable')
  for (let i = 0; i < 100; i++) one.append(`line ${i}\n`)
  await one.saved()
  const text = one.toString()
  await server.stop('SIGKILL')
  await one.client.close()
  await server.run()
  const two = new User(t, server, 'durable')
  await two.synced()
  assert.equal(two.toString(), text)
})

/** A large document with a long history, in which a native user behind a cable has everything. */
async function seasoned (t, room) {
  const server = await Server.start(t)
  const cable = await Cable.lay(t, server)
  const yws = new YwsUser(t, server, room)
  const one = new User(t, cable, room)
  await Promise.all([yws.synced(), one.synced()])
  for (let i = 0; i < 300; i++) {
    yws.text.insert(yws.text.length, `paragraph ${i} ${'x'.repeat(600)}\n`)
    yws.text.delete(Math.floor(yws.text.length / 2), 3) // deletions far apart, which every diff has to name
  }
  one.insert(0, 'mine ')
  await one.saved()
  await yws.saved('history')
  await agree(one, yws)
  assert(one.toString().length > 180_000)
  return { server, cable, yws, one }
}

test('a second without a connection costs what was missed', async t => {
  const { server, cable, yws, one } = await seasoned(t, 'second')
  cable.cut()
  await one.status('waiting')
  yws.text.insert(0, 'missed ')
  one.insert(0, 'offline ')
  await yws.saved('missed')
  await new Promise(resolve => setTimeout(resolve, 1000))
  cable.mend()
  await one.saved()
  await agree(one, yws)
  assert.equal(one.joins.length, 2)
  t.diagnostic(`resumed as ${SyncMode[one.joins[1].mode]}: ${one.joins[1].updateBytes} bytes of update, ${one.client.bytes.received} of frames, ${cable.received} on the line`)
  assert.equal(one.joins[1].mode, SyncMode.TAIL)
  assert(one.joins[1].updateBytes < 100, `${one.joins[1].updateBytes} bytes of update for one missed edit`)
  assert(cable.received < 800, `${cable.received} bytes on the line for one missed edit`)
  assert.equal((await server.get('/v1/rooms/second')).body, one.toString())
})

test('a restart of the server costs what was missed', async t => {
  const { server, cable, yws, one } = await seasoned(t, 'restart')
  for (const signal of ['SIGTERM', 'SIGKILL']) {
    await server.stop(signal)
    await one.status('waiting')
    yws.text.insert(0, `while it was down (${signal}) `)
    one.insert(0, 'offline ')
    one.joins.length = 0
    cable.mend()
    await server.run()
    await yws.synced()
    await one.saved()
    await agree(one, yws)
    const bytes = one.joins.reduce((sum, join) => sum + join.updateBytes, 0)
    t.diagnostic(`after ${signal}: ${one.joins.map(join => SyncMode[join.mode])}, ${bytes} bytes of update, ${cable.received} on the line`)
    assert(cable.received < 5000, `${cable.received} bytes on the line for one missed edit`)
  }
})

/** Resolves when both have the same text. */
function agree (one, yws) {
  return until('both to agree', () => one.toString() === yws.text.toString(), check => {
    const stops = [on(one.room, 'change', check), on(yws.doc, 'update', check)]
    return () => stops.forEach(stop => stop())
  })
}

test('what is larger than a frame arrives whole, both ways', async t => {
  const server = await Server.start(t)
  const yws = new YwsUser(t, server, 'large')
  const one = new User(t, server, 'large')
  await Promise.all([yws.synced(), one.synced()])
  one.append('0123456789'.repeat(120_000))
  await one.saved()
  await yws.reads(one.toString())
  yws.text.insert(0, 'abcdefghij'.repeat(120_000))
  await one.reads(yws.text.toString())
  const late = new User(t, server, 'large') // 2.4 MB in the answer to its join
  await late.synced()
  assert.equal(late.toString(), one.toString())
})

test('a token that is not known ends the room, or the client, with a reason', async t => {
  const server = await TestServer.start(t, '--tokens')
  await server.ask('token', { token: 'good', rooms: 'mine', write: '1', user: 'ada' })
  const stranger = new User(t, server, 'mine', { token: 'bad' })
  assert.equal((await stranger.ended()).code, Code.UNAUTHORIZED)
  const guest = new User(t, server, 'theirs', { token: 'good' })
  assert.equal((await guest.ended()).code, Code.FORBIDDEN)
  const ada = new User(t, server, 'mine', { token: 'good' })
  await ada.synced()
  assert.equal(ada.room.access, Access.WRITE)
})

test('a reader reads, and what it writes all the same is refused', async t => {
  const server = await TestServer.start(t, '--tokens')
  await server.ask('token', { token: 'writer', rooms: 'r', write: '1', user: 'ada' })
  await server.ask('token', { token: 'reader', rooms: 'r', write: '0', user: 'bob' })
  const ada = new User(t, server, 'r', { token: 'writer' })
  const bob = new User(t, server, 'r', { token: 'reader' })
  await Promise.all([ada.synced(), bob.synced()])
  assert.equal(bob.room.access, Access.READ)
  ada.append('hello')
  await bob.reads('hello')
  bob.append(' from bob')
  ada.append('!')
  await ada.saved()
  assert.equal(bob.room.unsaved, 1)
  assert.equal((await server.get('/v1/rooms/r')).body, 'hello!')

  // A client that does not keep to its access.
  const line = await RawLine.open(t, server, 'reader')
  const { roomId } = await line.join('r')
  line.send({ case: 'update', value: { roomId, id: 1n, updates: [bob.replica.diff(ada.replica.stateVector())] } })
  const { code, updateId } = await line.next('refused')
  assert.deepEqual([code, updateId], [Code.FORBIDDEN, 1n])

  // Rights that change on the open connection.
  const told = within('the change of access', new Promise(resolve => ada.room.once('access', resolve)))
  await server.ask('reader', { room: 'r' })
  assert.equal(await told, Access.READ)
  const over = ada.ended()
  await server.ask('end', { room: 'r' })
  assert.equal((await over).code, Code.FORBIDDEN)
})

test('a token is renewed in time, and the right ends with it', async t => {
  const server = await TestServer.start(t, '--tokens')
  await server.ask('token', { token: 'short', rooms: 'r', write: '1', user: 'ada', ttl: '8000' })
  await server.ask('token', { token: 'long', rooms: 'r', write: '1', user: 'ada' })
  const tokens = ['short', 'long']
  const ada = new User(t, server, 'r', { token: () => tokens.shift() })
  const bob = new User(t, server, 'r', { token: 'short' })
  await Promise.all([ada.synced(), bob.synced()])
  assert.equal((await bob.ended()).code, Code.UNAUTHORIZED) // he has no other one
  ada.append('still here')
  await ada.saved()
  assert.deepEqual(tokens, [])
  assert.equal(ada.joins.length, 1)
})

test('a malformed update is refused, and no other suffers', async t => {
  const server = await Server.start(t)
  const one = new User(t, server, 'r')
  await one.synced()
  const line = await RawLine.open(t, server, '')
  const { roomId } = await line.join('r')
  line.send({ case: 'update', value: { roomId, id: 1n, updates: [Uint8Array.of(1, 2, 3)] } })
  const { body } = await line.any(['refused', 'left'])
  const why = body.case === 'left' ? body.value.reason : body.value
  assert.deepEqual([why.code, why.retry], [Code.MALFORMED, false])
  one.append('unharmed')
  await one.saved()
})

test('a hello with another major version is not upgraded', async t => {
  const server = await Server.start(t)
  const response = await fetch(`http://${server.listen}/native`)
  assert(response.status >= 400, `status ${response.status}`)
})

/** A connection without a client's good manners. */
class RawLine {
  #came = []
  #wake = () => {}

  static async open (t, server, token) {
    const line = new RawLine()
    const stop = new AbortController()
    t.after(() => stop.abort())
    line.link = await within('Welcome', Link.open(`ws://${server.listen}/native`, token, 'raw', stop.signal, {
      envelope: envelope => { line.#came.push(envelope); line.#wake() },
      ended: why => { line.why = why; line.#wake() }
    }))
    return line
  }

  send (body) { this.link.send(body) }

  join (room) {
    return within('Joined', new Promise((resolve, reject) => {
      this.link.request({ case: 'join', value: { room } }, answer => answer instanceof Refusal ? reject(answer) : resolve(answer.body.value))
    }))
  }

  /** The next envelope of one of these cases. */
  async any (cases) {
    let found
    await until(cases.join(' or '), () => {
      found = this.#came.find(({ body }) => cases.includes(body.case))
      if (found === undefined && this.why !== undefined) throw this.why
      return found !== undefined
    }, check => {
      this.#wake = check
      return () => { this.#wake = () => {} }
    })
    this.#came.splice(this.#came.indexOf(found), 1)
    return found
  }

  async next (name) { return (await this.any([name])).body.value }
}
