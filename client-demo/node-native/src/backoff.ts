const firstMs = 250
const lastMs = 30_000
const goodMs = 10_000 // what lasted that long was good for something

/**
 * How long to wait before the next attempt: between nothing and a ceiling that doubles from 0.25 s to 30 s, at random, so
 * that clients which lost the same server do not come back together.
 */
export class Backoff {
  #ceilingMs = firstMs
  #upSince: number | undefined
  readonly #random: () => number
  readonly #now: () => number

  /** random is between 0 and 1, now in milliseconds. */
  constructor (random: () => number = Math.random, now: () => number = Date.now) {
    this.#random = random
    this.#now = now
  }

  /** The attempt succeeded. If that lasts, the next wait is a short one again. */
  up (): void {
    this.#upSince = this.#now()
  }

  /** It is over, or failed: milliseconds to wait now; never less than the server asked for. */
  next (atLeastMs = 0): number {
    if (this.#upSince !== undefined && this.#now() - this.#upSince >= goodMs) this.#ceilingMs = firstMs
    this.#upSince = undefined
    const wait = atLeastMs + this.#random() * this.#ceilingMs
    this.#ceilingMs = Math.min(2 * this.#ceilingMs, lastMs)
    return wait
  }
}
