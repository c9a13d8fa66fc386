// Prints the reports of .ci/bench-gateway as one table: node compare.mjs DIR
// Files are named SCENARIO.SERVER.json. Ratios compare the better of weft's two protocols with the better of the others,
// so that more than 1 is always better for weft.
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'

const dir = process.argv[2]
const ours = ['weft-yws', 'weft-hocuspocus']
const others = ['y-websocket', 'hocuspocus']
const servers = [...ours, ...others]

// Each row: the scenario, what is measured, the value in a result, 1 where more is better and -1 where less is,
// the target for the ratio, and a target for the value itself.
const low = l => l.steps[0]
const rows = [
  ['fanout', 'updates/s, p99 <= 50 ms', r => r.ladder.best, 1, 2],
  ['fanout', 'deliveries/s at best', r => Math.max(0, ...r.ladder.steps.filter(s => s.kept).map(s => s.deliveries)), 1],
  ['fanout', 'p50 ms at 20/s', r => low(r.ladder).latency.p50_ms, -1, 1],
  ['rooms', 'updates/s, p99 <= 50 ms', r => r.ladder.best, 1, 2],
  ['rooms', 'p50 ms at 1000/s', r => low(r.ladder).latency.p50_ms, -1, 1],
  ['idle', 'kB a connection', r => r.idle.kb_each, -1, undefined, 8],
  ['storm', 'connections/s', r => r.storm.connections_per_second, 1, 4],
  ['join', 'server CPU ms', r => r.join.server_cpu_ms_each, -1, 5],
  ['join', 'p50 ms', r => r.join.synced.p50_ms, -1],
  ['awareness', 'server CPU %', r => r.awareness.server_cpu * 100, -1, 2],
  ['slow', 'p99 ms, all read', r => r.slow.before.latency.p99_ms, -1],
  ['slow', 'p99 ms, some stop', r => r.slow.during.latency.p99_ms, -1],
  ['slow', 'MB more at most', r => (r.slow.during.peak - r.slow.before.rss) / 1e6, -1]
]

let bad = false
const read = (scenario, server) => {
  const file = path.join(dir, `${scenario}.${server}.json`)
  if (!existsSync(file)) return undefined
  const result = JSON.parse(readFileSync(file, 'utf8')).results?.find(r => r.scenario === scenario)
  if (!result) return undefined
  const { first, ...counts } = result.faults
  result.faulty = Object.values(counts).some(n => n > 0)
  return result
}

const number = v => {
  if (!Number.isFinite(v)) return '-'
  if (v >= 100) return Math.round(v).toLocaleString('en')
  return v.toFixed(v >= 10 ? 1 : 2)
}
const best = (values, sign) => values.filter(Number.isFinite).sort((a, b) => sign * (b - a))[0]

const table = [['scenario', 'value', ...servers, 'ratio', 'target', '']]
const notes = new Set()
for (const [scenario, what, value, sign, ratioWanted, valueWanted] of rows) {
  const results = servers.map(s => read(scenario, s))
  if (results.every(r => r === undefined)) continue
  const values = results.map(r => {
    if (!r || r.faulty) return NaN
    try { return value(r) } catch { return NaN }
  })
  const cells = results.map((r, i) => {
    if (!r) return '-'
    if (r.faulty) {
      bad = true
      notes.add(`${scenario} ${servers[i]}: ${r.faults.first}`)
      return 'FAULTS'
    }
    const limited = r.ladder?.generator_limited && sign > 0
    if (limited) notes.add('+: the generator had no CPU left, the server may be better')
    return number(values[i]) + (limited ? '+' : '')
  })
  const mine = best(values.slice(0, ours.length), sign)
  const theirs = best(values.slice(ours.length), sign)
  const ratio = sign > 0 ? mine / theirs : theirs / mine
  const limited = results.slice(0, ours.length).some(r => r?.ladder?.generator_limited)
  let target = ''
  let verdict = ''
  if (ratioWanted !== undefined) {
    target = `>= ${ratioWanted}x`
    if (Number.isFinite(ratio)) verdict = ratio >= ratioWanted ? 'met' : limited && sign > 0 ? 'generator' : 'missed'
  } else if (valueWanted !== undefined) {
    target = `<= ${valueWanted}`
    if (Number.isFinite(mine)) verdict = mine <= valueWanted ? 'met' : 'missed'
  }
  table.push([scenario, what, ...cells, Number.isFinite(ratio) ? number(ratio) + 'x' : '-', target, verdict])
}

if (table.length === 1) {
  console.error('compare: no reports in ' + dir)
  process.exit(1)
}
const widths = table[0].map((_, c) => Math.max(...table.map(r => r[c].length)))
const right = c => c >= 2 && c < 2 + servers.length + 1
for (const row of table) console.log(row.map((cell, c) => right(c) ? cell.padStart(widths[c]) : cell.padEnd(widths[c])).join('  ').trimEnd())
for (const n of notes) console.log(n)
process.exit(bad ? 1 : 0)
