import type { Peer } from './gen/weft_pb.js'

/** The state of one client: JSON as in y-protocols' awareness, such as { user: { name: 'Ada', color: '#c00' }, cursor: ... }. */
export type State = Record<string, unknown>

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Who is in a room: the others, and what this client says about itself. */
export class Presence {
  /** The others, by Yjs client id. */
  readonly states = new Map<number, State>()
  readonly #clocks = new Map<number, bigint>() // of the others, also of those who went
  readonly #self: number
  #mine: State | null = null
  #clock = 0n // of the last announcement, over all connections
  #doubted = false

  constructor (self: number) {
    this.#self = self
  }

  /**
   * Takes what the server tells; returns the ids of those who came, changed or went. A higher clock wins, and with an equal
   * one who went.
   */
  take (peers: Peer[]): number[] {
    const changed: number[] = []
    for (const peer of peers) {
      const id = Number(peer.clientId)
      const state = parse(peer.state)
      if (id === this.#self) {
        this.#doubted ||= state === null && this.#mine !== null && peer.clock >= this.#clock
        if (peer.clock > this.#clock) this.#clock = peer.clock // of an earlier life of this id
        continue
      }
      const clock = this.#clocks.get(id) ?? -1n
      if (peer.clock < clock || (peer.clock === clock && state !== null)) continue
      this.#clocks.set(id, peer.clock)
      if (state !== null) this.states.set(id, state)
      else if (!this.states.delete(id)) continue
      changed.push(id)
    }
    return changed
  }

  /** Whether the server said that this client is gone, which is here: it should be told again. */
  get doubted (): boolean {
    return this.#doubted
  }

  /** Takes the list of all who are present, after a join. */
  takeAll (peers: Peer[]): number[] {
    const before = [...this.states.keys()]
    this.states.clear()
    this.#clocks.clear()
    return [...new Set([...before, ...this.take(peers)])]
  }

  /** Forgets everybody, when nobody can be seen. */
  forget (): number[] {
    return this.takeAll([])
  }

  /** This client's own state; null: none, or gone. */
  get mine (): State | null {
    return this.#mine
  }

  set mine (state: State | null) {
    this.#mine = state
  }

  /** The next message about the own state. */
  announcement (): { clientId: bigint, clock: bigint, state: Uint8Array } {
    this.#clock++
    this.#doubted = false
    const state = this.#mine === null ? new Uint8Array() : encoder.encode(JSON.stringify(this.#mine))
    return { clientId: BigInt(this.#self), clock: this.#clock, state }
  }
}

/** A state, or null for one who is gone; also for what is no state, which a later one replaces. */
function parse (json: Uint8Array): State | null {
  if (json.length === 0) return null
  try {
    const state: unknown = JSON.parse(decoder.decode(json))
    return typeof state === 'object' && !Array.isArray(state) ? state as State | null : null
  } catch {
    return null
  }
}
