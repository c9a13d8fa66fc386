// Starts servers and connects real providers to them: the weft binary named by WEFT_BIN, or the Go test binary named by
// WEFT_TEST_BIN, whose disk and tokens the tests rule. Every wait here is on a state, bounded by
// `patience`; nothing sleeps and hopes.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import WebSocket from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'

const patience = 30_000 // ms

const bin = process.env.WEFT_BIN
const testBin = process.env.WEFT_TEST_BIN
if (!bin || !testBin) throw new Error('WEFT_BIN and WEFT_TEST_BIN must name servers; `go test -run Providers ./gateway` builds them and sets these')

/** Resolves when `cond` is true; it is asked after every call of the function that `listen` is given. */
export async function until (what, cond, listen) {
  if (cond()) return
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => { stop?.(); reject(new Error(`waited ${patience} ms for ${what}`)) }, patience)
    const stop = listen(() => {
      if (!cond()) return
      clearTimeout(timer)
      stop?.()
      resolve()
    })
  })
}

/** A weft process with a data directory of its own, which survives kills. */
export class Server {
  static start (t, ...args) {
    return new this().begin(t, args)
  }

  async begin (t, args) {
    const server = this
    server.dir = await mkdtemp(path.join(tmpdir(), 'weft-providers-'))
    server.args = args
    server.listen = '127.0.0.1:0'
    t.after(async () => {
      await server.stop('SIGKILL')
      await rm(server.dir, { recursive: true, force: true })
    })
    await server.run()
    return server
  }

  command (ready) {
    return [bin, ['serve', '--listen', this.listen, '--admin=', '--data', path.join(this.dir, 'data'),
      '--ready-file', ready, '--log', 'text,debug', ...this.args]]
  }

  /** Starts the process; again on the same port after the first time. */
  async run () {
    const ready = path.join(this.dir, 'ready.json')
    await rm(ready, { force: true })
    this.log = ''
    const [program, args] = this.command(ready)
    this.process = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    this.process.stderr.on('data', chunk => { this.log += chunk })
    this.ended = once(this.process, 'exit')
    for (let tries = patience / 20; ; tries--) { // another process writes the file: there is nothing else to wait on
      try {
        this.listen = JSON.parse(await readFile(ready, 'utf8')).listen
        return
      } catch (err) {
        if (this.process.exitCode !== null || tries <= 0) throw new Error(`weft did not start: ${this.log}`, { cause: err })
      }
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }

  /** Sends a signal and waits for the end; returns the exit code, null after a kill. */
  async stop (signal) {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill(signal)
    const [code] = await this.ended
    return code
  }

  get ws () { return `ws://${this.listen}/yjs` }
  get hocuspocus () { return `ws://${this.listen}/hocuspocus` }

  async get (pathname) {
    const response = await fetch(`http://${this.listen}${pathname}`, { headers: { authorization: 'Bearer judge' } })
    return { status: response.status, body: await response.text() }
  }
}

/** A server that does what a test asks for: `ask('hold')` stops its disk, `ask('token', ...)` makes a token good. */
export class TestServer extends Server {
  command (ready) {
    return [testBin, ['serve-for-providers', '--listen', this.listen, '--data', path.join(this.dir, 'data'),
      '--ready-file', ready, ...this.args]]
  }

  async ask (what, params = {}) {
    const { status, body } = await this.get(`/test/${what}?${new URLSearchParams(params)}`)
    if (status !== 200) throw new Error(`${what}: ${status} ${body}`)
    return body
  }

  /** What the server noted about who entered and left. */
  async noted () { return JSON.parse(await this.ask('log')) }
}

/** One user of y-websocket: a document and the real provider, which is not destroyed before the test ends. */
export class User {
  constructor (t, server, room, options = {}) {
    this.doc = new Y.Doc()
    this.text = this.doc.getText('codemirror')
    this.provider = new WebsocketProvider(server.ws, room, this.doc, { WebSocketPolyfill: WebSocket, disableBc: true, ...options })
    this.awareness = this.provider.awareness
    this.id = this.doc.clientID
    this.closes = [] // close codes seen
    this.provider.on('connection-close', event => this.closes.push(event?.code))
    this.answers = new Set() // save markers that came back
    this.provider.messageHandlers[102] = (_encoder, decoder) => {
      this.answers.add(Buffer.from(decoding.readVarUint8Array(decoder)).toString())
      this.provider.emit('saved', [])
    }
    t.after(() => {
      this.provider.destroy()
      this.doc.destroy()
    })
  }

  synced () {
    return until('sync', () => this.provider.synced, check => on(this.provider, 'sync', check))
  }

  /** Resolves when the text is `want`. */
  reads (want) {
    return until(`the text ${JSON.stringify(want)}, have ${JSON.stringify(this.text.toString())}`,
      () => this.text.toString() === want, check => on(this.doc, 'update', check))
  }

  /** Resolves when the state of client `id` fulfils `cond`; undefined stands for one who is not here. */
  sees (what, id, cond) {
    return until(what, () => cond(this.awareness.getStates().get(id)), check => on(this.awareness, 'change', check))
  }

  status (want) {
    return until(`status ${want}`, () => (want === 'connected') === this.provider.wsconnected, check => on(this.provider, 'status', check))
  }

  /** Asks for everything sent so far to be made durable and resolves when the server says that it is. */
  saved (marker) {
    const encoder = encoding.createEncoder()
    encoding.writeVarUint(encoder, 102)
    encoding.writeVarUint8Array(encoder, Buffer.from(marker))
    this.provider.ws.send(encoding.toUint8Array(encoder))
    return until(`marker ${marker}`, () => this.answers.has(marker), check => on(this.provider, 'saved', check))
  }
}

export function on (emitter, event, check) {
  emitter.on(event, check)
  return () => emitter.off(event, check)
}
