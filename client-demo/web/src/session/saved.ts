// Whether what this person wrote is saved, said honestly.
//
// y-websocket has no acknowledgement. The server understands one more message, type 102: it sends a marker back
// once everything that it received on this connection before the marker is durable. So a marker goes out after
// every local change and after every handshake, and "saved" is shown only when the newest one came back.
//
// Two orders matter. A marker may leave only after this side answered the server's sync step 1: before that, changes
// made offline are not on the connection yet. And it leaves after the change itself, because the provider's update
// listener was registered before the one here.

import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { IndexeddbPersistence } from 'y-indexeddb'
import type { WebsocketProvider } from 'y-websocket'
import { readAuthMessage } from 'y-protocols/auth'
import type * as Y from 'yjs'
import type { Ledger } from './ledger'

const messageSync = 0 // y-websocket/src/y-websocket.js, v3.1.0
const messageAuth = 2
const messageSavedMarker = 102 // varuint8array marker, chosen by the sender
const syncStep1 = 0 // y-protocols/sync.js, v1.0.7

// Markers in flight that are remembered. A server that never answers must not make the page grow.
const MAX_PENDING = 64
// A server on a healthy disk confirms within some 20 ms; after this long the page says that it is waiting.
const OVERDUE_MS = 4000

/** saving: sent or about to be, not confirmed. saved: everything is durable. offline: there is no connection to save over. */
export type SavePhase = 'saving' | 'saved' | 'offline'

/** What the page may say about saving. */
export interface SaveState {
  phase: SavePhase
  /** Changes that are not confirmed, those of earlier page loads included. */
  unsaved: number
  /** How long the newest confirmed marker took, in ms; null before the first. */
  confirmedIn: number | null
  /** Whether the confirmation takes unusually long, or the server does not know how to confirm. */
  overdue: boolean
  /** Why the server does not take changes, in its words; null when it did not say so since all was saved last. */
  denied: string | null
}

interface Marker {
  number: number
  changes: number
  withLocalCopy: boolean
  sentAt: number
}

/** Watches a document and its provider, and tells whether all is saved. */
export class SaveTracker extends EventTarget {
  readonly #provider: WebsocketProvider
  readonly #ledger: Ledger
  #changes = 0
  #confirmed = 0
  #nextMarker = 1
  #pending: Marker[] = []
  #answered = false
  #clean = false
  #localCopyRead = false
  #confirmedIn: number | null = null
  #overdueTimer: ReturnType<typeof setTimeout> | undefined
  #overdue = false
  #denied: string | null = null

  /** The tracker must be made after the provider and before the first change. */
  constructor(doc: Y.Doc, provider: WebsocketProvider, ledger: Ledger) {
    super()
    this.#provider = provider
    this.#ledger = ledger
    doc.on('update', (_update: Uint8Array, origin: unknown) => this.#onUpdate(origin))
    provider.on('status', () => this.#onStatus())
    provider.on('sync', (synced: boolean) => {
      if (synced) this.#mark()
    })
    this.#watchMessages()
  }

  /** The state at this moment. A `change` event follows every difference. */
  get state(): SaveState {
    let phase: SavePhase = 'offline'
    if (this.#provider.wsconnected) phase = this.#clean && this.#pending.length === 0 ? 'saved' : 'saving'
    return { phase, unsaved: this.#ledger.unsaved, confirmedIn: this.#confirmedIn, overdue: this.#overdue, denied: this.#denied }
  }

  /** Tells that the browser's copy of the document has been read into it, or that there is none. */
  localCopyRead(): void {
    this.#localCopyRead = true
    this.#mark()
  }

  #onUpdate(origin: unknown): void {
    if (origin === this.#provider) return
    this.#clean = false
    // What the browser's copy brings was counted when it was made, by the ledger.
    if (!(origin instanceof IndexeddbPersistence)) {
      this.#changes++
      this.#ledger.setOwn(this.#changes - this.#confirmed)
    }
    this.#mark()
  }

  #onStatus(): void {
    if (!this.#provider.wsconnected) {
      this.#answered = false
      this.#clean = false
      this.#pending = []
    }
    this.#changed()
  }

  #watchMessages(): void {
    const handlers = this.#provider.messageHandlers
    const readSync = handlers[messageSync]!
    handlers[messageSync] = (encoder, decoder, provider, emitSynced, type) => {
      const isStep1 = decoding.peekVarUint(decoder) === syncStep1
      readSync(encoder, decoder, provider, emitSynced, type)
      if (isStep1) this.#afterAnswer()
    }
    // In place of the provider's own handler, which writes the reason to the console.
    handlers[messageAuth] = (_encoder, decoder, provider) => {
      readAuthMessage(decoder, provider.doc, (_doc: Y.Doc, reason: string) => {
        this.#denied = reason
        this.#changed()
      })
    }
    handlers[messageSavedMarker] = (_encoder, decoder) => {
      this.#onEcho(decoding.readVarUint(decoding.createDecoder(decoding.readVarUint8Array(decoder))))
    }
  }

  // The provider sends the answer when its message listener returns, which is before any microtask.
  #afterAnswer(): void {
    const socket = this.#provider.ws
    queueMicrotask(() => {
      if (this.#provider.ws !== socket) return
      this.#answered = true
      this.#mark()
    })
  }

  #mark(): void {
    const socket = this.#provider.ws
    if (this.#answered && this.#provider.wsconnected && socket !== null && socket.readyState === WebSocket.OPEN) {
      const marker = {
        number: this.#nextMarker++,
        changes: this.#changes,
        withLocalCopy: this.#localCopyRead,
        sentAt: performance.now(),
      }
      if (this.#pending.length === MAX_PENDING) this.#pending.pop()
      this.#pending.push(marker)
      socket.send(encodeMarker(marker.number))
    }
    this.#changed()
  }

  #onEcho(number: number): void {
    const at = this.#pending.findIndex((m) => m.number === number)
    if (at < 0) return
    const marker = this.#pending[at]!
    this.#pending.splice(0, at + 1)
    this.#confirmed = marker.changes
    this.#confirmedIn = performance.now() - marker.sentAt
    this.#ledger.setOwn(this.#changes - this.#confirmed)
    if (marker.withLocalCopy) this.#ledger.settleInherited()
    this.#clean = marker.withLocalCopy && this.#confirmed === this.#changes
    if (this.#clean) this.#denied = null
    this.#changed()
  }

  #changed(): void {
    const saving = this.state.phase === 'saving'
    if (!saving) {
      clearTimeout(this.#overdueTimer)
      this.#overdueTimer = undefined
      this.#overdue = false
    } else if (this.#overdueTimer === undefined) {
      this.#overdueTimer = setTimeout(() => {
        this.#overdue = true
        this.dispatchEvent(new Event('change'))
      }, OVERDUE_MS)
    }
    this.dispatchEvent(new Event('change'))
  }
}

function encodeMarker(number: number): Uint8Array<ArrayBuffer> {
  const marker = encoding.encode((e) => encoding.writeVarUint(e, number))
  const message = encoding.encode((e) => {
    encoding.writeVarUint(e, messageSavedMarker)
    encoding.writeVarUint8Array(e, marker)
  })
  return message as Uint8Array<ArrayBuffer>
}
