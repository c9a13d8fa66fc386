const firstMs = 250
const lastMs = 30_000

/**
 * How long to wait before the next attempt: between nothing and a ceiling that doubles from 0.25 s to 30 s, at random, so
 * that clients which lost the same server do not come back together.
 */
export class Backoff {
  #ceilingMs = firstMs
  readonly #random: () => number

  constructor (random: () => number = Math.random) {
    this.#random = random
  }

  /** Milliseconds to wait now; never less than the server asked for. */
  next (atLeastMs = 0): number {
    const wait = atLeastMs + this.#random() * this.#ceilingMs
    this.#ceilingMs = Math.min(2 * this.#ceilingMs, lastMs)
    return wait
  }

  /** After a connection that was good for something. */
  reset (): void {
    this.#ceilingMs = firstMs
  }
}
