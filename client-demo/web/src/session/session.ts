// One visit to a room: the document, its link to the server and its copy in this browser.

import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import type { Identity } from '../identity'
import { encodeName } from '../rooms/name'
import { serverAddress } from './address'
import { Connection } from './connection'
import { Ledger } from './ledger'
import { LocalCopy } from './local-copy'
import { SaveTracker } from './saved'

/** Everything that the page shows of a room. */
export interface Session {
  room: string
  doc: Y.Doc
  provider: WebsocketProvider
  connection: Connection
  saved: SaveTracker
  copy: LocalCopy
  /** Shows this person to the others. */
  announce(identity: Identity): void
}

/** Opens a room. The session lives as long as the page. */
export function openRoom(room: string, identity: Identity): Session {
  const doc = new Y.Doc()
  // Tabs of one browser meet on the server, like everybody else: one way for a change to travel, one order.
  const provider = new WebsocketProvider(serverAddress(), encodeName(room), doc, { disableBc: true })
  const saved = new SaveTracker(doc, provider, new Ledger(room))
  const announce = (who: Identity) => provider.awareness.setLocalStateField('user', { ...who })
  announce(identity)
  // After a restart of the server everybody reconnects and forgets the others, but not their clocks: a state with an
  // old clock would be ignored until its owner moves (y-protocols/awareness.js, v1.0.7). So it is given a new one.
  provider.on('sync', (synced: boolean) => {
    if (synced) provider.awareness.setLocalState(provider.awareness.getLocalState())
  })
  const copy = new LocalCopy(doc, room)
  void copy.read.then(() => saved.localCopyRead())
  return { room, doc, provider, connection: new Connection(provider), saved, copy, announce }
}
