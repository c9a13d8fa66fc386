// The link that y-websocket keeps.

import type { WebsocketProvider } from 'y-websocket'
import type { Link, LinkState } from '../link'

/** Watches a provider's connection. */
export class YWebsocketLink extends EventTarget implements Link {
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
    // After a close code of the range 4400 to 4499, by which a server says that coming back is of no use.
    provider.on('closed', ({ code, reason }) => {
      this.#refused = { code, reason: reason === '' ? `close code ${code}` : reason }
      this.#changed()
    })
  }

  get state(): LinkState {
    const p = this.#provider
    if (p.wsconnected && p.synced) return { state: 'online' }
    if (this.#refused !== null && !p.shouldConnect) return { state: 'offline', why: 'refused', ...this.#refused }
    if (!p.shouldConnect) return { state: 'offline', why: 'chosen' }
    // Between two attempts the provider says "connecting" again and again; the person is offline until one succeeds.
    if (this.#failed) return { state: 'offline', why: 'unreachable' }
    return { state: 'connecting' }
  }

  workOffline(): void {
    this.#provider.disconnect()
    this.#changed()
  }

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
