// Writes scenarios as NDJSON, one per line: node generate.mjs --seed N --count M
// The scenario of a seed is the same bytes each time and on every machine. --fields a,b leaves out every other
// field that describe.mjs can make, which is several times faster when few are wanted.
import './deterministic.mjs'
import { parseArgs } from 'node:util'
import { Random } from './random.mjs'
import { session } from './session.mjs'
import { allNames, choose, describe, fieldNames } from './describe.mjs'
import { base64 } from './view.mjs'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '1' },
    fields: { type: 'string', default: fieldNames.join() }
  }
})
const first = Number(values.seed)
const count = Number(values.count)
if (!Number.isSafeInteger(first) || first < 0 || !Number.isSafeInteger(count) || count < 1) {
  console.error('generate: --seed wants an integer >= 0, --count one >= 1')
  process.exit(2)
}
const fields = values.fields.split(',')
const unknown = fields.filter(f => !allNames.includes(f))
if (unknown.length > 0) {
  console.error(`generate: --fields does not know ${unknown}; it knows ${allNames}`)
  process.exit(2)
}

// A reader that has seen enough closes the pipe.
process.stdout.on('error', err => process.exit(err.code === 'EPIPE' ? 0 : 1))

const scenario = seed => {
  const s = session(seed)
  return {
    seed,
    astral: s.astral,
    kind: s.kind,
    gc: s.gc,
    undo: s.undo,
    clients: s.clients,
    updates: s.updates.map(u => ({ c: u.c, v1: base64(u.v1), v2: base64(u.v2) })),
    ...describe(s.updates, choose(new Random(seed + 0x5eed), s.updates), fields)
  }
}

for (let i = 0; i < count; i++) {
  let line
  try {
    line = JSON.stringify(scenario(first + i)) + '\n'
  } catch (err) {
    console.error(`generate: seed ${first + i}:`, err)
    process.exit(1)
  }
  if (!process.stdout.write(line)) await new Promise(resolve => process.stdout.once('drain', resolve))
}
