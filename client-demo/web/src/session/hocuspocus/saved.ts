// What is saved over Hocuspocus, where the server acknowledges.
//
// The provider counts what it has sent and the server has not called durable (unsyncedChanges), in the order in which it
// was sent; weft answers exactly as often as the provider counts. That number says of which receipts the server's word
// is still to come: of the newest. Changes made offline count as one with the sync step 2 that holds them all.

import type { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import type * as Y from 'yjs'
import type { Ledger } from '../ledger'
import { SaveTracker } from '../saved'
import { frameKind } from './frame'

const READ_ONLY = 'you may read this document, but not change it'

/** Counts what is sent and what is acknowledged. Receipts grow no faster than the document, one for each update. */
export class HocuspocusSaves extends SaveTracker {
  #socket: HocuspocusProviderWebsocket | null = null
  #handshake = true // sync step 2 was not sent on this connection

  /** The tracker must be made before the provider: a change is counted first and sent then. */
  constructor(doc: Y.Doc, ledger: Ledger) {
    super(doc, ledger)
  }

  /** Follows a provider and its socket, which opens connections with the class that `watched` returns. */
  follow(socket: HocuspocusProviderWebsocket, provider: HocuspocusProvider): void {
    this.#socket = socket
    socket.on('status', () => this.changed())
    socket.on('disconnect', () => this.#begin())
    provider.on('unsyncedChanges', ({ number }: { number: number }) => this.confirm(Math.max(0, this.pending.length - number)))
    provider.on('authenticated', ({ scope }: { scope: string }) => this.deny(scope === 'readonly' ? READ_ONLY : null))
    provider.on('authenticationFailed', ({ reason }: { reason: string }) => this.deny(reason))
  }

  /** A WebSocket class whose sockets tell this tracker what is sent, at the moment it is. */
  watched(): typeof WebSocket {
    const begin = () => this.#begin()
    const sent = (frame: Uint8Array) => this.#onSent(frame)
    return class extends WebSocket {
      constructor(url: string | URL) {
        super(url)
        begin()
      }

      override send(frame: Uint8Array<ArrayBuffer>): void {
        super.send(frame)
        sent(frame)
      }
    }
  }

  protected get connected(): boolean {
    return this.#socket !== null && this.#socket.shouldConnect && this.#socket.status === 'connected'
  }

  protected onWritten(): void {} // the provider sends it, now or when it can

  // The copy's content has been sent, like every change: what confirms the last of all stands for it too.
  protected onLocalCopyRead(): void {
    if (this.#handshake) return
    if (this.pending.length === 0) this.#settled()
    else this.pending.push({ ...this.pending.pop()!, withLocalCopy: true })
  }

  #settled(): void {
    this.pending.push(this.receipt())
    this.confirm(1)
  }

  #begin(): void {
    this.#handshake = true
    this.forget()
    this.changed()
  }

  #onSent(frame: Uint8Array): void {
    switch (frameKind(frame)) {
      case 'step1':
        this.#begin()
        break
      case 'step2':
        // A server that asks again does not count the answer, only what it refused before.
        if (this.#handshake) this.pending.push(this.receipt())
        this.#handshake = false
        break
      case 'update':
        // Which of the offline changes this is cannot be told; sync step 2 follows and holds them all.
        this.pending.push(this.#handshake ? this.emptyReceipt() : this.receipt())
    }
  }
}
