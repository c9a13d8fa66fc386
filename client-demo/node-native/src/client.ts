import { EventEmitter } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { Backoff } from './backoff.js'
import { Code, type ServerEnvelope } from './gen/weft_pb.js'
import { Link } from './link.js'
import { Refusal } from './refusal.js'
import { Room, type JoinOptions } from './room.js'

export interface ClientOptions {
  /** Such as ws://127.0.0.1:8080/native. */
  url: string
  /** The token, or where to get one; asked before every connection. Nothing: the server asks for none. */
  token?: string | (() => string | Promise<string>)
  /** The program and its version, for the server's logs. */
  name?: string
  /** How long to wait between connections. */
  backoff?: Backoff
}

export type Status = 'connecting' | 'connected' | 'waiting' | 'closed'

interface ClientEvents {
  status: [Status]
  /** Why a connection ended, or why none came about. */
  lost: [Refusal]
}

/**
 * A client of the native protocol: keeps one connection to the server, for any number of rooms, and opens the next one
 * when it breaks. It ends by close() or for a reason that cannot be waited out, such as a refused token.
 */
export class Client extends EventEmitter<ClientEvents> {
  readonly #options: ClientOptions
  readonly #backoff: Backoff
  readonly #rooms = new Map<string, Room>()
  readonly #stop = new AbortController()
  #status: Status = 'waiting'
  #link: Link | undefined
  #drainMs = 0 // the server's wish when to come back

  /** Ends with the client: with why it ended, undefined after close(). */
  readonly ended: Promise<Refusal | undefined>

  constructor (options: ClientOptions) {
    super()
    this.#options = options
    this.#backoff = options.backoff ?? new Backoff()
    this.ended = this.#run()
  }

  get status (): Status {
    return this.#status
  }

  /** Bytes of the present connection; zero without one. */
  get bytes (): Link['bytes'] {
    return this.#link?.bytes ?? { received: 0, sent: 0 }
  }

  /**
   * Joins a room, now or as soon as there is a connection, and again after every loss. A room can be joined once at a time:
   * again when leave() has resolved, or as soon as the server has ended it.
   */
  join (name: string, options: JoinOptions = {}): Room {
    if (this.#status === 'closed') throw new Error('the client is closed')
    if (this.#rooms.has(name)) throw new Error(`room ${JSON.stringify(name)} is joined already`)
    const room = new Room(name, options, { refresh: () => this.#refresh(), gone: () => this.#rooms.delete(name) })
    this.#rooms.set(name, room)
    if (this.#link !== undefined) room.online(this.#link)
    return room
  }

  /** Leaves all rooms, without waiting for what is unsaved (see Room.saved), and ends the connection. */
  async close (): Promise<void> {
    for (const room of this.#rooms.values()) void room.leave()
    this.#stop.abort()
    await this.ended
  }

  /** The owner of everything that happens: one connection after another. */
  async #run (): Promise<Refusal | undefined> {
    await null // lets the caller listen first
    for (;;) {
      const why = await this.#connection()
      this.#link = undefined
      if (this.#stop.signal.aborted) return this.#finish(undefined)
      this.emit('lost', why)
      for (const room of this.#rooms.values()) room.offline()
      if (!why.retry) return this.#finish(why)
      this.#become('waiting')
      const wait = this.#backoff.next(Math.max(why.retryAfterMs, this.#drainMs))
      await setTimeout(wait, undefined, { signal: this.#stop.signal }).catch(() => {}) // close() ends the wait
      this.#drainMs = 0
      if (this.#stop.signal.aborted) return this.#finish(undefined)
    }
  }

  /** One connection from the first byte to the last; returns why it ended. */
  async #connection (): Promise<Refusal> {
    this.#become('connecting')
    let end!: (why: Refusal) => void
    const ended = new Promise<Refusal>(resolve => { end = resolve })
    try {
      const { url, token = '', name = 'weft-node-native' } = this.#options
      const secret = typeof token === 'string' ? token : await token()
      if (this.#stop.signal.aborted) return new Refusal(Code.NORMAL, 'closed by this side', false)
      this.#link = await Link.open(url, secret, name, this.#stop.signal, { envelope: envelope => this.#envelope(envelope), ended: end })
    } catch (err) {
      if (err instanceof Refusal) return err
      return new Refusal(Code.UNAUTHORIZED, `no token: ${(err as Error).message}`, true)
    }
    this.#backoff.up()
    this.#become('connected')
    for (const room of this.#rooms.values()) room.online(this.#link)
    return await ended
  }

  #envelope ({ body }: ServerEnvelope): void {
    if (body.case === 'draining') {
      this.#drainMs = body.value.reconnectAfterMs
      return
    }
    const id = body.value !== undefined && 'roomId' in body.value ? body.value.roomId : 0n
    for (const room of this.#rooms.values()) {
      if (id !== 0n && room.id === id) return room.receive(body)
    }
    // For a room that was left meanwhile, or a kind of message of a newer minor version.
  }

  /** Gives the server a new token on the open connection. */
  async #refresh (): Promise<void> {
    const { token } = this.#options
    if (typeof token !== 'function') return // there is no newer one
    const link = this.#link
    const value = await token()
    link?.request({ case: 'refresh', value: { token: value, roomId: 0n } }, () => {}) // a refusal comes back as the end of a grant
  }

  #become (status: Status): void {
    if (this.#status === status) return
    this.#status = status
    this.emit('status', status)
  }

  #finish (why: Refusal | undefined): Refusal | undefined {
    for (const room of [...this.#rooms.values()]) room.end(why)
    this.#become('closed')
    return why
  }
}
