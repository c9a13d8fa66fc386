// The document's copy in this browser, and whether it is up to date.
//
// y-indexeddb writes every update in a transaction of its own and does not tell when it is done. A page that is closed
// before loses what is still queued, so "kept in this browser" waits for a read of the same store: the database
// answers it after all writes that were asked for earlier.

import { IndexeddbPersistence } from 'y-indexeddb'
import type * as Y from 'yjs'

const updatesStore = 'updates' // y-indexeddb/src/y-indexeddb.js, v9.0.12

/** reading: what is there is not in the document yet. storing: changes are on their way. none: this browser keeps no copy. */
export type CopyState = 'reading' | 'storing' | 'stored' | 'none'

/** Keeps a document in this browser. A `change` event follows every change of the state. */
export class LocalCopy extends EventTarget {
  /** Resolves when the state is no longer `reading`. */
  readonly read: Promise<void>
  #state: CopyState = 'reading'
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
    this.#persistence = new IndexeddbPersistence('weft:' + room, doc)
    await this.#persistence.whenSynced
    this.#set('storing')
    this.#ask()
  }

  #ask(): void {
    const database = this.#persistence?.db
    if (this.#asking) this.#changedMeanwhile = true
    if (this.#asking || !database) return
    this.#asking = true
    this.#changedMeanwhile = false
    const done = () => {
      this.#asking = false
      if (this.#changedMeanwhile) this.#ask()
      else this.#set('stored')
    }
    const request = database.transaction(updatesStore, 'readonly').objectStore(updatesStore).count()
    request.onsuccess = done
    request.onerror = () => this.#set('none')
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
