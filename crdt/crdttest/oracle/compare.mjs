// Prints Go's benchmarks beside bench.mjs: node compare.mjs YJS.json GO.txt
// GO.txt is the output of go test -bench with -cpu 1 (names then have no suffix). Times are milliseconds of CPU. The
// first table has what is wanted of the engine. Wanted times are those of the machine on which Yjs takes 907 ms for
// the stream of b4; in brackets stands what that is here, by what Yjs takes in this run. The second has all streams.
import { readFileSync } from 'node:fs'

const [yjsFile, goFile] = process.argv.slice(2)
const { node, yjs, tasks } = JSON.parse(readFileSync(yjsFile, 'utf8'))

// Metrics of Go's benchmarks and what they are called here.
const metrics = {
  'cpu-ms/op': t => t,
  'kB-loaded': t => t.replace('Heap/', 'HeapLoaded/'),
  'kB-received': t => t.replace('Heap/', 'HeapReceived/'),
  'MB-held': t => t.replace('Cold/', 'ColdHeld/'),
  'B/op': t => 'Bytes' + t
}
const samples = {}
for (const line of readFileSync(goFile, 'utf8').split('\n')) {
  const m = /^Benchmark(\w+\/\S+)\s+\d+\s+(.*)$/.exec(line)
  if (!m) continue
  const fields = m[2].trim().split(/\s+/)
  for (let i = 0; i < fields.length; i += 2) {
    const name = metrics[fields[i + 1]]?.(m[1])
    if (name) (samples[name] ??= []).push(Number(fields[i]))
  }
}
const ours = {}
for (const name in samples) ours[name] = samples[name].sort((a, b) => a - b)[samples[name].length >> 1]

// [what, task, at least so many times as fast or small as Yjs, at most so much, unit]
const wanted = [
  ['stream', 'Stream/b4', 15, 60, 'ms'],
  ['stream', 'Stream/b4-sessions260', 60, 30, 'ms'],
  ['stream', 'Stream/friendsforever', 40, 0, 'ms'],
  ['stream', 'Stream/prosemirror40', 18, 0, 'ms'],
  ['stream', 'Stream/whiteboard20', 8, 0, 'ms'],
  ['stream', 'Stream/rustcode', 10, 0, 'ms'],
  ['load v1', 'LoadV1/b4', 0, 2, 'ms'],
  ['load v2', 'LoadV2/b4', 0, 2.5, 'ms'],
  ['load v1', 'LoadV1/whiteboard20', 0, 6, 'ms'],
  ['encode v1', 'EncodeV1/b4', 0, 0.35, 'ms'],
  ['heap, loaded', 'HeapLoaded/b4', 0, 800, 'kB'],
  ['heap, received', 'HeapReceived/b4', 0, 800, 'kB'],
  ['heap, loaded', 'HeapLoaded/whiteboard20', 0, 3000, 'kB'],
  ['heap, received', 'HeapReceived/whiteboard20', 0, 3000, 'kB'],
  ['merge', 'Merge/b4-8000', 0, 0, 'ms'],
  ['merge', 'Merge/b4-16000', 0, 0, 'ms'],
  ['merge all', 'Merge/b4-259778', 0, 150, 'ms'],
  ['edit by index', 'Local/b4', 0, 60, 'ms'],
  ['1,000 cold rooms', 'ColdHeld/b4', 0, 200, 'MB'],
  ['wake one', 'Cold/b4', 0, 3, 'ms'],
  ['20,000 inserts at one place', 'Concurrent/20000', 0, 1000, 'ms']
]
const slower = tasks['Stream/b4'] ? tasks['Stream/b4'] / 907 : 1 // than the machine of the wanted times

const short = v => v >= 100 ? v.toFixed(0) : v >= 10 ? v.toFixed(1) : v.toFixed(2)
const times = x => (x >= 10 ? x.toFixed(0) : x.toFixed(1)) + 'x'
const print = rows => {
  const widths = rows[0].map((_, c) => Math.max(...rows.map(r => r[c].length)))
  for (const r of rows) console.log(r.map((cell, c) => cell.padEnd(widths[c])).join('  ').trimEnd())
}

console.log(`weft / yjs ${yjs} on node ${node}, CPU time, this machine ${slower.toFixed(2)} times the wanted times'`)
let missing = 0
const rows = [['work', 'case', 'weft', 'yjs', 'ratio', 'wanted', '']]
for (const [what, task, ratio, most, unit] of wanted) {
  const name = task.split('/')[1]
  const go = ours[task]
  const js = tasks[task]
  if (go === undefined) {
    if (!js) continue // not picked
    missing++
  }
  const limit = unit === 'ms' ? most * slower : most
  const goals = []
  if (ratio > 0) goals.push(`${ratio}x`)
  if (most > 0) goals.push(`${most} ${unit}` + (unit === 'ms' ? ` (${short(limit)})` : ''))
  const reached = go !== undefined && (ratio === 0 || js / go >= ratio) && (most === 0 || go <= limit)
  rows.push([what, name, go === undefined ? '-' : `${short(go)} ${unit}`, js ? short(js) : '-', go && js ? times(js / go) : '-',
    goals.join(', '), goals.length === 0 ? '' : reached ? 'yes' : 'no'])
}
print(rows)
console.log()

const columns = ['Stream', 'LoadV1', 'LoadV2', 'EncodeV1', 'EncodeV2', 'HeapLoaded', 'HeapReceived']
const table = [['weft / yjs', ...columns]]
const streams = Object.keys(tasks).filter(t => t.startsWith('Stream/')).map(t => t.slice(7))
for (const name of streams) {
  table.push([name, ...columns.map(column => {
    const task = `${column}/${name}`
    const go = ours[task]
    if (!go) {
      missing++
      return '-'
    }
    const heard = column === 'Stream' ? ` (${times(tasks[`Listener/${name}`] / go)})` : ''
    return `${short(go)}/${short(tasks[task])} ${times(tasks[task] / go)}${heard}`
  })])
}
print(table)
console.log('ms of CPU; kB for heap; in brackets against Yjs with an update listener')
if (missing > 0) {
  console.error(`${missing} cells have no Go benchmark`)
  process.exit(1)
}
