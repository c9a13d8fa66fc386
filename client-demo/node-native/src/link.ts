import { create, fromBinary, toBinary, type MessageInitShape } from '@bufbuild/protobuf'
import WebSocket from 'ws'
import { Joiner, cut } from './fragments.js'
import {
  ClientBatchSchema, ClientEnvelopeSchema, Code, Feature, Role, ServerBatchSchema, ServerEnvelopeSchema,
  type ServerEnvelope, type Welcome
} from './gen/weft_pb.js'
import { Refusal } from './refusal.js'

/** The WebSocket subprotocol, which is the major version. */
export const subprotocol = 'weft.v1.protobuf'

const minor = 0 // the minor version spoken here
const mostBytes = 256 << 20 // of one envelope of the server; bounds what a broken server can make this side allocate
const handshakeMs = 15_000 // for the upgrade and for Welcome, each
const farewellMs = 2_000 // for the server to answer the close
const silences = 3 // keep-alive intervals without a frame after which the connection is dead

/** The body of an envelope to the server: what stands in the oneof. */
export type Body = Extract<NonNullable<MessageInitShape<typeof ClientEnvelopeSchema>['body']>, { case: string }>

/** What a Link reports. Both are called in the order of the wire, never inside a call of the Link. */
export interface LinkEvents {
  /** An envelope that answers no request. */
  envelope (envelope: ServerEnvelope): void
  /** The connection is over; called once, and nothing after it. */
  ended (why: Refusal): void
}

/** Takes what answers a request. */
export type Answer = (answer: ServerEnvelope | Refusal) => void

/**
 * One connection: frames, fragments, answers to requests, signs of life. It ends once and does not come back; Client
 * opens the next one.
 */
export class Link {
  /** What travelled, in bytes of WebSocket messages. */
  readonly bytes = { received: 0, sent: 0 }
  welcome!: Welcome // set before anybody gets the Link
  readonly #socket: WebSocket
  readonly #events: LinkEvents
  readonly #stop: AbortSignal
  readonly #joiner = new Joiner(mostBytes)
  readonly #answers = new Map<number, Answer>()
  #ref = 0
  #queue: Uint8Array[] = [] // encoded batches of one envelope, until the microtask that sends them
  #queued = 0 // their bytes
  #silent = 0 // keep-alive intervals since the last frame
  #watch: NodeJS.Timeout | undefined
  #over = false

