// The document's copy in this browser, and whether it is up to date.
//
// y-indexeddb writes every update in a transaction of its own and does not tell when it is done. A page that is closed
// before loses what is still queued, so "kept in this browser" waits for a read of the same store: the database
// answers it after all writes that were asked for earlier. The answer alone does not say that they succeeded: one that
// fails, as on a full disk, aborts its transaction, and that event comes before the answer. After it this browser's copy
// has a hole, so the page gives it up rather than promise anything about it.

import { IndexeddbPersistence } from 'y-indexeddb'
import type * as Y from 'yjs'

const updatesStore = 'updates' // y-indexeddb/src/y-indexeddb.js, v9.0.12

// abort: a write failed; it bubbles from the transaction. close: the browser took the database away.
// versionchange: somebody deletes it, upon which lib0 closes it.
const lossEvents = ['abort', 'close', 'versionchange']

/**
 * reading: what is there is not in the document yet. storing: changes are on their way. none, which is final: this
 * browser keeps no copy, or no complete one any more.
 */
export type CopyState = 'reading' | 'storing' | 'stored' | 'none'

/** Keeps a document in this browser. A `change` event follows every change of the state. */
export class LocalCopy extends EventTarget {
  /** Resolves when the state is no longer `reading`. */
  readonly read: Promise<void>
  #state: CopyState = 'reading'
  readonly #lost = Promise.withResolvers<void>()
  #persistence: IndexeddbPersistence | null = null
  #asking = false
  #changedMeanwhile = false

  constructor(doc: Y.Doc, room: string) {
    super()
    this.read = this.#open(doc, room)
    doc.on('update', (_update: Uint8Array, origin: unknown) => {
      // What is changed before the copy is read, the persistence writes when it has read it.
      if (!this.#persistence?.synced || origin === this.#persistence) return
      this.#set('storing')
      // The persistence may have its turn with this update after this listener.
      queueMicrotask(() => this.#ask())
    })
  }

  /** The state at this moment. */
  get state(): CopyState {
    return this.#state
  }

  async #open(doc: Y.Doc, room: string): Promise<void> {
    if (!(await databaseWorks())) {
      this.#set('none')
      return
    }
    const persistence = new IndexeddbPersistence('weft:' + room, doc)
    this.#persistence = persistence
    try {
      const database = await persistence._db
      for (const event of lossEvents) database.addEventListener(event, () => this.#lose())
    } catch {
      this.#lose()
    }
    await Promise.race([persistence.whenSynced, this.#lost.promise])
    this.#set('storing')
    this.#ask()
  }

  #ask(): void {
    const database = this.#persistence?.db
    if (this.#asking) this.#changedMeanwhile = true
    if (this.#asking || !database || this.#state === 'none') return
    this.#asking = true
    this.#changedMeanwhile = false
    const done = () => {
      this.#asking = false
      if (this.#changedMeanwhile) this.#ask()
      else this.#set('stored')
    }
    try {
      // If it fails, its transaction aborts.
      database.transaction(updatesStore, 'readonly').objectStore(updatesStore).count().onsuccess = done
    } catch {
      this.#lose() // the database is closed
    }
  }

  // What follows a lost write would be of no use without it, and a closed database throws at every change.
  #lose(): void {
    this.#set('none')
    this.#lost.resolve()
    this.#persistence?.destroy().catch(() => {}) // it never opened, so there is nothing to close
  }

  #set(state: CopyState): void {
    if (state === this.#state || this.#state === 'none') return
    this.#state = state
    this.dispatchEvent(new Event('change'))
  }
}

// Some browsers forbid databases in private windows. The persistence would then wait for ever.
function databaseWorks(): Promise<boolean> {
  return new Promise((done) => {
    try {
      const request = indexedDB.open('weft-probe')
      request.onerror = () => done(false)
      request.onsuccess = () => {
        request.result.close()
        done(true)
      }
    } catch {
      done(false)
    }
  })
}
