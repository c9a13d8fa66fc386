// What is saved over Hocuspocus, where the server acknowledges.
//
// Every update that this page sends is answered by one sync status, and so is the sync step 2 with which it tells,
// after every handshake, what the server does not have yet; in the order in which they were sent. A status is 1 once
// what it answers is durable, and 0 if this person may not write; weft makes up for a 0 when they may again.
//
// The provider counts too (unsyncedChanges), but it cannot be shown as it is: changes made offline are sent one by one
// after the handshake began, which counts them all as one, so the first acknowledgement takes it to 0.

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
    provider.on('message', ({ event }: { event: MessageEvent<ArrayBuffer> }) => this.#onFrame(new Uint8Array(event.data)))
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

  #onFrame(frame: Uint8Array): void {
    if (frameKind(frame) === 'saved') this.confirm(1)
  }
}
