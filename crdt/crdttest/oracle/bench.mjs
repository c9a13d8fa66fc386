// Times real Yjs on the recorded streams: node bench.mjs FOLDER [--streams a,b] [--stream-rounds 3]
// FOLDER has the streams' manifest.json. Writes one JSON object: {node, yjs, streams: {name: {task: ns}}}, where a
// task is stream (applyUpdate one by one), streamListener (the same with an update listener, what a server that
// broadcasts pays), loadV1, loadV2, encodeV1 or encodeV2, and ns the median of its rounds.
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
if (positionals.length !== 1) {
  console.error('usage: node bench.mjs FOLDER [--streams a,b] [--stream-rounds 3]')
  process.exit(2)
}
const [folder] = positionals
const streamRounds = Number(values['stream-rounds'])

// updates cuts repetitions of { u32 little-endian length; that many bytes }.
const updates = name => {
  const b = gunzipSync(readFileSync(join(folder, name + '.u1s.gz')))
  const list = []
  for (let at = 0; at < b.length;) {
    const n = b.readUInt32LE(at)
    list.push(new Uint8Array(b.buffer, b.byteOffset + at + 4, n))
    at += 4 + n
  }
  return list
}

// median runs the task until it had its rounds and, for short ones, its time; the first run only warms up.
const median = (task, rounds, milliseconds) => {
  task()
  const times = []
  const end = performance.now() + milliseconds
  while (times.length < rounds || (performance.now() < end && times.length < 200)) {
    const start = process.hrtime.bigint()
    task()
    times.push(Number(process.hrtime.bigint() - start))
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

const measure = name => {
  const list = updates(name)
  const expected = readFileSync(join(folder, name + '.v1'))
  const v2 = new Uint8Array(readFileSync(join(folder, name + '.v2')))
  const v1 = new Uint8Array(expected)
  const doc = replay(list)
  if (!expected.equals(Y.encodeStateAsUpdate(doc))) throw new Error(`${name}: this Yjs makes other bytes than recorded`)
  let heard = 0
  return {
    stream: median(() => replay(list), streamRounds, 0),
    streamListener: median(() => replay(list, u => { heard += u.length }), streamRounds, 0),
    loadV1: median(() => Y.applyUpdate(new Y.Doc(), v1), 5, 500),
    loadV2: median(() => Y.applyUpdateV2(new Y.Doc(), v2), 5, 500),
    encodeV1: median(() => Y.encodeStateAsUpdate(doc), 5, 500),
    encodeV2: median(() => Y.encodeStateAsUpdateV2(doc), 5, 500)
  }
}

const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'))
const wanted = values.streams?.split(',') ?? manifest.map(s => s.name)
const { version } = createRequire(import.meta.url)('yjs/package.json')
const streams = {}
for (const name of wanted) streams[name] = measure(name)
console.log(JSON.stringify({ node: process.version, yjs: version, streams }, null, 1))
