// `npm test`: builds the server once and runs every test file against it.
//
//   WEFT_BIN=PATH     a weft binary to use instead of building one
//   WS=reference      the reference y-websocket server instead of weft
//   ARTEFACTS=DIR     where screenshots go; default: artefacts/web at the root of the repository
//   CHROMIUM=PATH     the browser; default: /usr/bin/chromium

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const here = new URL('.', import.meta.url).pathname
const root = join(here, '../../..')
const env = { ARTEFACTS: join(root, 'artefacts/web'), ...process.env }
const scratch = mkdtempSync(join(tmpdir(), 'weft-e2e-bin-'))

function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', cwd: root, env })
  if (error) throw error
  return status ?? 1
}

let status = 0
if (env.WS !== 'reference' && env.WEFT_BIN === undefined) {
  env.WEFT_BIN = join(scratch, 'weft')
  status = run('go', ['build', '-o', env.WEFT_BIN, './cmd/weft'])
}
if (status === 0) {
  const wanted = process.argv.slice(2)
  const files = readdirSync(here).filter((name) => name.endsWith('.test.mjs') && (wanted.length === 0 || wanted.some((w) => name.includes(w))))
  status = run(process.execPath, ['--test', '--test-concurrency=1', '--test-reporter=spec', ...files.map((name) => join(here, name))])
}
rmSync(scratch, { recursive: true, force: true })
process.exitCode = status
