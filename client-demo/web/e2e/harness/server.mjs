// Starts and stops the server under test: the weft binary, or the reference server when WS=reference.

import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const START_MS = 10_000
const reference = new URL('../reference.mjs', import.meta.url).pathname

/** Whether the server keeps documents and confirms saved markers: weft does, the reference server does not. */
export const isWeft = process.env.WS !== 'reference'

/** A server with a data directory of its own, which can be killed and started again on the same port. */
export class Server {
  #dir
  #process = null
  #log = ''
  #listen = '127.0.0.1:0'

  /** Starts a server with an empty data directory. */
  static async start() {
    const server = new Server()
    server.#dir = await mkdtemp(join(tmpdir(), 'weft-e2e-'))
    await server.start()
    return server
  }

  /** The address of the landing page, without a trailing slash. */
  get url() {
    return 'http://' + this.#listen
  }

  /** What the server printed, for failure messages. */
  get log() {
    return this.#log
  }

  /** Starts the process, on the port it had before if it had one, and waits until it serves. */
  async start() {
    const ready = join(this.#dir, 'ready.json')
    await rm(ready, { force: true })
    const [command, args] = isWeft
      ? [process.env.WEFT_BIN, ['--listen', this.#listen, '--admin', '', '--data', join(this.#dir, 'data'), '--ready-file', ready]]
      : [process.execPath, [reference, '--listen', this.#listen, '--ready-file', ready]]
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#process = child
    child.exited = new Promise((done) => child.once('exit', done))
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (this.#log += chunk))
    this.#listen = await this.#untilReady(child, ready)
  }

  /** Ends the process without warning, as a crash does, and waits until it is gone. */
  async kill() {
    this.#process.kill('SIGKILL')
    await this.#process.exited
  }

  /** Ends the process and removes its data. */
  async stop() {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill('SIGTERM')
      const late = setTimeout(() => this.#process.kill('SIGKILL'), 5_000)
      await this.#process.exited
      clearTimeout(late)
    }
    await rm(this.#dir, { recursive: true, force: true })
  }

  async #untilReady(child, file) {
    for (const end = Date.now() + START_MS; Date.now() < end; await sleep(20)) {
      if (child.exitCode !== null) break
      try {
        return JSON.parse(await readFile(file, 'utf8')).listen
      } catch {
        // Not there yet.
      }
    }
    throw new Error(`the server did not become ready:\n${this.#log}`)
  }
}
