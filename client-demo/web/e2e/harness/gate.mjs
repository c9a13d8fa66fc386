// A gate in front of a page's WebSocket: it can cut the link, and hold back the server's saved echoes or everything.

import { isWeft } from './server.mjs'

const MARKER = 102

// The first bytes of what a page sends, by message type and sync step.
const KINDS = { '00 00': 'step1', '00 01': 'step2', '00 02': 'update', 66: 'marker' }

/** Puts a gate before the room sockets of a person's page. Call it before the page opens a room. */
export async function gate(person) {
  const g = new Gate()
  person.spoilPage()
  await person.page.routeWebSocket(/\/yjs\//, (socket) => g.accept(socket))
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
      const kind = kindOf(message)
      if (kind) this.frames.push(kind)
      if (message[0] !== MARKER) return
      this.sent.push(Buffer.from(message).toString('hex'))
      // The reference server does not know markers; the page's side of the exchange is tested all the same.
      if (!isWeft) this.#echo(socket, message)
    })
    server.onMessage((message) => {
      if (message[0] === MARKER) this.#echo(socket, message)
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
    this.#held = []
    this.frames = []
    for (const socket of this.#sockets) socket.close({ code: 1013, reason: 'cut' })
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
