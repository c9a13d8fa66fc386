// One user of this client, shaped like the users of the real providers in gateway/providers, and a cable to cut.
import { spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import net from 'node:net'
import { createInterface } from 'node:readline'
import { on, until } from '../../../gateway/providers/harness.mjs'
import { Backoff, Client, YrsReplica } from '../build/src/index.js'

/** A user: a yrs document, and a client of its own. */
export class User {
  constructor (t, address, room, { token, replica = new YrsReplica(), ...options } = {}) {
    this.client = new Client({ url: `ws://${address.listen}/native`, token, backoff: new Backoff(() => 0.1) })
    this.replica = replica
    this.doc = replica.doc
    this.id = replica.clientId
    this.text = this.doc.getText('codemirror')
    this.joins = [] // what the room said of each
    this.refusals = []
    this.signals = []
    this.room = this.client.join(room, { replica, ...options })
    this.room.on('joined', join => this.joins.push(join))
    this.room.on('refused', why => this.refusals.push(why))
    this.room.on('signal', data => this.signals.push(Buffer.from(data).toString()))
    t.after(() => this.client.close())
  }

  insert (at, what) { this.text.insert(at, what, undefined, undefined) }
  append (what) { this.text.push(what, undefined, undefined) }
  toString () { return this.text.toString(undefined) }
  synced () { return within('the join', this.room.joined()) }
  saved () { return within(`the acks of ${this.room.unsaved} edits`, this.room.saved()) }

  reads (want) {
    return until(`the text ${JSON.stringify(want.slice(0, 200))}, have ${JSON.stringify(this.toString().slice(0, 200))}`,
      () => this.toString() === want, check => on(this.room, 'change', check))
  }

  /** Resolves when the state of client `id` fulfils `cond`; undefined stands for one who is not here. */
  sees (what, id, cond) {
    return until(what, () => cond(this.room.peers.get(id)), check => on(this.room, 'presence', check))
  }

  /** Resolves with the Refusal that ends the room. */
  ended () {
    return within('the end of the room', new Promise(resolve => this.room.once('ended', resolve)))
  }

  status (want) {
    return until(`status ${want}`, () => this.client.status === want, check => on(this.client, 'status', check))
  }
}

/** A user of the Go client, in a process of its own: gateway/native_peer_test.go. */
export class GoUser {
  #changes = new EventEmitter()

  constructor (t, server, room) {
    this.process = spawn(process.env.WEFT_TEST_BIN, ['join-for-node', '--url', `ws://${server.listen}/native`, '--room', room],
      { stdio: ['pipe', 'pipe', 'inherit'] })
    t.after(() => this.process.kill('SIGKILL'))
    createInterface({ input: this.process.stdout }).on('line', line => {
      this.view = JSON.parse(line)
      this.#changes.emit('change')
    })
  }

  get id () { return this.view.id }
  toString () { return this.view?.text }
  order (what) { this.process.stdin.write(JSON.stringify(what) + '\n') }
  until (what, cond) { return until(`${what}, have ${JSON.stringify(this.view)}`, cond, check => on(this.#changes, 'change', check)) }
  synced () { return this.until('the join', () => this.view !== undefined) }
  reads (want) { return this.until(`the text ${JSON.stringify(want)}`, () => this.toString() === want) }
  sees (what, id, cond) { return this.until(what, () => cond(this.view.peers[id])) }

  /** Leaves the room in order, once everything is saved. */
  async leave () {
    this.process.stdin.end()
    const [code] = await within('the end of the Go client', once(this.process, 'exit'))
    if (code !== 0) throw new Error(`the Go client ended with ${code}`)
  }
}

/** What a promise brings, or an error after a time that nothing takes unless it is broken. */
export async function within (what, promise) {
  let timer
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited 30 s for ${what}`)), 30_000)
  })
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** A TCP line to a server which can be cut and mended, and counts what the server sends. */
export class Cable {
  #pairs = new Set()
  #cut = false
  received = 0 // bytes, handshakes and frame headers included

  static async lay (t, server) {
    const cable = new Cable()
    const listener = net.createServer(near => {
      if (cable.#cut) return near.destroy()
      const [host, port] = server.listen.split(':')
      const far = net.connect(Number(port), host)
      const pair = [near, far]
      cable.#pairs.add(pair)
      const end = () => {
        near.destroy()
        far.destroy()
        cable.#pairs.delete(pair)
      }
      for (const socket of pair) socket.on('error', end).on('close', end)
      far.on('data', data => { cable.received += data.length })
      near.pipe(far)
      far.pipe(near)
    })
    listener.listen(0, '127.0.0.1')
    await once(listener, 'listening')
    cable.listen = `127.0.0.1:${listener.address().port}`
    t.after(() => {
      cable.cut()
      listener.close()
    })
    return cable
  }

  cut () {
    this.#cut = true
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy()
  }

  mend () {
    this.#cut = false
    this.received = 0
  }
}
