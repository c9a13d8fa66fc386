import { EventEmitter } from 'node:events'
import { Backoff } from './backoff.js'
import { Edits } from './edits.js'
import {
  Access, Code, Durability, Version,
  type Joined, type Position, type ServerEnvelope, type SyncMode, type Updated
} from './gen/weft_pb.js'
import type { Link } from './link.js'
import { Presence, type State } from './presence.js'
import { Refusal } from './refusal.js'
import { YrsReplica, type Replica } from './replica.js'
import { lacks } from './vector.js'

export interface JoinOptions {
  /** The copy of the document; a new yrs document if there is none yet. Survives the room: join again with the same one. */
  replica?: Replica
  /** For this room, if it is not the connection's. */
  token?: string
  /** Do not let me write, even if I may. */
  readOnly?: boolean
  /** What the client says about itself to the others; setPresence changes it. */
  presence?: State
  /** When an edit counts as saved. */
  ack?: Durability
  /** The encoding in which updates of others come. */
  version?: Version
  /** How many bytes of updates may be on their way to this client. */
  windowBytes?: number
}

interface RoomEvents {
  /** The room is joined, for the first time or again. */
  joined: [{ mode: SyncMode, access: Access, updateBytes: number }]
  /** Others changed the document. */
  change: []
  /** The number of unsaved edits changed. */
  unsaved: [number]
  /** These clients came, changed or went. */
  presence: [number[]]
  /** A message of another client's application. */
  signal: [Uint8Array]
  access: [Access]
  /** Something that this client asked for had no effect; the room goes on. */
  refused: [Refusal]
  /** The room is over; nothing means that this side left. */
  ended: [Refusal | undefined]
}

/** What a room wants of the client that it belongs to. */
interface Owner {
  /** A new token is needed soon. */
  refresh (): Promise<void>
  /** The room can be joined again. */
  gone (): void
}

const defaultWindowBytes = 1 << 20
const mostInFlight = 64 // updates without an Ack, where the server sets no limit
const renewMs = 15_000 // PROTOCOL.md, "Presence"; browsers forget who said nothing for 30 s
const envelopeBytes = 64 // what an Update costs besides its updates
const updateBytes = 6 // what each of them costs besides its bytes

/**
 * This client's place in a room, over all connections. Edits of the replica are sent at once or when there is a connection
 * again; unsaved tells how many the server has not acknowledged.
 */
export class Room extends EventEmitter<RoomEvents> {
  readonly name: string
  readonly replica: Replica
  readonly #options: JoinOptions
  readonly #owner: Owner
  readonly #presence: Presence
  readonly #stopEdits: () => void

  // The place on the present connection.
  #link: Link | undefined
  #id = 0n // 0: not joined
  #access = Access.UNSPECIFIED
  #serverVector: Uint8Array = new Uint8Array() // what the server had at the join
  #nextId = 1n
  #consumed = 0 // bytes of updates since the last Flow
  #joining = false
  #renewal: NodeJS.Timeout | undefined
  #timer: NodeJS.Timeout | undefined // of the next attempt to join or to send

  // Over all connections.
  #position: Position | undefined
  readonly #edits = new Edits()
  readonly #backoff = new Backoff()
  #pumping = false
  #ended = false
  #resolveGone!: () => void
  readonly #gone = new Promise<void>(resolve => { this.#resolveGone = resolve })
  #reported = 0

  /** Only Client makes rooms. */
  constructor (name: string, options: JoinOptions, owner: Owner) {
    super()
    this.name = name
    this.replica = options.replica ?? new YrsReplica()
    this.#options = options
    this.#owner = owner
    this.#presence = new Presence(this.replica.clientId)
    this.#presence.mine = options.presence ?? null
    this.#stopEdits = this.replica.onEdit(update => this.#edited(update))
    if (this.replica.stateVector().length > 1) this.#edits.owe() // nobody knows whether a server has what is in there
  }

