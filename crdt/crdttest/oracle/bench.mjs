// Times real Yjs on the recorded streams: node --expose-gc bench.mjs FOLDER [--streams a,b] [--stream-rounds 3]
// FOLDER has streams/manifest.json and traces/. Writes one JSON object: {node, yjs, tasks: {"task/case": value}}.
// Times are milliseconds of CPU, all threads, the median of the rounds. The tasks and their cases:
//   Stream/NAME          applyUpdate one by one
//   Listener/NAME        the same with an update listener, what a server that broadcasts pays
//   LoadV1, LoadV2, EncodeV1, EncodeV2/NAME
//   HeapLoaded/NAME, HeapReceived/NAME   kilobytes that a document holds, loaded and at the end of its stream
//   Merge/b4-N           mergeUpdates of the first N updates: it is quadratic
//   Local/b4             the edits of the trace by index, each its own transaction
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { gunzipSync } from 'node:zlib'
import * as Y from 'yjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { streams: { type: 'string' }, 'stream-rounds': { type: 'string', default: '3' } }
})
if (positionals.length !== 1 || !globalThis.gc) {
  console.error('usage: node --expose-gc bench.mjs FOLDER [--streams a,b] [--stream-rounds 3]')
  process.exit(2)
}
const folder = join(positionals[0], 'streams')
const streamRounds = Number(values['stream-rounds'])
const tasks = {}

// records cuts repetitions of { header bytes of u32 little-endian, the last a length; that many bytes }.
const records = (file, header) => {
  const b = gunzipSync(readFileSync(file))
  const list = []
  for (let at = 0; at < b.length;) {
    const words = []
    for (let i = 0; i < header; i += 4) words.push(b.readUInt32LE(at + i))
    const n = words.at(-1)
    at += header
    list.push({ words, bytes: new Uint8Array(b.buffer, b.byteOffset + at, n) })
    at += n
  }
  return list
}

const cpu = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

// median runs the task until it had its rounds and, for short ones, its time; the first run only warms up. What is
// short is repeated within a round, as the clock of CPU time has steps.
const median = (task, rounds, milliseconds) => {
  let start = cpu()
  task()
  const repeat = milliseconds === 0 ? 1 : Math.max(1, Math.ceil(20 / Math.max(cpu() - start, 0.1)))
  const times = []
  const end = performance.now() + milliseconds
  while (times.length < rounds || (performance.now() < end && times.length < 200)) {
    start = cpu()
    for (let i = 0; i < repeat; i++) task()
    times.push((cpu() - start) / repeat)
  }
  times.sort((a, b) => a - b)
  return times[times.length >> 1]
}

const replay = (list, listener) => {
  const doc = new Y.Doc()
  if (listener) doc.on('update', listener)
  for (const u of list) Y.applyUpdate(doc, u)
  return doc
}

// held returns the kilobytes that the heap has grown by for what make returns.
const held = make => {
  globalThis.gc()
  const before = process.memoryUsage().heapUsed
  const doc = make()
  globalThis.gc()
  const size = process.memoryUsage().heapUsed - before
  if (doc.store.clients.size === 0) throw new Error('empty document')
  return size / 1000
}

const load = (state, apply = Y.applyUpdate) => {
  const doc = new Y.Doc()
  apply(doc, state)
  return doc
}

const measure = (name, list) => {
  const expected = readFileSync(join(folder, name + '.v1'))
  const v2 = new Uint8Array(readFileSync(join(folder, name + '.v2')))
  const v1 = new Uint8Array(expected)
  const doc = replay(list)
  if (!expected.equals(Y.encodeStateAsUpdate(doc))) throw new Error(`${name}: this Yjs makes other bytes than recorded`)
  let heard = 0
  tasks[`Stream/${name}`] = median(() => replay(list), streamRounds, 0)
  tasks[`Listener/${name}`] = median(() => replay(list, u => { heard += u.length }), streamRounds, 0)
  tasks[`LoadV1/${name}`] = median(() => load(v1), 5, 500)
  tasks[`LoadV2/${name}`] = median(() => load(v2, Y.applyUpdateV2), 5, 500)
  tasks[`EncodeV1/${name}`] = median(() => Y.encodeStateAsUpdate(doc), 5, 500)
  tasks[`EncodeV2/${name}`] = median(() => Y.encodeStateAsUpdateV2(doc), 5, 500)
  tasks[`HeapLoaded/${name}`] = held(() => load(v1))
  tasks[`HeapReceived/${name}`] = held(() => replay(list))
}

const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'))
const wanted = values.streams?.split(',') ?? manifest.map(s => s.name)
for (const name of wanted) {
  const list = records(join(folder, name + '.u1s.gz'), 4).map(r => r.bytes)
  measure(name, list)
  if (name === 'b4') for (const n of [8000, 16000]) tasks[`Merge/b4-${n}`] = median(() => Y.mergeUpdates(list.slice(0, n)), 1, 0)
}
if (wanted.includes('b4')) {
  const edits = records(join(positionals[0], 'traces', 'b4.ops.gz'), 12)
    .map(({ words: [pos, del], bytes }) => ({ pos, del, text: new TextDecoder().decode(bytes) }))
  tasks['Local/b4'] = median(() => {
    const text = new Y.Doc().getText('text')
    for (const { pos, del, text: insert } of edits) {
      text.doc.transact(() => {
        if (del > 0) text.delete(pos, del)
        if (insert !== '') text.insert(pos, insert)
      })
    }
  }, streamRounds, 0)
}
const { version } = createRequire(import.meta.url)('yjs/package.json')
console.log(JSON.stringify({ node: process.version, yjs: version, tasks }, null, 1))
