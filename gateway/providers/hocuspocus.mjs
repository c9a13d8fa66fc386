// The real Hocuspocus providers, unmodified, three versions of them, behind one face.
import { Buffer } from 'node:buffer'
import WebSocket from 'ws'
import { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'
import * as hocuspocus2 from 'hocuspocus2'
import * as hocuspocus3 from 'hocuspocus3'
import * as hocuspocus4 from 'hocuspocus4'
import { on, until } from './harness.mjs'

export const versions = [
  { name: '2.15.3', major: 2, ...hocuspocus2 },
  { name: '3.4.4', major: 3, ...hocuspocus3 },
  { name: '4.8.0', major: 4, ...hocuspocus4 }
]

let probes = 0

/**
 * The WebSocket of the tests. A provider that is destroyed while it connects takes its listeners off before it closes the
 * socket, whose error would then end the process.
 */
class QuietWebSocket extends WebSocket {
  constructor (...args) {
    super(...args)
    this.on('error', () => {})
  }
}

/** A socket that documents share. */
export class Socket {
  constructor (t, version, server, options = {}) {
    this.version = version
    this.closes = []
    this.provider = new version.HocuspocusProviderWebsocket({
      url: server.hocuspocus,
      WebSocketPolyfill: QuietWebSocket,
      delay: 50, // the defaults wait a second and more before they come back
      minDelay: 50,
      maxDelay: 500,
      onClose: ({ event }) => this.closes.push(event.code),
      ...options
    })
    t.after(() => this.provider.destroy())
  }

  get open () { return this.provider.webSocket?.readyState === WebSocket.OPEN }
}

/** One user: a document, and a provider on a socket of its own or a shared one. */
export class User {
  constructor (t, version, server, room, { socket, token = 'anything', ...options } = {}) {
    this.version = version
    this.room = room
    this.socket = socket ?? new Socket(t, version, server)
    this.doc = new Y.Doc()
    this.text = this.doc.getText('codemirror')
    this.id = this.doc.clientID
    this.refusals = [] // reasons
    this.ends = [] // reasons of a CLOSE for this document
    this.stateless = []
    this.provider = new version.HocuspocusProvider({
      name: room,
      document: this.doc,
      awareness: new Awareness(this.doc),
      broadcast: false, // 2.15 talks to its neighbours in this process otherwise
      websocketProvider: this.socket.provider,
      token,
      ...options
    })
    this.awareness = this.provider.awareness
    this.provider.on('authenticationFailed', ({ reason }) => this.refusals.push(reason))
    this.provider.on('stateless', ({ payload }) => this.stateless.push(payload))
    this.provider.on('close', data => { if (data.event?.code === 1000) this.ends.push(data.event.reason) })
    this.provider.attach?.() // since 3.0, where the socket is not the provider's own
    t.after(() => {
      this.provider.destroy()
      this.doc.destroy()
    })
  }

  get unsynced () { return this.provider.unsyncedChanges }
  get scope () { return this.provider.authorizedScope }

  synced () { return until(`sync of ${this.room}`, () => this.provider.isSynced, check => on(this.provider, 'synced', check)) }

  /** Resolves when the provider believes that everything is saved. */
  saved () {
    return until(`nothing unsynced, ${this.unsynced} are`, () => this.unsynced === 0, check => on(this.provider, 'unsyncedChanges', check))
  }

  reads (want) {
    return until(`the text ${JSON.stringify(want)}, have ${JSON.stringify(this.text.toString())}`,
      () => this.text.toString() === want, check => on(this.doc, 'update', check))
  }

  sees (what, id, cond) {
    return until(what, () => cond(this.awareness.getStates().get(id)), check => on(this.awareness, 'change', check))
  }

  /** Resolves when the room has sent back a state that was announced behind everything else. */
  async answered () {
    const probe = `"probe${++probes}"`
    let seen = false
    const stop = on(this.provider, 'message', ({ event }) => { seen ||= Buffer.from(event.data).includes(probe) })
    this.awareness.setLocalStateField('probe', JSON.parse(probe))
    await until('an answer', () => seen, check => on(this.provider, 'message', check))
    stop()
  }

  get address () { return this.provider.effectiveName ?? this.room }

  refused () { return until('a refusal', () => this.refusals.length > 0, check => on(this.provider, 'authenticationFailed', check)) }

  /** Enters again after a refusal, with another token. */
  retry (token) {
    this.provider.configuration.token = token
    if (this.version.major === 2) {
      this.provider.connect()
    } else {
      this.provider.detach()
      this.provider.attach()
    }
  }
}

/** A frame: the address, the type, and bytes. */
export function frame (address, type, ...bytes) {
  const name = Buffer.from(address)
  return Buffer.concat([Buffer.from([name.length]), name, Buffer.from([type, ...bytes])])
}
