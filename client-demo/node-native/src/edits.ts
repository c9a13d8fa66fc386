const mostUpdates = 1000 // that are kept one by one; both are guessed: more than a person types while offline for minutes
const mostBytes = 1 << 20

/** What one user's hand did, or a diff with much of that. */
interface Edit {
  update: Uint8Array
  count: number // edits in it
  diff: boolean
}

/**
 * The edits of this side that the server has not acknowledged, in their order: sent ones, and behind them waiting ones.
 * Too many of those are forgotten one by one and owed: a diff of the document brings them.
 */
export class Edits {
  #sent: { id: bigint, edits: Edit[] }[] = []
  #waiting: Edit[] = []
  #owed = 0

  /** How many there are. */
  get unsaved (): number {
    return count(this.#flying()) + this.waiting
  }

  /** How many of them are not on their way. */
  get waiting (): number {
    return count(this.#waiting) + this.#owed
  }

  /** How many messages are on their way. */
  get inFlight (): number {
    return this.#sent.length
  }

  /** The updates of all edits; undefined where only a diff has them. */
  get updates (): Uint8Array[] | undefined {
    const edits = [...this.#flying(), ...this.#waiting]
    return this.#owed > 0 || edits.some(edit => edit.diff) ? undefined : edits.map(edit => edit.update)
  }

  add (update: Uint8Array): void {
    if (this.#owed > 0) {
      this.#owed++
      return
    }
    this.#waiting.push({ update, count: 1, diff: false })
    this.#bound()
  }

  /** From here on only a diff brings what waits, and something is missing even if nothing waits. */
  owe (): void {
    this.#owed = Math.max(this.waiting, 1)
    this.#waiting = []
  }

  /**
   * Moves edits that have at most that many bytes together into a message on its way, and returns their updates; what is
   * owed is made by diff. Undefined: already the first one has more.
   */
  send (id: bigint, most: number, overhead: number, diff: () => Uint8Array): Uint8Array[] | undefined {
    if (this.#owed > 0) {
      this.#waiting = [{ update: diff(), count: this.waiting, diff: true }]
      this.#owed = 0
    }
    let bytes = 0
    const end = this.#waiting.findIndex(edit => (bytes += edit.update.length + overhead) > most)
    if (end === 0) return undefined
    const edits = this.#waiting.splice(0, end < 0 ? this.#waiting.length : end)
    this.#sent.push({ id, edits })
    return edits.map(edit => edit.update)
  }

  /** Everything sent up to id is saved. */
  acknowledged (id: bigint): void {
    this.#sent = this.#sent.filter(sent => sent.id > id)
  }

  /** What was sent from id on did not count and waits again, in front. */
  again (id: bigint): void {
    const back = this.#sent.filter(sent => sent.id >= id).flatMap(sent => sent.edits)
    this.#sent = this.#sent.filter(sent => sent.id < id)
    this.#waiting.unshift(...back)
    if (back.some(edit => edit.diff) || (back.length > 0 && this.#owed > 0)) this.owe() // a later diff has all of it
    else this.#bound()
  }

  #bound (): void {
    const bytes = this.#waiting.reduce((sum, edit) => sum + edit.update.length, 0)
    if (this.#waiting.length > mostUpdates || bytes > mostBytes) this.owe()
  }

  #flying (): Edit[] {
    return this.#sent.flatMap(sent => sent.edits)
  }
}

function count (edits: Edit[]): number {
  return edits.reduce((sum, edit) => sum + edit.count, 0)
}
