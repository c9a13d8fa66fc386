// Prints a table of Go's benchmark beside bench.mjs: node compare.mjs YJS.json GO.txt
// GO.txt is the output of go test -bench with -cpu 1 (names then have no suffix). Cells are ours / yjs = how many
// times faster; stream is compared with both of yjs' (with a listener in brackets), as our engine's one way serves both.
import { readFileSync } from 'node:fs'

const [yjsFile, goFile] = process.argv.slice(2)
const { node, yjs, streams } = JSON.parse(readFileSync(yjsFile, 'utf8'))
const tasks = { Stream: 'stream', LoadV1: 'loadV1', LoadV2: 'loadV2', EncodeV1: 'encodeV1', EncodeV2: 'encodeV2' }

const ours = {}
for (const line of readFileSync(goFile, 'utf8').split('\n')) {
  const m = /^Benchmark(\w+)\/(\S+)\s+\d+\s+([\d.]+) ns\/op/.exec(line)
  if (m && tasks[m[1]]) ((ours[m[2]] ??= {})[tasks[m[1]]] ??= []).push(Number(m[3]))
}

const median = list => list.sort((a, b) => a - b)[list.length >> 1]
const ms = ns => {
  const v = ns / 1e6
  return v >= 100 ? v.toFixed(0) : v >= 10 ? v.toFixed(1) : v.toFixed(2)
}
const times = x => (x >= 10 ? x.toFixed(0) : x.toFixed(1)) + 'x'

const rows = [['stream', ...Object.values(tasks)]]
let missing = 0
for (const name in streams) {
  rows.push([name, ...Object.values(tasks).map(task => {
    const samples = ours[name]?.[task]
    if (!samples) {
      missing++
      return '-'
    }
    const go = median(samples)
    const js = streams[name][task]
    const heard = task === 'stream' ? ` (${times(streams[name].streamListener / go)})` : ''
    return `${ms(go)} / ${ms(js)} = ${times(js / go)}${heard}`
  })])
}
const widths = rows[0].map((_, c) => Math.max(...rows.map(r => r[c].length)))
console.log(`weft / yjs ${yjs} on node ${node}, ms, medians of one run`)
for (const r of rows) console.log(r.map((cell, c) => cell.padEnd(widths[c])).join('  ').trimEnd())
if (missing > 0) {
  console.error(`${missing} cells have no Go benchmark`)
  process.exit(1)
}
