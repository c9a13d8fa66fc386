// A room over Hocuspocus. A page that speaks y-websocket does not load this module.

import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import type { Awareness } from 'y-protocols/awareness'
import { serverAddress } from '../address'
import type { Ledger } from '../ledger'
import type { Wire } from '../session'
import { HocuspocusLink } from './link'
import { HocuspocusSaves } from './saved'

/** Connects a room's document and presence. */
export function openHocuspocus(room: string, awareness: Awareness, ledger: Ledger): Wire {
  const document = awareness.doc
  const saved = new HocuspocusSaves(document, ledger)
  const socket = new HocuspocusProviderWebsocket({
    url: serverAddress('/hocuspocus'),
    WebSocketPolyfill: saved.watched(),
    maxDelay: 2500, // ms between two attempts, as y-websocket has it
  })
  const provider = new HocuspocusProvider({ name: room, document, awareness, websocketProvider: socket })
  saved.follow(socket, provider)
  const link = new HocuspocusLink(socket, provider)
  provider.attach()
  return { link, saved }
}