  /** The server's number for the room on this connection; 0 while it is not joined. */
  get id (): bigint { return this.#id }
  get access (): Access { return this.#access }
  /** Edits that are not acknowledged. 0 means that everything is as safe as JoinOptions.ack wished. */
  get unsaved (): number { return this.#edits.unsaved }
  /** The others, by Yjs client id. Empty while the room is not joined. */
  get peers (): ReadonlyMap<number, State> { return this.#presence.states }

  /** Resolves when the room is joined; throws the Refusal that ends it. */
  joined (): Promise<void> {
    return this.#until('joined', () => this.#id !== 0n)
  }

  /** Resolves when nothing is unsaved; throws the Refusal that ends the room. */
  saved (): Promise<void> {
    return this.#until('unsaved', () => this.unsaved === 0)
  }

  /** Says who this client is; null takes it back. */
  setPresence (state: State | null): void {
    this.#presence.mine = state
    if (this.#id !== 0n) this.#announce()
  }

  /** Sends a message to all others who are here now; lost where there is no connection. */
  signal (data: Uint8Array): void {
    if (this.#id !== 0n) this.#link!.send({ case: 'signal', value: { roomId: this.#id, data } })
  }

  /**
   * Gives the place up; the replica stays, with what is unsaved. Resolves when the server knows: from then on the client
   * can join the room again.
   */
  leave (): Promise<void> {
    if (!this.#ended) {
      this.#pump() // what was just typed is still taken
      const [link, id] = [this.#link, this.#id]
      this.end(undefined)
      if (link !== undefined && id !== 0n) this.#depart(link, id)
      else if (!this.#joining) this.#vanish()
    }
    return this.#gone
  }

  // ---- For Client ----

  /** There is a connection. */
  online (link: Link): void {
    if (this.#ended) return
    this.#link = link
    this.#join()
  }

  /** The connection is lost: what was not acknowledged will be sent again. */
  offline (): void {
    this.#link = undefined
    this.#vacate()
  }

  /** A message for this room. */
  receive (body: ServerEnvelope['body']): void {
    switch (body.case) {
      case 'updated': return this.#updated(body.value)
      case 'ack':
        this.#edits.acknowledged(body.value.id)
        return this.#pump()
      case 'refused': return this.#refused(Refusal.of(body.value), body.value.updateId)
      case 'presence':
        this.#tell(this.#presence.take(body.value.peers))
        return this.#presence.doubted ? this.#announce() : undefined
      case 'signal': return void this.emit('signal', body.value.data)
      case 'moved':
        this.#position = body.value.position
        return
      case 'accessChanged':
        if (body.value.refresh) this.#owner.refresh().catch(err => this.emit('refused', new Refusal(Code.UNAUTHORIZED, `no token: ${err}`, true)))
        this.#access = body.value.access
        this.emit('access', this.#access)
        return this.#pump()
      case 'left': return this.#lost(body.value.reason === undefined ? undefined : Refusal.of(body.value.reason))
    }
  }

  /** The room is over for this client. */
  end (why: Refusal | undefined): void {
    if (this.#ended) return
    this.#vacate()
    this.#ended = true
    this.#stopEdits()
    if (why !== undefined) this.#vanish()
    this.emit('ended', why)
  }

  // ---- Joining ----

  #join (): void {
    const { token = '', readOnly = false, ack = Durability.DURABLE, version = Version.V1, windowBytes = defaultWindowBytes } = this.#options
    const value = {
      room: this.name, stateVector: this.replica.stateVector(), resume: this.#position,
      token, readOnly, ack, version, windowBytes, presence: true
    }
    const link = this.#link!
    this.#joining = true
    link.request({ case: 'join', value }, answer => {
      this.#joining = false
      const joined = !(answer instanceof Refusal) && answer.body.case === 'joined' ? answer.body.value : undefined
      if (this.#ended) { // left while the answer was on its way
        if (joined !== undefined) this.#depart(link, joined.roomId)
        else this.#vanish()
      } else if (answer instanceof Refusal) {
        this.#lost(answer)
      } else if (joined !== undefined) {
        this.#enter(joined)
      }
    })
  }

  /** Tells the server that this side has left. */
  #depart (link: Link, id: bigint): void {
    link.request({ case: 'leave', value: { roomId: id } }, () => this.#vanish())
  }

  /** The server has no place for this room any more. */
  #vanish (): void {
    this.#owner.gone()
    this.#resolveGone()
  }

  #enter (joined: Joined): void {
    if (!this.#apply(joined.update, joined.version)) return
    this.#backoff.up()
    this.#id = joined.roomId
    this.#access = joined.access
    this.#position = joined.position
    this.#serverVector = joined.stateVector
    this.#nextId = 1n
    // What the server lacks is unsaved, whatever an earlier one has acknowledged.
    const updates = this.#edits.updates
    if (updates !== undefined && lacks(joined.stateVector, this.replica.stateVector(), this.replica.clientId, updates)) this.#edits.owe()
    this.#pump()
    this.#renewal = setInterval(() => this.#here(), renewMs)
    this.#here()
    this.emit('joined', { mode: joined.mode, access: joined.access, updateBytes: joined.update.length })
    this.emit('change')
    this.#tell(this.#presence.takeAll(joined.peers))
  }

  /** The place is gone, but not by this side's wish. */
  #lost (why: Refusal | undefined): void {
    if (why === undefined || !why.retry) {
      this.end(why)
      return this.#vanish()
    }
    this.#vacate()
    this.emit('refused', why)
    this.#later(why, () => this.#join())
  }

  /** Tries again after a while. Nothing is sent before. */
  #later (why: Refusal, attempt: () => void): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      attempt()
    }, this.#backoff.next(why.retryAfterMs))
  }

  #vacate (): void {
    clearTimeout(this.#timer)
    clearInterval(this.#renewal)
    this.#timer = undefined
    this.#id = 0n
    this.#access = Access.UNSPECIFIED
    this.#consumed = 0
    this.#edits.again(0n)
    this.#report()
    this.#tell(this.#presence.forget())
  }

  // ---- Updates of others ----

  #updated ({ update, version, position }: Updated): void {
    if (!this.#apply(update, version)) return
    this.#position = position
    this.#consumed += update.length
    const windowBytes = this.#options.windowBytes ?? defaultWindowBytes
    if (windowBytes > 0 && this.#consumed >= windowBytes / 2) {
      this.#link!.send({ case: 'flow', value: { roomId: this.#id, bytes: this.#consumed } })
      this.#consumed = 0
    }
    this.emit('change')
  }

  #apply (update: Uint8Array, version: Version): boolean {
    if (update.length === 0) return true
    try {
      this.replica.apply(update, version)
      return true
    } catch (err) {
      this.end(new Refusal(Code.MALFORMED, `the server's update cannot be applied: ${(err as Error).message}`, false))
      return false
    }
  }

  // ---- Edits of this side ----

  /** Takes an edit; called while the document cannot be read. */
  #edited (update: Uint8Array): void {
    this.#edits.add(update)
    if (this.#pumping) return
    this.#pumping = true
    queueMicrotask(() => {
      this.#pumping = false
      this.#pump()
    })
  }

  /** Sends what waits, as far as the server takes it now. */
  #pump (): void {
    const link = this.#link
    if (link !== undefined && this.#id !== 0n && this.#access === Access.WRITE && this.#timer === undefined) {
      const most = link.welcome.limits?.maxUnackedUpdates || mostInFlight
      while (this.#edits.waiting > 0 && this.#edits.inFlight < most) {
        const id = this.#nextId++
        const updates = this.#edits.send(id, link.mostBytes - envelopeBytes, updateBytes, () => this.replica.diff(this.#serverVector))
        if (updates === undefined) {
          return this.end(new Refusal(Code.TOO_LARGE, `an edit is larger than the ${link.mostBytes} bytes that the server takes`, false))
        }
        link.send({ case: 'update', value: { roomId: this.#id, id, updates, version: Version.V1 } })
      }
    }
    this.#report()
  }

  #refused (why: Refusal, updateId: bigint): void {
    if (updateId === 0n) return void this.emit('refused', why)
    if (why.code === Code.FORBIDDEN) { // the right to write ended while this was on its way; it may come back
      this.#access = Access.READ
    } else if (why.retry) {
      this.#later(why, () => this.#pump())
    } else { // an edit that the server never takes makes the copies differ for good
      return this.end(why)
    }
    this.#edits.again(updateId)
    this.#report()
    this.emit('refused', why)
  }

  #report (): void {
    const unsaved = this.unsaved
    if (unsaved === this.#reported) return
    this.#reported = unsaved
    this.emit('unsaved', unsaved)
  }

  // ---- Presence and waiting ----

  /** Says that this client is still here, if it ever said who it is. */
  #here (): void {
    if (this.#presence.mine !== null) this.#announce()
  }

  #announce (): void {
    this.#link!.send({ case: 'setPresence', value: { roomId: this.#id, ...this.#presence.announcement() } })
  }

  #tell (changed: number[]): void {
    if (changed.length > 0) this.emit('presence', changed)
  }

  #until (event: 'joined' | 'unsaved', cond: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        if (cond()) settle(resolve)
      }
      const ended = (why: Refusal | undefined): void => settle(() => reject(why ?? new Refusal(Code.NORMAL, 'the room was left', false)))
      const settle = (how: () => void): void => {
        this.off(event, check)
        this.off('ended', ended)
        how()
      }
      this.on(event, check)
      this.on('ended', ended)
      if (this.#ended) ended(undefined)
      else check()
    })
  }
}
