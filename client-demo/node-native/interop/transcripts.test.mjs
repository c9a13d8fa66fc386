// The transcripts of protocol/conformance, played a second time by code that shares nothing with the Go program that plays
// them; conformance.go describes their language.
import { fromBinary, fromJson, toBinary, toJson } from '@bufbuild/protobuf'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile, readdir } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import WebSocket from 'ws'
import { TestServer } from '../../../gateway/providers/harness.mjs'
import { ClientBatchSchema, ClientEnvelopeSchema, ServerBatchSchema, ServerEnvelopeSchema } from '../build/src/gen/weft_pb.js'
import { subprotocol } from '../build/src/link.js'
import { within } from './native.mjs'

const folder = path.join(import.meta.dirname, '../../../protocol/conformance/testdata')

for (const file of (await readdir(folder)).filter(name => name.endsWith('.txt'))) {
  test(file, async t => {
    const server = await TestServer.start(t, '--transcripts')
    const play = new Play(t, `ws://${server.listen}/native`)
    for (const [index, line] of (await readFile(path.join(folder, file), 'utf8')).split('\n').entries()) {
      if (line.trim() === '' || line.startsWith('#')) continue
      try {
        await play.line(line.trim())
      } catch (err) {
        throw new Error(`${file}:${index + 1}: ${line.slice(0, 200)}: ${err.message}`, { cause: err })
      }
    }
  })
}

/** One play of a transcript. */
class Play {
  #t
  #url
  #names = new Map([['writer', 'write'], ['reader', 'read']])
  #clients = new Map()

  constructor (t, url) {
    this.#t = t
    this.#url = url
  }

  async line (line) {
    const [, who, verb, rest] = /^(\S+)\s+(\S+)\s*(.*)$/.exec(line)
    const words = rest.split(/\s+/).filter(word => word !== '')
    if (who === 'let') return this.#names.set(verb, words[0] === 'zeros' ? Buffer.alloc(Number(words[1])).toString('base64') : rest)
    switch (verb) {
      case 'connect': {
        const client = await Client.connect(this.#url, words.length > 0 ? words : [subprotocol])
        this.#clients.get(who)?.cut()
        this.#clients.set(who, client)
        return this.#t.after(() => client.cut())
      }
      case 'refused':
        return assert.equal(await statusOf(this.#url, words.slice(1)), Number(words[0]))
    }
    const client = this.#clients.get(who)
    switch (verb) {
      case 'send': return client.send([this.#filled(JSON.parse(rest))])
      case 'parts': return client.parts(Number(words[0]), this.#filled(JSON.parse(rest.slice(words[0].length))))
      case 'batch': return client.send(this.#filled(JSON.parse(rest)))
      case 'raw': return client.raw(Buffer.from(rest.replaceAll(' ', ''), 'hex'))
      case 'text': return client.raw(rest)
      case 'recv': return this.#receive(client, JSON.parse(rest), false)
      case 'await': return this.#receive(client, JSON.parse(rest), true)
      case 'closed': return assert.equal(await client.closed(), Number(rest))
      case 'cut': return client.cut()
    }
    throw new Error(`unknown verb ${verb}`)
  }

  async #receive (client, want, skip) {
    for (let skipped = 0; ; skipped++) {
      const got = await client.next()
      if (got === undefined) throw new Error(`the connection ended after ${skipped} other envelopes`)
      const bound = new Map()
      if (this.#matches(bound, want, got)) return bound.forEach((value, name) => this.#names.set(name, value))
      if (!skip) throw new Error(`got ${JSON.stringify(got).slice(0, 500)}`)
    }
  }

  #matches (bound, want, got) {
    if (typeof want === 'string' && want.startsWith('$')) {
      const name = want.slice(1)
      if (name !== '_' && this.#names.has(name)) return got === this.#names.get(name)
      if (name !== '_') bound.set(name, got)
      return got !== undefined
    }
    if (want === null) return got === undefined
    if (typeof want !== 'object') return got === want
    if (typeof got !== 'object' || Array.isArray(want) !== Array.isArray(got)) return false
    if (Array.isArray(want) && want.length !== got.length) return false
    return Object.keys(want).every(key => this.#matches(bound, want[key], got[key]))
  }

  /** What a value of a line stands for. */
  #filled (value) {
    if (typeof value === 'string' && value.startsWith('$')) return this.#names.get(value.slice(1))
    if (Array.isArray(value)) return value.map(item => this.#filled(item))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.#filled(item)]))
  }
}

/** A client that answers Pings, puts fragments together, and else does what it is told. */
class Client {
  #ws
  #came = [] // envelopes in their JSON form
  #wake = () => {}
  #code
  #parts

  static async connect (url, subprotocols) {
    const client = new Client()
    const ws = client.#ws = new WebSocket(url, subprotocols)
    ws.on('message', data => fromBinary(ServerBatchSchema, data).envelopes.forEach(envelope => client.#take(envelope)))
    ws.on('close', code => {
      client.#code = code
      client.#wake()
    })
    await within('the handshake', once(ws, 'open'))
    assert.equal(ws.protocol, subprotocol)
    return client
  }

  #take (envelope) {
    const { body } = envelope
    if (body.case === 'ping') return this.send([{ pong: { time: String(body.value.time) } }])
    if (body.case !== 'fragment') {
      this.#came.push(toJson(ServerEnvelopeSchema, envelope))
      return this.#wake()
    }
    if (body.value.index === 0) this.#parts = { left: Number(body.value.totalBytes), list: [] }
    this.#parts.list.push(body.value.data)
    this.#parts.left -= body.value.data.length
    if (this.#parts.left === 0) this.#take(fromBinary(ServerEnvelopeSchema, Buffer.concat(this.#parts.list)))
  }

  send (envelopes) { this.raw(toBinary(ClientBatchSchema, fromJson(ClientBatchSchema, { envelopes }))) }
  raw (data) { this.#ws.send(data) }

  /** Sends an envelope in fragments of at most size bytes of data. */
  parts (size, envelope) {
    const whole = Buffer.from(toBinary(ClientEnvelopeSchema, fromJson(ClientEnvelopeSchema, envelope)))
    for (let index = 0; index * size < whole.length; index++) {
      const data = whole.subarray(index * size, (index + 1) * size).toString('base64')
      this.send([{ fragment: { index, totalBytes: index === 0 ? String(whole.length) : '0', data } }])
    }
  }

  cut () { this.#ws.terminate() }

  /** The next envelope; undefined when the connection has ended. */
  async next () {
    await within('an envelope', new Promise(resolve => {
      this.#wake = () => { if (this.#came.length > 0 || this.#code !== undefined) resolve() }
      this.#wake()
    }))
    return this.#came.shift()
  }

  /** The close code. */
  async closed () {
    while (await this.next() !== undefined);
    return this.#code
  }
}

/** With which status a handshake is answered; 101 when it is accepted. */
function statusOf (url, subprotocols) {
  return within('an answer', new Promise((resolve, reject) => {
    const ws = new WebSocket(url, subprotocols)
    ws.on('open', () => { ws.terminate(); resolve(101) })
    ws.on('unexpected-response', (request, response) => { request.destroy(); resolve(response.statusCode) })
    ws.on('error', reject)
  }))
}
