// A room over y-websocket.

import { WebsocketProvider } from 'y-websocket'
import type { Awareness } from 'y-protocols/awareness'
import type { Ledger } from '../ledger'
import type { Wire } from '../session'
import { encodeName } from '../../rooms/name'
import { serverAddress } from '../address'
import { YWebsocketLink } from './link'
import { YWebsocketSaves } from './saved'

/** Connects a room's document and presence. */
export function openYWebsocket(room: string, awareness: Awareness, ledger: Ledger): Wire {
  const { doc } = awareness
  // Tabs of one browser meet on the server, like everybody else: one way for a change to travel, one order.
  const provider = new WebsocketProvider(serverAddress('/yjs'), encodeName(room), doc, { awareness, disableBc: true })
  return { link: new YWebsocketLink(provider), saved: new YWebsocketSaves(doc, provider, ledger) }
}
