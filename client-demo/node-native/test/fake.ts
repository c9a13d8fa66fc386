// A server that does what a test tells it to: the faults that a real one does not have on demand. It is no Weft; what the
// client and Weft do together is tested in interop/.
import { create, fromBinary, toBinary, type MessageInitShape } from '@bufbuild/protobuf'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocketServer, type WebSocket } from 'ws'
import {
  Access, ClientBatchSchema, ServerBatchSchema, ServerEnvelopeSchema, SyncMode,
  type ClientEnvelope, type Joined, type JoinedSchema, type LimitsSchema
} from '../src/gen/weft_pb.js'
import { Backoff, Client, type ClientOptions } from '../src/index.js'
import { subprotocol } from '../src/link.js'

export type Answer = NonNullable<MessageInitShape<typeof ServerEnvelopeSchema>['body']>
export type Body = ClientEnvelope['body']
export type Case = NonNullable<Body['case']>
type BodyOf<C extends Case> = Extract<Body, { case: C }>['value']

/** The part of node:test's context that the fakes need. */
interface Test { after (fn: () => unknown): void }

const patienceMs = 20_000

export class FakeServer {
  /** How upgrades are answered from here on: a status refuses them. */
  status = 0
  upgrades = 0
  readonly #http: Server = createServer()
  readonly #conns: FakeConn[] = []
  readonly #takers: ((conn: FakeConn) => void)[] = []

  static async start (t: Test): Promise<FakeServer> {
    const fake = new FakeServer()
    const sockets = new WebSocketServer({ noServer: true, handleProtocols: offered => offered.has(subprotocol) ? subprotocol : false })
    fake.#http.on('upgrade', (request, socket, head) => {
      fake.upgrades++
      if (fake.status !== 0) return void socket.end(`HTTP/1.1 ${fake.status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`)
      sockets.handleUpgrade(request, socket, head, ws => {
        const conn = new FakeConn(ws)
        const taker = fake.#takers.shift()
        if (taker !== undefined) taker(conn)
        else fake.#conns.push(conn)
      })
    })
    fake.#http.listen(0, '127.0.0.1')
    await once(fake.#http, 'listening')
    t.after(() => {
      for (const ws of sockets.clients) ws.terminate()
      fake.#http.close()
    })
    return fake
  }

  get url (): string {
    return `ws://127.0.0.1:${(this.#http.address() as AddressInfo).port}/native`
  }

  /** A client of this server that does not wait before it comes back, closed after the test. */
  client (t: Test, options: Partial<ClientOptions> = {}): Client {
    const client = new Client({ url: this.url, backoff: new Backoff(() => 0), ...options })
    t.after(() => client.close())
    return client
  }

  /** The next connection. */
  async accept (): Promise<FakeConn> {
    return this.#conns.shift() ?? await soon('a connection', new Promise(resolve => this.#takers.push(resolve)))
  }

  /** The next connection, past its hello. */
  async welcome (limits: MessageInitShape<typeof LimitsSchema> = {}, keepAliveMs = 0): Promise<FakeConn> {
    const conn = await this.accept()
    const hello = await conn.next()
    if (hello.body.case !== 'hello') throw new Error(`the first envelope is ${hello.body.case}`)
    conn.send({ case: 'welcome', value: { features: hello.body.value.features, limits, keepAliveMs } }, hello.ref)
    return conn
  }
}

/** The server's side of one connection. */
export class FakeConn {
  readonly frames: number[] = [] // envelopes in each frame that came
  readonly ended: Promise<number> // the close code
  readonly #ws: WebSocket
  readonly #envelopes: ClientEnvelope[] = []
  readonly #takers: ((envelope: ClientEnvelope) => void)[] = []

  constructor (ws: WebSocket) {
    this.#ws = ws
    this.ended = new Promise(resolve => ws.on('close', resolve))
    ws.on('message', (data: Buffer) => {
      const { envelopes } = fromBinary(ClientBatchSchema, data)
      this.frames.push(envelopes.length)
      for (const envelope of envelopes) {
        const taker = this.#takers.shift()
        if (taker !== undefined) taker(envelope)
        else this.#envelopes.push(envelope)
      }
    })
  }

  /** The next envelope. */
  async next (): Promise<ClientEnvelope> {
    return this.#envelopes.shift() ?? await soon('an envelope', new Promise(resolve => this.#takers.push(resolve)))
  }

  /** The next envelope, which must be of a case. */
  async expect<C extends Case> (want: C): Promise<BodyOf<C>> {
    const { body } = await this.next()
    if (body.case !== want) throw new Error(`an envelope = ${body.case}, want ${want}`)
    return body.value as BodyOf<C>
  }

  /** Answers the next Join as a room that is empty, or as told. Returns the Join. */
  async join (value: Exclude<MessageInitShape<typeof JoinedSchema>, Joined> = {}): Promise<BodyOf<'join'>> {
    const { ref, body } = await this.next()
    if (body.case !== 'join') throw new Error(`an envelope = ${body.case}, want join`)
    this.send({ case: 'joined', value: { roomId: 7n, access: Access.WRITE, mode: SyncMode.FULL, stateVector: Uint8Array.of(0), ...value } }, ref)
    return body.value
  }

  send (body: Answer, ref = 0): void {
    this.raw(toBinary(ServerBatchSchema, create(ServerBatchSchema, { envelopes: [{ ref, body }] })))
  }

  raw (data: Uint8Array | string): void {
    this.#ws.send(data)
  }

  close (code: number): void {
    this.#ws.close(code)
  }

  /** Cuts the connection without a word. */
  cut (): void {
    this.#ws.terminate()
  }
}

/** What a promise brings, or an error after a time that nothing takes unless it is broken. */
export async function soon<T> (what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${patienceMs} ms for ${what}`)), patienceMs)
  })
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
