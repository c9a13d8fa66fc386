// The status button and its panel: the link to the server, and whether all is saved.

import type { Link, LinkState } from '../session/link'
import type { CopyState } from '../session/local-copy'
import { PROTOCOLS, type Protocol, withProtocol } from '../session/protocol'
import type { SaveState } from '../session/saved'
import type { Session } from '../session/session'
import { announce, byId, make } from './dom'
import { attachPopover } from './popover'

const codeTooLarge = 4413 // the close code of changes larger than the server takes

/** Shows a session's link and saved state, and lets the person leave and come back. */
export function showStatus(session: Session): void {
  const { link, saved, copy } = session
  const button = byId<HTMLButtonElement>('status')
  const action = byId<HTMLButtonElement>('status-action')
  attachPopover(button, byId('status-panel'))
  byId('status-protocol').replaceChildren('Protocol: ', ...protocolWords(session.protocol))
  let announced: LinkState['state'] = 'connecting'
  const show = () => {
    const now = link.state
    const state = saved.state
    button.dataset.link = now.state
    button.dataset.saved = state.phase
    button.toggleAttribute('data-unsaved', state.unsaved > 0)
    byId('status-link').textContent = linkWord(now)
    byId('status-saved').replaceChildren(...savedWords(now, state, copy.state))
    byId('status-explained').textContent = explain(now, state, copy.state)
    action.textContent = now.state === 'offline' ? 'Reconnect now' : 'Work offline'
    showNotice(now, state, copy.state, link)
    if (now.state !== announced) announce(linkWord(now))
    announced = now.state
  }
  action.addEventListener('click', () => {
    if (link.state.state === 'offline') link.reconnect()
    else link.workOffline()
  })
  link.addEventListener('change', show)
  saved.addEventListener('change', show)
  copy.addEventListener('change', show)
  // The browser asks before it closes a page that holds the only copy of something.
  addEventListener('beforeunload', (event) => {
    if (copy.state !== 'stored' && saved.state.unsaved > 0) event.preventDefault()
  })
  show()
}

// The protocols, of which the others are links to the same page speaking them.
function protocolWords(spoken: Protocol): (Node | string)[] {
  return PROTOCOLS.flatMap((protocol) => {
    const name = { 'y-websocket': 'y-websocket', hocuspocus: 'Hocuspocus' }[protocol]
    if (protocol === spoken) return [' / ', make('strong', '', name)]
    const other = make('a', '', name)
    other.href = withProtocol(new URL(location.href), protocol).href
    other.title = `Reload this page speaking ${name}`
    return [' / ', other]
  }).slice(1)
}

function linkWord(link: LinkState): string {
  return { connecting: 'Connecting…', online: 'Online', offline: 'Offline' }[link.state]
}

function savedWords(link: LinkState, { phase, unsaved, overdue, denied }: SaveState, copy: CopyState): (Node | string)[] {
  if (phase === 'saved') return ['Saved']
  if (link.state === 'connecting') return []
  if (link.state === 'offline') {
    if (unsaved > 0 && copy === 'storing') return [`keeping ${count(unsaved)}…`]
    // Narrow windows leave out where.
    const where = make('span', 'where', copy === 'none' ? ' kept in this tab only' : ' kept in this browser')
    return [unsaved === 0 ? 'edits' : count(unsaved), where]
  }
  return [overdue || denied !== null ? 'Not confirmed yet' : 'Saving…']
}

function explain(link: LinkState, state: SaveState, copy: CopyState): string {
  if (link.state === 'offline') {
    const why = { unreachable: 'The server cannot be reached; this page keeps trying.', chosen: 'You are working offline.', refused: 'The server ended this visit.' }[link.why]
    const kept = copy === 'none' ? 'This browser keeps no copy: leave this tab open until you are back.' : 'What you write is kept in this browser and sent when you are back.'
    return `${why} ${kept}`
  }
  if (state.phase === 'saved') {
    const took = state.confirmedIn === null ? '' : ` The server confirmed the last of it ${milliseconds(state.confirmedIn)} after it was sent.`
    return `Everything you wrote is on the server’s disk.${took}`
  }
  if (state.denied !== null) return deniedWords(state.denied, copy)
  if (state.overdue) return 'The server has not confirmed your latest changes yet.'
  return 'Waiting for the server to confirm your latest changes.'
}

function showNotice(now: LinkState, { denied }: SaveState, copy: CopyState, link: Link): void {
  const refused = now.state === 'offline' && now.why === 'refused'
  let words = ''
  if (refused) words = refusedWords(now.code, now.reason)
  else if (denied !== null) words = deniedWords(denied, copy)
  byId('notice').hidden = words === ''
  // An alert is read aloud whenever its text is set.
  if (byId('notice-text').textContent !== words) byId('notice-text').textContent = words
  const action = byId<HTMLButtonElement>('notice-action')
  action.hidden = !refused
  action.onclick = () => link.reconnect()
}

// The way out for a change that is too large was tried: after an undo alone the change would still be sent, because it
// is kept for redo; after a reload only what is left of it is.
function refusedWords(code: number | null, reason: string): string {
  if (code !== codeTooLarge) return `The server ended this visit: ${reason}`
  return `Your change is larger than this server takes: ${reason}. “Try again” will not help by itself: undo the change, then reload this page.`
}

function deniedWords(reason: string, copy: CopyState): string {
  const kept = copy === 'none' ? 'this tab only: leave it open' : 'this browser'
  return `The server does not take changes: ${reason}. What you write is kept in ${kept}.`
}

function count(changes: number): string {
  return changes === 1 ? '1 change' : `${changes.toLocaleString('en')} changes`
}

function milliseconds(ms: number): string {
  return ms < 1 ? 'under a millisecond' : `${Math.round(ms)} ms`
}
