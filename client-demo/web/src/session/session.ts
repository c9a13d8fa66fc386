// One visit to a room: the document, its link to the server and its copy in this browser.

import { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'
import type { Identity } from '../identity'
import { Ledger } from './ledger'
import type { Link } from './link'
import { LocalCopy } from './local-copy'
import type { Protocol } from './protocol'
import type { SaveTracker } from './saved'
import { openYWebsocket } from './y-websocket/y-websocket'

/** What a protocol makes of a room: everything above speaks to it through these two. */
export interface Wire {
  link: Link
  saved: SaveTracker
}

/** Everything that the page shows of a room. */
export interface Session extends Wire {
  room: string
  doc: Y.Doc
  awareness: Awareness
  protocol: Protocol
  copy: LocalCopy
  /** Shows this person to the others. */
  announce(identity: Identity): void
}

/** Opens a room. The session lives as long as the page. It rejects if the code of the protocol cannot be loaded. */
export async function openRoom(room: string, identity: Identity, protocol: Protocol): Promise<Session> {
  const open = protocol === 'hocuspocus' ? (await import('./hocuspocus/hocuspocus')).openHocuspocus : openYWebsocket
  const doc = new Y.Doc()
  const awareness = new Awareness(doc)
  let me = identity
  const announce = (who: Identity) => {
    me = who
    awareness.setLocalState({ ...awareness.getLocalState(), user: { ...who } })
  }
  announce(identity)
  // The Hocuspocus provider takes one out of the room when the page is left, and the browser may bring the page back as it was.
  addEventListener('pageshow', ({ persisted }) => {
    if (persisted) announce(me)
  })
  const { link, saved } = open(room, awareness, new Ledger(room))
  meetAgain(link, awareness)
  const copy = new LocalCopy(doc, room)
  void copy.read.then(() => saved.localCopyRead())
  return { room, doc, awareness, protocol, link, saved, copy, announce }
}

// A page that loses its link forgets the others' states, but not their clocks, and would ignore a state with an old clock
// until its owner moves or 15 s have passed (y-protocols/awareness.js, v1.0.7). So the clocks are forgotten too, and one's
// own state gets a new one whenever the link is back, for pages that keep clocks.
function meetAgain(link: Link, awareness: Awareness): void {
  // Providers take the others out when the link is gone, and have sent this on, where they do, before this listener's turn.
  awareness.on('update', ({ removed }: { removed: number[] }) => {
    if (link.state.state === 'online') return
    for (const id of removed) if (id !== awareness.clientID) awareness.meta.delete(id)
  })
  let before = link.state.state
  link.addEventListener('change', () => {
    const { state } = link.state
    if (state === 'online' && state !== before) awareness.setLocalState(awareness.getLocalState())
    before = state
  })
}
