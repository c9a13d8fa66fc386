// Every kind of client in one room of the real server: y-websocket 3.1 and Hocuspocus 4.8 with yjs, this client with yrs, the
// Go client with Weft's own documents.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { Server, User as YwsUser, on, until } from '../../../gateway/providers/harness.mjs'
import { User as HocuspocusUser, versions } from '../../../gateway/providers/hocuspocus.mjs'
import { Version } from '../build/src/index.js'
import { GoUser, User } from './native.mjs'

const hocuspocus = versions.find(version => version.major === 4)

/** Numbers that look random and are the same in every run. */
function dice (seed) {
  return most => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return Math.floor(seed / 2 ** 32 * most)
  }
}

/** Everybody of a room: a y-websocket user, a Hocuspocus user, one who reads updates of version 1, one of version 2, one in Go. */
async function everybody (t, server, room) {
  const yws = new YwsUser(t, server, room)
  const hp = new HocuspocusUser(t, hocuspocus, server, room)
  const one = new User(t, server, room)
  const two = new User(t, server, room, { version: Version.V2 })
  const go = new GoUser(t, server, room)
  await Promise.all([yws, hp, one, two, go].map(user => user.synced()))
  return { yws, hp, one, two, go }
}

test('all converge while all edit', async t => {
  const server = await Server.start(t)
  const { yws, hp, one, two, go } = await everybody(t, server, 'all')
  const roll = dice(20261124)
  const editors = [
    { length: () => yws.text.length, insert: (at, s) => yws.text.insert(at, s), delete: at => yws.text.delete(at, 1) },
    { length: () => hp.text.length, insert: (at, s) => hp.text.insert(at, s), delete: at => hp.text.delete(at, 1) },
    ...[one, two].map(user => ({
      length: () => user.text.length(undefined),
      insert: (at, s) => user.insert(at, s),
      delete: at => user.text.delete(at, 1, undefined)
    })),
    // Its text may be another one by the time it obeys: where is its own business.
    { length: () => 1000, insert: (at, s) => go.order({ insert: s, at }), delete: at => go.order({ delete: true, at }) }
  ]
  for (let edit = 0; edit < 400; edit++) {
    const who = roll(editors.length)
    const editor = editors[who]
    const length = editor.length()
    if (length > 0 && roll(4) === 0) editor.delete(roll(length))
    else editor.insert(roll(length + 1), 'abcde'[who] + (roll(10) === 0 ? 'é\n' : ''))
    if (roll(8) === 0) await new Promise(setImmediate)
  }
  yws.doc.getMap('m').set('from yjs', { deep: [1, 2.5, null, true, 'x'] })
  one.doc.getMap('m').set('from yrs', { list: [1, 'é', false] }, undefined)
  two.doc.getArray('l').push(['a', 3], undefined)
  go.order({ key: 'from go', value: 'é' })
  await go.until('its own edits, saved', () => go.view.saved && go.view.map?.['from go'] === 'é')
  await Promise.all([one.saved(), two.saved(), hp.saved(), yws.saved('all')])

  // Everything is in the room: whoever reads the room's text has everything.
  const { body } = await server.get('/v1/rooms/all?format=text')
  await Promise.all([yws, hp, one, two, go].map(user => user.reads(body)))
  const map = { 'from yjs': { deep: [1, 2.5, null, true, 'x'] }, 'from yrs': { list: [1, 'é', false] }, 'from go': 'é' }
  const complete = user => Object.keys(user.doc.getMap('m').toJSON()).length === 3 && user.doc.getArray('l').length === 2
  for (const user of [yws, hp]) await until('map and list', () => complete(user), check => on(user.doc, 'update', check))
  for (const user of [one, two]) {
    await until('map and list', () => user.doc.getArray('l').length(undefined) === 2 && user.doc.getMap('m').length(undefined) === 3,
      check => on(user.room, 'change', check))
  }
  await go.until('the map', () => Object.keys(go.view.map).length === 3)
  assert.deepEqual(go.view.map, map)
  for (const user of [yws, hp]) {
    assert.deepEqual(user.doc.getMap('m').toJSON(), map)
    assert.deepEqual(user.doc.getArray('l').toJSON(), ['a', 3])
  }
  for (const user of [one, two]) {
    assert.equal(JSON.stringify(sorted(user.doc.getMap('m').toJson(undefined))), JSON.stringify(sorted(map)))
    assert.deepEqual(user.doc.getArray('l').toJson(undefined), ['a', 3])
    assert.deepEqual(user.refusals, [])
  }
})

