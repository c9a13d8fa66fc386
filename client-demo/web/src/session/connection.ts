// The state of the link to the server, as a person thinks of it.

import type { WebsocketProvider } from 'y-websocket'

/**
 * connecting: the first attempt runs. online: connected and in sync. offline: neither, and `why` tells more.
 * refused: the server closed for good, with a code of the range 4400 to 4499 and its words for it.
 */
export type LinkState =
  | { state: 'connecting' | 'online' }
  | { state: 'offline'; why: 'unreachable' | 'chosen' }
  | { state: 'offline'; why: 'refused'; code: number; reason: string }

/** Watches a provider's link, and lets a person leave and come back. */
export class Connection extends EventTarget {
  readonly #provider: WebsocketProvider
  #refused: { code: number; reason: string } | null = null
  #failed = false

  constructor(provider: WebsocketProvider) {
    super()
    this.#provider = provider
    provider.on('status', () => this.#changed())
    provider.on('sync', (synced: boolean) => {
      if (synced) this.#failed = false
      this.#changed()
    })
    // The provider updates its own fields after this event; what is shown is read when it is done.
    provider.on('connection-close', () => {
      this.#failed = true
      queueMicrotask(() => this.#changed())
    })
    provider.on('closed', ({ code, reason }) => {
      this.#refused = { code, reason: reason === '' ? `close code ${code}` : reason }
      this.#changed()
    })
  }

  /** The state at this moment. A `change` event follows every difference. */
  get link(): LinkState {
    const p = this.#provider
    if (p.wsconnected && p.synced) return { state: 'online' }
    if (this.#refused !== null && !p.shouldConnect) return { state: 'offline', why: 'refused', ...this.#refused }
    if (!p.shouldConnect) return { state: 'offline', why: 'chosen' }
    // Between two attempts the provider says "connecting" again and again; the person is offline until one succeeds.
    if (this.#failed) return { state: 'offline', why: 'unreachable' }
    return { state: 'connecting' }
  }

  /** Leaves the server until `reconnect`. Editing goes on. */
  workOffline(): void {
    this.#provider.disconnect()
    this.#changed()
  }

  /** Connects at once rather than at the provider's next attempt. */
  reconnect(): void {
    this.#refused = null
    this.#failed = false
    this.#provider.connect()
    this.#changed()
  }

  #changed(): void {
    this.dispatchEvent(new Event('change'))
  }
}
