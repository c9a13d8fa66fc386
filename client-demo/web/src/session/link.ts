// The state of the link to the server, as a person thinks of it.

/**
 * connecting: the first attempt runs. online: connected and in sync. offline: neither, and `why` tells more.
 * refused: the server ended the visit for good, in its own words, and with a close code where its protocol has one here.
 */
export type LinkState =
  | { state: 'connecting' | 'online' }
  | { state: 'offline'; why: 'unreachable' | 'chosen' }
  | { state: 'offline'; why: 'refused'; code: number | null; reason: string }

/** A link, which a person may leave and come back to. Each protocol has its own. A `change` event follows every difference. */
export interface Link extends EventTarget {
  /** The state at this moment. */
  readonly state: LinkState
  /** Leaves the server until `reconnect`. Editing goes on. */
  workOffline(): void
  /** Connects at once rather than at the next attempt. */
  reconnect(): void
}
