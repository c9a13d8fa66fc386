// Random is a small seeded generator (sfc32), the same on every machine and Node version.
export class Random {
  #a; #b; #c; #counter

  constructor (seed) {
    this.#a = 0x9e3779b9
    this.#b = Math.floor(seed / 0x100000000) | 0
    this.#c = seed | 0
    this.#counter = 1
    for (let i = 0; i < 16; i++) this.uint32()
  }

  uint32 () {
    const t = (this.#a + this.#b + this.#counter++) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + t) | 0
    return t >>> 0
  }

  // float is in [0, 1).
  float () { return this.uint32() / 0x100000000 }
  // below is an integer in [0, n).
  below (n) { return Math.floor(this.float() * n) }
  // between is an integer in [lo, hi].
  between (lo, hi) { return lo + this.below(hi - lo + 1) }
  chance (p) { return this.float() < p }
  pick (list) { return list[this.below(list.length)] }

  // weighted picks a key of {name: weight}.
  weighted (weights) {
    let total = 0
    for (const k in weights) total += weights[k]
    let x = this.float() * total
    for (const k in weights) {
      x -= weights[k]
      if (x < 0) return k
    }
    return Object.keys(weights)[0]
  }

  shuffle (list) {
    for (let i = list.length - 1; i > 0; i--) {
      const j = this.below(i + 1)
      ;[list[i], list[j]] = [list[j], list[i]]
    }
    return list
  }
}
