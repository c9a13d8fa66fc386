import { Code } from './gen/weft_pb.js'

/** What Refused, Closing and the reason in Left have in common. */
interface Reason {
  code: Code
  message: string
  retry: boolean
  retryAfterMs: number
}

/** Why the server said no, or why this side gave up. */
export class Refusal extends Error {
  readonly code: Code
  /** Whether the same may succeed later without anybody doing something about it. */
  readonly retry: boolean
  /** Not before that many milliseconds; 0: no wish. */
  readonly retryAfterMs: number

  constructor (code: Code, message: string, retry: boolean, retryAfterMs = 0) {
    super(`${Code[code] ?? `code ${code}`}: ${message}`)
    this.name = 'Refusal'
    this.code = code
    this.retry = retry
    this.retryAfterMs = retryAfterMs
  }

  static of ({ code, message, retry, retryAfterMs }: Reason): Refusal {
    return new Refusal(code, message, retry, retryAfterMs)
  }
}
