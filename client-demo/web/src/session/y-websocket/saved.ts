// What is saved over y-websocket, which has no acknowledgement.
//
// The server understands one more message, type 102: it sends a marker back once everything that it received on this
// connection before the marker is durable. So a marker goes out after every local change and after every handshake.
//
// Two orders matter. A marker may leave only after this side answered the server's sync step 1: before that, changes
// made offline are not on the connection yet. And it leaves after the change itself, because the provider's update
// listener was registered before the tracker's.

import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import type { WebsocketProvider } from 'y-websocket'
import { readAuthMessage } from 'y-protocols/auth'
import type * as Y from 'yjs'
import type { Ledger } from '../ledger'
import { SaveTracker } from '../saved'

const messageSync = 0 // y-websocket/src/y-websocket.js, v3.1.0
const messageAuth = 2
const messageSavedMarker = 102 // varuint8array marker, chosen by the sender
const syncStep1 = 0 // y-protocols/sync.js, v1.0.7

// Markers in flight that are remembered. A server that never answers must not make the page grow.
const MAX_PENDING = 64

/** Sends markers and reads their echoes. */
export class YWebsocketSaves extends SaveTracker {
  readonly #provider: WebsocketProvider
  #nextMarker = 1
  #numbers: number[] = [] // of the markers that stand in pending
  #answered = false

  /** The tracker must be made after the provider and before the first change. */
  constructor(doc: Y.Doc, provider: WebsocketProvider, ledger: Ledger) {
    super(doc, ledger)
    this.#provider = provider
    provider.on('status', () => this.#onStatus())
    provider.on('sync', (synced: boolean) => {
      if (synced) this.#mark()
    })
    this.#watchMessages()
  }

  protected get connected(): boolean {
    return this.#provider.wsconnected
  }

  protected onWritten(): void {
    this.#mark()
  }

  protected onLocalCopyRead(): void {
    this.#mark()
  }

  #onStatus(): void {
    if (!this.#provider.wsconnected) {
      this.#answered = false
      this.#numbers = []
      this.forget()
    }
    this.changed()
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
      readAuthMessage(decoder, provider.doc, (_doc: Y.Doc, reason: string) => this.deny(reason))
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
      if (this.pending.length === MAX_PENDING) {
        this.pending.pop()
        this.#numbers.pop()
      }
      const number = this.#nextMarker++
      this.pending.push(this.receipt())
      this.#numbers.push(number)
      socket.send(encodeMarker(number))
    }
    this.changed()
  }

  #onEcho(number: number): void {
    const n = this.#numbers.indexOf(number) + 1
    this.#numbers.splice(0, n)
    this.confirm(n)
    // The server says once that it takes no changes, and nothing when it does again.
    if (this.state.phase === 'saved') this.deny(null)
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
