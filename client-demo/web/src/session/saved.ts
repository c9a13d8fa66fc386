// Whether what this person wrote is saved, said honestly: the part that is the same whatever is spoken to the server.
//
// What leaves for the server is noted as a receipt when the server will tell that all it got until then is durable.
// "Saved" is shown only when the newest receipt was confirmed and nothing was written since.

import { IndexeddbPersistence } from 'y-indexeddb'
import type * as Y from 'yjs'
import type { Ledger } from './ledger'

// A server on a healthy disk confirms within some 20 ms; after this long the page says that it is waiting.
const OVERDUE_MS = 4000

/** saving: sent or about to be, not confirmed. saved: everything is durable. offline: there is no connection to save over. */
export type SavePhase = 'saving' | 'saved' | 'offline'

/** What the page may say about saving. */
export interface SaveState {
  phase: SavePhase
  /** Changes that are not confirmed, those of earlier page loads included. */
  unsaved: number
  /** How long the newest confirmation took, in ms; null before the first. */
  confirmedIn: number | null
  /** Whether the confirmation takes unusually long, or the server does not know how to confirm. */
  overdue: boolean
  /** Why the server does not take changes, in its words; null when nothing says that it does not. */
  denied: string | null
}

/** What a confirmation will stand for. */
export interface Receipt {
  /** How many changes of this page load the server has then, counted from its first. */
  changes: number
  /** Whether it has the browser's copy of the document then. */
  withLocalCopy: boolean
  sentAt: number
}

/** Watches a document, and tells whether all is saved. The protocol's own part says what was sent and confirmed. */
export abstract class SaveTracker extends EventTarget {
  /** What was sent and is not confirmed, oldest first. */
  protected pending: Receipt[] = []
  protected localCopyIsRead = false
  readonly #ledger: Ledger
  #changes = 0
  #confirmed = 0
  #clean = false
  #confirmedIn: number | null = null
  #overdueTimer: ReturnType<typeof setTimeout> | undefined
  #overdue = false
  #denied: string | null = null

  /** The tracker must be made before the first change. */
  protected constructor(doc: Y.Doc, ledger: Ledger) {
    super()
    this.#ledger = ledger
    doc.on('update', (_update: Uint8Array, origin: unknown, _doc: Y.Doc, { local }: Y.Transaction) => {
      const fromCopy = origin instanceof IndexeddbPersistence
      if (local || fromCopy) this.#onChange(fromCopy)
    })
  }

  /** The state at this moment. A `change` event follows every difference. */
  get state(): SaveState {
    let phase: SavePhase = 'offline'
    if (this.connected) phase = this.#clean && this.pending.length === 0 ? 'saved' : 'saving'
    return { phase, unsaved: this.#ledger.unsaved, confirmedIn: this.#confirmedIn, overdue: this.#overdue, denied: this.#denied }
  }

  /** Tells that the browser's copy of the document has been read into it, or that there is none. */
  localCopyRead(): void {
    this.localCopyIsRead = true
    this.onLocalCopyRead()
    this.changed()
  }

  /** Whether there is a connection to save over. */
  protected abstract get connected(): boolean

  /** Follows a change of this page's, which may be on its way already. */
  protected abstract onWritten(): void

  /** Follows when all that the browser's copy holds was written. */
  protected abstract onLocalCopyRead(): void

  /** A receipt for everything that was written until now. */
  protected receipt(): Receipt {
    return { changes: this.#changes, withLocalCopy: this.localCopyIsRead, sentAt: performance.now() }
  }

  /** A receipt for something sent, upon whose confirmation nothing more is known to be saved than before. */
  protected emptyReceipt(): Receipt {
    return { changes: this.#confirmed, withLocalCopy: false, sentAt: performance.now() }
  }

  /** Takes the server's word that the n oldest receipts are durable; 0 changes nothing. */
  protected confirm(n: number): void {
    const newest = this.pending.splice(0, n).at(-1)
    if (newest === undefined) return
    this.#confirmed = newest.changes
    this.#confirmedIn = performance.now() - newest.sentAt
    this.#ledger.setOwn(this.#changes - this.#confirmed)
    if (newest.withLocalCopy) this.#ledger.settleInherited()
    this.#clean = newest.withLocalCopy && this.#confirmed === this.#changes
    this.changed()
  }

  /** Forgets what was sent: its connection is gone, or begins anew. */
  protected forget(): void {
    this.#clean = false
    this.pending = []
  }

  /** Notes why the server takes no changes; null: it does. */
  protected deny(reason: string | null): void {
    if (reason === this.#denied) return
    this.#denied = reason
    this.changed()
  }

  /** Tells whoever shows the state, and minds how long it has been `saving`. */
  protected changed(): void {
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

  #onChange(fromCopy: boolean): void {
    this.#clean = false
    // What the browser's copy brings was counted when it was made, by the ledger.
    if (!fromCopy) {
      this.#changes++
      this.#ledger.setOwn(this.#changes - this.#confirmed)
    }
    this.onWritten()
    this.changed()
  }
}