  private constructor (url: string, stop: AbortSignal, events: LinkEvents) {
    this.#events = events
    this.#stop = stop
    stop.addEventListener('abort', this.#close)
    this.#socket = new WebSocket(url, subprotocol, { perMessageDeflate: false, handshakeTimeout: handshakeMs, maxPayload: mostBytes })
    this.#socket.on('message', (data, binary) => this.#receive(data as Buffer, binary))
    this.#socket.on('unexpected-response', (_request, response) => {
      const status = response.statusCode ?? 0
      const passing = status >= 500 || status === 408 || status === 429
      const wait = Number(response.headers['retry-after'] ?? 0) * 1000
      this.#end(new Refusal(Code.UNAVAILABLE, `the server answered the upgrade with ${status}`, passing, wait || 0))
    })
    this.#socket.on('error', err => this.#end(new Refusal(Code.UNAVAILABLE, err.message, true)))
    this.#socket.on('close', (code, reason) => this.#end(closed(code, reason.toString())))
  }

  /** Connects and says hello. Throws a Refusal when that does not end with Welcome. Aborting stop closes at any time. */
  static open (url: string, token: string, client: string, stop: AbortSignal, events: LinkEvents): Promise<Link> {
    const hello: Body = {
      case: 'hello',
      value: { minor, token, client, role: Role.CLIENT, features: [Feature.FRAGMENTS, Feature.FLOW] }
    }
    return new Promise((resolve, reject) => {
      const link = new Link(url, stop, {
        envelope: envelope => events.envelope(envelope),
        ended: why => {
          reject(why) // says nothing to those who have the Link already
          events.ended(why)
        }
      })
      link.#watch = setTimeout(() => link.#end(new Refusal(Code.TIMED_OUT, 'no Welcome came', true)), 2 * handshakeMs)
      link.#socket.on('open', () => link.request(hello, answer => {
        if (answer instanceof Refusal) return link.#end(answer)
        if (answer.body.case !== 'welcome') return link.#end(malformed(`${answer.body.case} answers the hello`))
        link.welcome = answer.body.value
        clearTimeout(link.#watch)
        link.#keepWatch()
        resolve(link)
      }))
    })
  }

  /** Sends an envelope that is not answered. What is sent in one turn leaves in one frame, if it fits. */
  send (body: Body): void {
    this.#send(0, body)
  }

  /**
   * Sends an envelope and calls back once: with what answers it, or with a Refusal by the server or because the
   * connection ended. A callback and not a promise, whose continuation would run after the next envelopes.
   */
  request (body: Body, answer: Answer): void {
    this.#ref++
    this.#answers.set(this.#ref, answer)
    this.#send(this.#ref, body)
  }

  /** How many bytes an envelope may have; what is larger is refused here as the server would refuse it. */
  get mostBytes (): number {
    return this.welcome.limits?.maxMessageBytes || mostBytes
  }

  /** Says goodbye and closes. */
  readonly #close = (): void => {
    this.#farewell(new Refusal(Code.NORMAL, 'closed by this side', false))
  }

  #farewell (why: Refusal): void {
    this.send({ case: 'closing', value: { code: why.code, message: why.message } })
    this.#flush()
    this.#end(why)
  }

  #send (ref: number, body: Body): void {
    if (this.#over) return
    const envelope = create(ClientEnvelopeSchema, { ref, body })
    const frame = toBinary(ClientBatchSchema, create(ClientBatchSchema, { envelopes: [envelope] }))
    const most = this.welcome?.limits?.maxFrameBytes || mostBytes
    if (frame.length > most) {
      for (const part of cut(toBinary(ClientEnvelopeSchema, envelope), most)) this.#send(0, { case: 'fragment', value: part })
      return
    }
    // A batch is the concatenation of batches: PROTOCOL.md, "Connecting".
    if (this.#queued + frame.length > most) this.#flush()
    if (this.#queue.length === 0) queueMicrotask(() => this.#flush())
    this.#queue.push(frame)
    this.#queued += frame.length
  }

  #flush (): void {
    if (this.#queue.length === 0) return
    if (this.#socket.readyState === WebSocket.OPEN) {
      this.#socket.send(Buffer.concat(this.#queue, this.#queued))
      this.bytes.sent += this.#queued
    }
    this.#queue = []
    this.#queued = 0
  }

  #receive (data: Buffer, binary: boolean): void {
    if (this.#over) return
    this.bytes.received += data.length
    this.#silent = 0
    try {
      if (!binary) throw malformed('a text frame came')
      for (const envelope of decode(ServerBatchSchema, data).envelopes) {
        if (envelope.body.case !== 'fragment') {
          this.#take(envelope)
          continue
        }
        const whole = this.#joiner.add(envelope.body.value)
        if (whole !== undefined) this.#take(decode(ServerEnvelopeSchema, whole))
      }
    } catch (err) {
      if (!(err instanceof Refusal)) throw err
      this.#farewell(err)
    }
  }

  #take (envelope: ServerEnvelope): void {
    if (this.#over) return
    const { ref, body } = envelope
    switch (body.case) {
      case undefined: return // of a newer minor version
      case 'fragment': throw malformed('a fragment holds a fragment')
      case 'ping': return this.send({ case: 'pong', value: { time: body.value.time } })
      case 'closing': return this.#end(Refusal.of(body.value))
    }
    const answer = ref === 0 ? undefined : this.#answers.get(ref)
    if (answer === undefined) return this.#events.envelope(envelope)
    this.#answers.delete(ref)
    answer(body.case === 'refused' ? Refusal.of(body.value) : envelope)
  }

  #keepWatch (): void {
    const interval = this.welcome.keepAliveMs
    if (interval === 0) return
    this.#watch = setInterval(() => {
      // Intervals and not the clock: after this program was asleep, what has arrived is read first.
      if (++this.#silent > silences) this.#end(new Refusal(Code.TIMED_OUT, 'the server is silent', true))
    }, interval)
  }

  /** Ends the connection; the first reason counts. */
  #end (why: Refusal): void {
    if (this.#over) return
    this.#over = true
    this.#stop.removeEventListener('abort', this.#close)
    clearTimeout(this.#watch) // also ends an interval
    if (this.#socket.readyState === WebSocket.CONNECTING) {
      this.#socket.terminate()
    } else if (this.#socket.readyState !== WebSocket.CLOSED) {
      this.#socket.close(1000)
      const cut = setTimeout(() => this.#socket.terminate(), farewellMs)
      this.#socket.once('close', () => clearTimeout(cut))
    }
    queueMicrotask(() => {
      for (const answer of this.#answers.values()) answer(why)
      this.#answers.clear()
      this.#events.ended(why)
    })
  }
}

function decode<S extends typeof ServerBatchSchema | typeof ServerEnvelopeSchema> (schema: S, bytes: Uint8Array) {
  try {
    return fromBinary(schema, bytes)
  } catch (err) {
    throw malformed(`a frame cannot be read: ${(err as Error).message}`)
  }
}

function malformed (what: string): Refusal {
  return new Refusal(Code.MALFORMED, what, false)
}

/** What a close frame without a Closing means: PROTOCOL.md, "Staying alive, tokens, the end". 44xx are final but for 4408, silence. */
function closed (code: number, reason: string): Refusal {
  const known: Record<number, Code> = {
    1000: Code.NORMAL, 1006: Code.UNAVAILABLE, 1009: Code.TOO_LARGE, 1012: Code.DRAINING, 1013: Code.OVERLOADED,
    4400: Code.MALFORMED, 4401: Code.UNAUTHORIZED, 4403: Code.FORBIDDEN, 4404: Code.NOT_FOUND, 4408: Code.TIMED_OUT,
    4409: Code.UNSUPPORTED, 4413: Code.TOO_LARGE, 4423: Code.QUARANTINED, 4500: Code.INTERNAL, 4503: Code.DRAINING, 4508: Code.TOO_SLOW, 4529: Code.RATE_LIMITED
  }
  const final = code === 1009 || (code >= 4400 && code < 4500 && code !== 4408)
  return new Refusal(known[code] ?? Code.UNAVAILABLE, reason || `the connection ended with ${code}`, !final)
}
