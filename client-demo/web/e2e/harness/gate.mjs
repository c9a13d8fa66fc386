// A gate in front of a page's WebSocket: it can cut the link, and hold back the server's saved echoes or everything.

import { isWeft } from './server.mjs'

// The first bytes of a message, by message type and sync step.
const KINDS = { '00 00': 'step1', '00 01': 'step2', '00 02': 'update', 66: 'marker', '08 00': 'status', '08 01': 'status' }

/** y-websocket: the page asks with a marker, and the server's echo of it says that all is saved. */
const yWebsocket = { address: /\/yjs\//, echo: 'marker', body: (message) => message }

/** Hocuspocus: the server acknowledges each update, and every message begins with the room's name, here under 128 bytes. */
export const hocuspocus = { address: /\/hocuspocus$/, echo: 'status', body: (message) => message.subarray(1 + message[0]) }

/** Puts a gate before the room sockets of a person's page. Call it before the page opens a room. */
export async function gate(person, protocol = yWebsocket) {
  const g = new Gate(protocol)
  person.spoilPage()
  await person.page.routeWebSocket(protocol.address, (socket) => g.accept(socket))
  return g
}

class Gate {
  /** Markers that the page sent and echoes that it got, oldest first, as hexadecimal. */
  sent = []
  echoed = []
  /** What the page sent on its newest connection, in order: step1, step2, update, marker; the rest is left out. */
  frames = []
  #open = true
  #holding = false
  #held = []
  #answersHeld = null
  #sockets = new Set()
  #protocol

  constructor(protocol) {
    this.#protocol = protocol
  }

  accept(socket) {
    if (!this.#open) {
      socket.close({ code: 1013, reason: 'cut' })
      return
    }
    this.#sockets.add(socket)
    this.frames = []
    const server = socket.connectToServer()
    socket.onMessage((message) => {
      server.send(message)
      const kind = kindOf(this.#protocol.body(message))
      if (kind) this.frames.push(kind)
      if (kind !== 'marker') return
      this.sent.push(Buffer.from(message).toString('hex'))
      // The reference server does not know markers; the page's side of the exchange is tested all the same.
      if (!isWeft) this.#echo(socket, message)
    })
    server.onMessage((message) => {
      if (kindOf(this.#protocol.body(message)) === this.#protocol.echo) this.#echo(socket, message)
      else if (this.#answersHeld) this.#answersHeld.push(() => socket.send(message))
      else socket.send(message)
    })
    socket.onClose((code, reason) => {
      this.#sockets.delete(socket)
      server.close({ code: code === 1005 ? 1000 : code, reason })
    })
  }

  /** Closes the link and refuses new ones. */
  cut() {
    this.#open = false
    this.end(1013, 'cut')
  }

  /** Closes the link as a server does that says so. */
  end(code, reason) {
    this.#held = []
    this.frames = []
    for (const socket of this.#sockets) socket.close({ code, reason })
    this.#sockets.clear()
  }

  /** Lets the page connect again. */
  restore() {
    this.#open = true
  }

  /** Keeps echoes back from now on. */
  holdEchoes() {
    this.#holding = true
  }

  /** Delivers the first n held echoes, or all of them and those to come. */
  releaseEchoes(n = Infinity) {
    for (const deliver of this.#held.splice(0, n)) deliver()
    if (n === Infinity) this.#holding = false
  }

  /** Keeps everything from the server back, except echoes, until the function it returns is called. */
  holdAnswers() {
    this.#answersHeld = []
    return () => {
      const held = this.#answersHeld
      this.#answersHeld = null
      for (const deliver of held) deliver()
    }
  }

  /** Sends bytes to the page as if they came from the server. */
  inject(bytes) {
    for (const socket of this.#sockets) socket.send(Buffer.from(bytes))
  }

  /** How many echoes wait at the gate. */
  get waiting() {
    return this.#held.length
  }

  #echo(socket, message) {
    const deliver = () => {
      this.echoed.push(Buffer.from(message).toString('hex'))
      socket.send(message)
    }
    if (this.#holding) this.#held.push(deliver)
    else deliver()
  }
}

function kindOf(message) {
  const bytes = Array.from(message.subarray(0, 2), (b) => b.toString(16).padStart(2, '0'))
  return KINDS[bytes.join(' ')] ?? KINDS[bytes[0]]
}
