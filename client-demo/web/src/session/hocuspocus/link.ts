// The link that the Hocuspocus provider keeps.

import type { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import type { Link, LinkState } from '../link'

/**
 * Watches a provider and its socket, which it has to itself. The provider reconnects whatever the server said; this
 * stops it where coming back is of no use: when the server does not let one in or turns one out of the document, and
 * after a close code of the range 4400 to 4499.
 */
export class HocuspocusLink extends EventTarget implements Link {
  readonly #socket: HocuspocusProviderWebsocket
  readonly #provider: HocuspocusProvider
  #refused: { code: number | null; reason: string } | null = null
  #failed = false

  constructor(socket: HocuspocusProviderWebsocket, provider: HocuspocusProvider) {
    super()
    this.#socket = socket
    this.#provider = provider
    socket.on('status', () => this.#changed())
    socket.on('disconnect', () => {
      this.#failed = true
      this.#changed()
    })
    provider.on('synced', () => {
      this.#failed = false
      this.#changed()
    })
    provider.on('authenticationFailed', ({ reason }: { reason: string }) => this.#refuse(null, reason))
    provider.on('close', ({ event: { code, reason } }: { event: { code: number; reason: string } }) => {
      // While the socket is open it is the document that was closed.
      if (socket.status === 'connected') this.#refuse(null, reason)
      else if (code >= 4400 && code <= 4499) this.#refuse(code, reason === '' ? `close code ${code}` : reason)
    })
  }

  get state(): LinkState {
    const { shouldConnect, status } = this.#socket
    if (!shouldConnect && this.#refused !== null) return { state: 'offline', why: 'refused', ...this.#refused }
    if (!shouldConnect) return { state: 'offline', why: 'chosen' }
    if (status === 'connected' && this.#provider.synced) return { state: 'online' }
    // Between two attempts the provider says "connecting" again and again; the person is offline until one succeeds.
    if (this.#failed) return { state: 'offline', why: 'unreachable' }
    return { state: 'connecting' }
  }

  workOffline(): void {
    this.#socket.disconnect()
    this.#changed()
  }

  reconnect(): void {
    this.#refused = null
    this.#failed = false
    // A connection that is still closing is followed by a new one if this is set; connect alone would do nothing then.
    this.#socket.shouldConnect = true
    void this.#socket.connect()
    this.#changed()
  }

  // The first word counts: being turned out follows upon losing the right to be in.
  #refuse(code: number | null, reason: string): void {
    this.#refused ??= { code, reason }
    this.#socket.disconnect()
    this.#changed()
  }

  #changed(): void {
    this.dispatchEvent(new Event('change'))
  }
}
