// Envelopes larger than a frame travel in parts: PROTOCOL.md, "Large envelopes".
import { Code, type Fragment } from './gen/weft_pb.js'
import { Refusal } from './refusal.js'

// What a part costs in its frame besides its data: the tags and lengths of batch, envelope and data at 6 bytes each, the
// index at 6 and the total at 11.
const overhead = 40 // bytes

export interface Part {
  index: number
  totalBytes: bigint
  data: Uint8Array
}

/** Cuts an encoded envelope into parts that fit into frames of frameBytes. The parts alias it. */
export function * cut (encoded: Uint8Array, frameBytes: number): Generator<Part> {
  const room = frameBytes - overhead
  if (room < 1) throw new RangeError(`a frame of ${frameBytes} bytes has no room for a fragment`)
  for (let index = 0, from = 0; from < encoded.length; index++, from += room) {
    yield { index, totalBytes: index === 0 ? BigInt(encoded.length) : 0n, data: encoded.subarray(from, from + room) }
  }
}

/** Puts parts together again. One for each connection. */
export class Joiner {
  #whole: Uint8Array | undefined
  #filled = 0
  #next = 0
  readonly #mostBytes: number

  /** Takes envelopes of up to mostBytes. */
  constructor (mostBytes: number) {
    this.#mostBytes = mostBytes
  }

  /** Takes the next part; returns the envelope once it is whole. Throws a Refusal for parts that do not belong together. */
  add (part: Fragment): Uint8Array | undefined {
    if (part.index !== this.#next) throw malformed(`part ${part.index} came where ${this.#next} belongs`)
    if (part.data.length === 0) throw malformed('a part is empty')
    if (part.index === 0) {
      if (part.totalBytes > BigInt(this.#mostBytes)) {
        throw new Refusal(Code.TOO_LARGE, `a message has ${part.totalBytes} bytes, ${this.#mostBytes} are taken`, false)
      }
      this.#whole = new Uint8Array(Number(part.totalBytes))
      this.#filled = 0
    }
    const whole = this.#whole!
    if (this.#filled + part.data.length > whole.length) throw malformed('the parts have more bytes than the first one said')
    whole.set(part.data, this.#filled)
    this.#filled += part.data.length
    this.#next++
    if (this.#filled < whole.length) return undefined
    this.#whole = undefined
    this.#next = 0
    return whole
  }
}

function malformed (what: string): Refusal {
  return new Refusal(Code.MALFORMED, what, false)
}
