// How many changes of a room wait in this browser for the server, remembered across page loads.
//
// Every page load writes under its own key of one record in local storage. What earlier loads left (closed or
// reloaded while offline) is inherited: their changes are in the browser's copy of the document, which this page
// loads, so they are saved once this page's own copy is.

import { load, save } from '../storage'

type Counts = Record<string, number>

/** The count of one room's unsaved changes. */
export class Ledger {
  readonly #key: string
  readonly #page = crypto.getRandomValues(new Uint32Array(1))[0]!.toString(36)
  readonly #inherited: Counts
  #own = 0

  /** Reads what earlier page loads left for a room. */
  constructor(room: string) {
    this.#key = 'weft.unsaved.' + room
    this.#inherited = this.#read()
  }

  /** Changes that are not known to be saved: those of earlier page loads and of this one. */
  get unsaved(): number {
    return Object.values(this.#inherited).reduce((sum, n) => sum + n, 0) + this.#own
  }

  /** Records how many changes of this page load are not saved. */
  setOwn(count: number): void {
    if (count === this.#own) return
    this.#own = count
    this.#write((counts) => {
      if (count === 0) delete counts[this.#page]
      else counts[this.#page] = count
    })
  }

  /** Records that what earlier page loads left is saved. What other open pages added since stays. */
  settleInherited(): void {
    if (Object.keys(this.#inherited).length === 0) return
    this.#write((counts) => {
      for (const [page, count] of Object.entries(this.#inherited)) {
        if (counts[page] !== undefined && counts[page] > count) counts[page] -= count
        else delete counts[page]
        delete this.#inherited[page]
      }
    })
  }

  #read(): Counts {
    const stored = load(this.#key)
    if (typeof stored !== 'object' || stored === null) return {}
    return Object.fromEntries(Object.entries(stored).filter(([, n]) => Number.isSafeInteger(n) && n > 0)) as Counts
  }

  #write(change: (counts: Counts) => void): void {
    const counts = this.#read()
    change(counts)
    save(this.#key, Object.keys(counts).length === 0 ? undefined : counts)
  }
}
