import type { Peer } from './gen/weft_pb.js'

/** The state of one client: JSON as in y-protocols' awareness, such as { user: { name: 'Ada', color: '#c00' }, cursor: ... }. */
export type State = Record<string, unknown>

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Who is in a room, apart from this client. */
export class Presence {
  readonly states = new Map<number, State>() // by Yjs client id
  readonly #self: number
  #mine: State | null = null
  #clock = 0n

  constructor (self: number) {
    this.#self = self
  }

  /** Takes what the server tells; returns the ids of those who came, changed or went. */
  take (peers: Peer[]): number[] {
    const changed: number[] = []
    for (const peer of peers) {
      const id = Number(peer.clientId)
      if (id === this.#self) {
        if (peer.clock > this.#clock) this.#clock = peer.clock // of an earlier life of this id
        continue
      }
      const state = parse(peer.state)
      if (state === null && !this.states.has(id)) continue
      if (state === null) this.states.delete(id)
      else this.states.set(id, state)
      changed.push(id)
    }
    return changed
  }

  /** Takes the list of all who are present, after a join. */
  takeAll (peers: Peer[]): number[] {
    const before = [...this.states.keys()]
    this.states.clear()
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
