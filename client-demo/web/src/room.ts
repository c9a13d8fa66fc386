// The room page: one document, two editors, the people in it.

import './styles/base.css'
import './styles/room.css'
import './styles/editors.css'
import * as Y from 'yjs'
import { showNamesOfMoving } from './editors/caret'
import { codeEditor } from './editors/code'
import { goToPerson } from './editors/goto'
import { languageMenu } from './editors/language-menu'
import { richEditor } from './editors/rich'
import { fillToolbar } from './editors/toolbar'
import { undoButtons } from './editors/undo-buttons'
import { loadIdentity } from './identity'
import { nameFromPath, nameProblem, roomPath } from './rooms/name'
import { rememberRoom } from './rooms/recent'
import { protocolOf } from './session/protocol'
import { openRoom, type Session } from './session/session'
import { appearanceButton } from './ui/appearance'
import { showPeople } from './ui/avatars'
import { copyButton } from './ui/copy'
import { byId } from './ui/dom'
import { showProfile } from './ui/profile'
import { showStatus } from './ui/status'
import { layoutButtons } from './ui/view'

declare global {
  interface Window {
    /** For tests and the curious: the live objects of this page. */
    __weft?: Pick<Session, 'doc' | 'awareness' | 'link' | 'saved'> & { stateVector(): Uint8Array }
  }
}

start()

function start(): void {
  appearanceButton(byId<HTMLButtonElement>('appearance'))
  const room = nameFromPath(location.pathname.replace(/\/+$/, ''))
  const problem = room === null ? 'This link is damaged.' : nameProblem(room)
  if (room === null || problem !== null) showProblem(problem ?? '')
  else void visit(room)
}

async function visit(room: string): Promise<void> {
  // One room, one address: also after a link with a trailing slash or needless escapes.
  history.replaceState(history.state, '', roomPath(room) + location.search + location.hash)
  document.title = `${room} · Weft`
  byId('room-name').textContent = room
  byId('room-name').title = room
  rememberRoom(room)

  const identity = loadIdentity()
  const session = await openRoom(room, identity, protocolOf(new URL(location.href))).catch(showUnloaded)
  if (!session) return
  const { doc, awareness, link, saved } = session
  window.__weft = { doc, awareness, link, saved, stateVector: () => Y.encodeStateVector(doc) }

  const rich = richEditor(byId('document-editor'), doc, awareness)
  fillToolbar(byId('document-toolbar'), rich)
  const code = codeEditor(byId('code-editor'), doc.getText('codemirror'), awareness)
  showNamesOfMoving(byId('panes'), awareness)
  languageMenu(byId<HTMLSelectElement>('language'), doc, code)
  undoButtons(byId<HTMLButtonElement>('code-undo'), byId<HTMLButtonElement>('code-redo'), code)

  const reveal = layoutButtons()
  showStatus(session)
  showPeople(session, goToPerson(doc, awareness, code, rich, reveal))
  showProfile(identity, session.announce)
  copyButton(byId<HTMLButtonElement>('share'), 'link', 'the link to this room', () => location.origin + roomPath(room))
}

function showProblem(problem: string): void {
  byId('room-name').textContent = 'No such room'
  showInstead(problem, 'All rooms', () => location.assign('/'))
}

function showUnloaded(): void {
  showInstead('A part of this page could not be loaded.', 'Try again', () => location.reload())
}

// A notice in place of the editors.
function showInstead(words: string, way: string, take: () => void): void {
  document.body.dataset.problem = ''
  byId('notice').hidden = false
  byId('notice-text').textContent = words
  const action = byId<HTMLButtonElement>('notice-action')
  action.textContent = way
  action.onclick = take
}