/** A plain value with the keys of its objects in order; yrs's maps have none. */
function sorted (value) {
  if (Array.isArray(value)) return value.map(sorted)
  const plain = value instanceof Map ? Object.fromEntries(value) : value
  if (typeof plain !== 'object' || plain === null) return plain
  return Object.fromEntries(Object.keys(plain).sort().map(key => [key, sorted(plain[key])]))
}

test('everybody sees everybody, and who goes is gone', async t => {
  const server = await Server.start(t)
  const users = await everybody(t, server, 'people')
  const { yws, hp, one, two, go } = users
  yws.awareness.setLocalStateField('user', { name: 'yws' })
  hp.awareness.setLocalStateField('user', { name: 'hp' })
  one.room.setPresence({ user: { name: 'one' } })
  two.room.setPresence({ user: { name: 'two' } })
  go.order({ present: 'go' })
  for (const [name, user] of Object.entries(users)) {
    for (const [other, { id }] of Object.entries(users)) {
      if (other !== name) await user.sees(`${other} at ${name}`, id, state => state?.user?.name === other)
    }
  }
  one.room.setPresence({ user: { name: 'one' }, cursor: { anchor: 1, head: 2 } })
  for (const user of [yws, hp, two, go]) await user.sees('a cursor', one.id, state => state?.cursor?.head === 2)

  one.room.setPresence(null)
  for (const user of [yws, hp, two, go]) await user.sees('one to be gone', one.id, state => state === undefined)
  await two.client.close()
  for (const user of [yws, hp, go]) await user.sees('two to be gone', two.id, state => state === undefined)
  const goId = go.id
  await go.leave()
  for (const user of [yws, hp, one]) await user.sees('go to be gone', goId, state => state === undefined)
  yws.provider.destroy()
  await one.sees('yws to be gone', yws.id, state => state === undefined)

  // Who comes later is told who is here, in the answer to the join.
  const late = new User(t, server, 'people')
  await late.synced()
  await late.sees('hp', hp.id, state => state?.user?.name === 'hp')
  assert.deepEqual([...late.room.peers.keys()], [hp.id])
})

test('signals reach the others, also stateless messages of Hocuspocus', async t => {
  const server = await Server.start(t)
  const { hp, one, two } = await everybody(t, server, 'signals')
  one.room.signal(Buffer.from('ping from one'))
  await until('the signal', () => two.signals.includes('ping from one'), check => on(two.room, 'signal', check))
  await until('the signal', () => hp.stateless.includes('ping from one'), check => on(hp.provider, 'stateless', check))
  hp.provider.sendStateless('from hp')
  for (const user of [one, two]) await until('the signal', () => user.signals.includes('from hp'), check => on(user.room, 'signal', check))
  assert.deepEqual(one.signals, ['from hp'])
})

test('many rooms share one connection', async t => {
  const server = await Server.start(t)
  const one = new User(t, server, 'room 0')
  const rooms = [one.room]
  for (let i = 1; i < 20; i++) rooms.push(one.client.join(`room ${i}`))
  for (const [i, room] of rooms.entries()) room.replica.doc.getText('codemirror').insert(0, `text ${i}`, undefined, undefined)
  for (const room of rooms) await room.saved()
  assert.equal(new Set(rooms.map(room => room.id)).size, 20)
  for (const i of [0, 7, 19]) assert.equal((await server.get(`/v1/rooms/room%20${i}`)).body, `text ${i}`)
})

test('the command shows the text and appends lines to it', async t => {
  const server = await Server.start(t)
  const yws = new YwsUser(t, server, 'cli')
  await yws.synced()
  yws.text.insert(0, 'from the browser\n')
  const program = spawn(process.execPath, [path.join(import.meta.dirname, '../build/src/cli.js'),
    '--url', `ws://${server.listen}/native`, '--room', 'cli', '--user', 'Ada'], { stdio: ['pipe', 'pipe', 'pipe'] })
  t.after(() => program.kill('SIGKILL'))
  let log = ''
  program.stderr.on('data', chunk => { log += chunk })
  const lines = []
  const output = createInterface({ input: program.stdout })
  output.on('line', line => lines.push(line))
  await until('its presence', () => [...yws.awareness.getStates().values()].some(state => state.user?.name === 'Ada'),
    check => on(yws.awareness, 'change', check))
  await until(`the text, have ${log}`, () => lines.includes('from the browser'), check => on(output, 'line', check))
  program.stdin.write('from the terminal\n')
  await yws.reads('from the browser\nfrom the terminal\n')
  yws.text.insert(0, 'seen: ')
  await until('the change', () => lines.includes('seen: from the browser'), check => on(output, 'line', check))
  program.stdin.end('last words\n')
  const [code] = await once(program, 'exit')
  assert.equal(code, 0, log)
  assert.match(log, /all saved/)
  await yws.reads('seen: from the browser\nfrom the terminal\nlast words\n')
})
