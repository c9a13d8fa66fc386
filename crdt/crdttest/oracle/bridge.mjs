// Runs Yjs' own tests with the engine beside each document: node bridge.mjs WASM_EXEC.js ENGINE.wasm SEED
// Every update that a document of a test emits goes to a document of the engine and to one of Yjs that declares no
// roots. Their state vectors are compared after each update, their states in both encodings at the end of the test,
// and so are merges, diffs and conversions of the updates. The last line is one JSON object: see BridgeReport in
// ../bridge.go.
import './deterministic.mjs'
import { readFileSync } from 'node:fs'
import { register } from 'node:module'
import { parseArgs } from 'node:util'

const { positionals: [wasmExec, wasm, seedText] } = parseArgs({ allowPositionals: true })
const seed = Number(seedText)
process.env.PRODUCTION = '1' // tests for long runs do not skip themselves; bridge-helper.mjs makes them short
register('./bridge-hooks.mjs', import.meta.url)
;(0, eval)(readFileSync(wasmExec, 'utf8')) // defines globalThis.Go
const { load } = await import('../../wasm/weft.mjs')
const weft = await load(readFileSync(wasm))
const Y = await import('yjs')
const t = await import('lib0/testing')

const report = { tests: 0, reached: 0, skipped: [], failing: [], docs: 0, updates: 0, differences: [] }
let current = ''
let mirrors = []
const known = new WeakSet() // documents that have a mirror or are one

const hex = u => Buffer.from(u).toString('hex')
const same = (what, want, got) => {
  if (!Buffer.from(want).equals(Buffer.from(got))) {
    report.differences.push(`${current}: ${what}: ${hex(got).slice(0, 400)}, want ${hex(want).slice(0, 400)}`)
  }
}
// attempt runs f and reports what the engine throws.
const attempt = (what, f) => {
  try {
    return f()
  } catch (err) {
    report.differences.push(`${current}: ${what}: ${err}`)
  }
}

const mirror = doc => {
  known.add(doc)
  const yjs = new Y.Doc({ gc: doc.gc })
  known.add(yjs)
  const m = { yjs, weft: new weft.Doc({ keepDeleted: !doc.gc }), updates: [], updatesV2: [] }
  mirrors.push(m)
  report.docs++
  doc.on('update', u => {
    report.updates++
    m.updates.push(u)
    Y.applyUpdate(yjs, u)
    attempt('apply', () => {
      m.weft.apply(u)
      same('state vector', Y.encodeStateVector(yjs), m.weft.stateVector())
    })
  })
  doc.on('updateV2', u => m.updatesV2.push(u))
}

// A document announces its first transaction before it makes it.
const emit = Y.Doc.prototype.emit
Y.Doc.prototype.emit = function (name, args) {
  if (name === 'beforeAllTransactions' && !known.has(this)) mirror(this)
  return emit.call(this, name, args)
}

const settle = m => attempt('state', () => {
  const v1 = Y.encodeStateAsUpdate(m.yjs)
  const v2 = Y.encodeStateAsUpdateV2(m.yjs)
  same('state v1', v1, m.weft.state(1))
  same('state v2', v2, m.weft.state(2))
  if (m.updates.length > 0) {
    const merged = Y.mergeUpdates(m.updates)
    const half = Y.encodeStateVectorFromUpdate(Y.mergeUpdates(m.updates.slice(0, m.updates.length >> 1)))
    same('merge v1', merged, weft.mergeUpdates(m.updates))
    same('merge v2', Y.mergeUpdatesV2(m.updatesV2), weft.mergeUpdates(m.updatesV2, 2))
    same('diff', Y.diffUpdate(merged, half), weft.diffUpdate(merged, half))
    same('state since', Y.encodeStateAsUpdate(m.yjs, half), m.weft.state(1, half))
    same('convert to v2', Y.convertUpdateFormatV1ToV2(v1), weft.convertUpdate(v1, 1, 2))
    same('convert to v1', Y.convertUpdateFormatV2ToV1(v2), weft.convertUpdate(v2, 2, 1))
  }
  m.weft.close()
})

for (const suite of ['y-map', 'y-array', 'y-text', 'y-xml', 'encoding', 'undo-redo']) {
  const tests = await import(`yjs-tests/tests/${suite}.tests.js`)
  for (const name of Object.keys(tests).filter(name => name.startsWith('test'))) {
    current = `${suite}: ${name}`
    report.tests++
    mirrors = []
    const tc = new t.TestCase(suite, name)
    tc._seed = seed
    try {
      await tests[name](tc)
    } catch (err) {
      ;(err.constructor.name === 'SkipError' ? report.skipped : report.failing).push(`${current}: ${err}`)
    }
    if (mirrors.some(m => m.updates.length > 0)) report.reached++
    mirrors.forEach(settle)
  }
}
process.stdout.write(JSON.stringify(report) + '\n', () => process.exit(0))
