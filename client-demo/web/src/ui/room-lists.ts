// The landing page's two lists: rooms visited from this browser, and rooms on the server.

import { type LiveRoom, liveRooms } from '../rooms/live'
import { nameProblem, roomPath } from '../rooms/name'
import { forgetRoom, recentRooms, type Visit } from '../rooms/recent'
import { ago, size } from './amounts'
import { byId, make, makeButton } from './dom'
import { icon } from './icons'

const REFRESH_MS = 10_000
const LISTED = 12

/** Shows the visited rooms; each can be taken off the list. */
export function showRecentRooms(): void {
  const visits = recentRooms()
  byId('recent').hidden = visits.length === 0
  byId('recent-list').replaceChildren(...visits.map(recentEntry))
}

/** Shows the server's rooms and keeps them fresh while the page can be seen. */
export function showLiveRooms(): void {
  let asking = false
  let timer: ReturnType<typeof setInterval> | undefined
  const refresh = async () => {
    if (asking) return
    asking = true
    try {
      drawLive(await liveRooms(LISTED, AbortSignal.timeout(REFRESH_MS)))
    } catch {
      drawUnreachable()
    } finally {
      asking = false
    }
  }
  const follow = () => {
    clearInterval(timer)
    if (document.hidden) return
    timer = setInterval(refresh, REFRESH_MS)
    void refresh()
  }
  document.addEventListener('visibilitychange', follow)
  follow()
}

function drawLive(rooms: LiveRoom[]): void {
  const list = byId('live-list')
  const note = byId('live-note')
  list.replaceChildren(...rooms.map(liveEntry))
  note.hidden = rooms.length > 0 && rooms.length < LISTED
  note.textContent = rooms.length === 0 ? 'No rooms yet. Open the first one.' : `At most ${LISTED} rooms are listed here.`
}

function drawUnreachable(): void {
  byId('live-list').replaceChildren()
  byId('live-note').hidden = false
  byId('live-note').textContent = 'The server does not answer.'
}

function recentEntry({ room, at }: Visit): HTMLElement {
  const forget = makeButton('quiet', `Remove ${room} from this list`, () => {
    forgetRoom(room)
    showRecentRooms()
  })
  forget.append(icon('close'))
  return make('li', '', roomLink(room, ago(at)), forget)
}

function liveEntry({ name, people, bytes }: LiveRoom): HTMLElement {
  const parts = [people === 0 ? '' : people === 1 ? '1 person' : `${people} people`, bytes ? size(bytes) : '']
  const detail = parts.filter((p) => p !== '').join(' · ')
  // Other editors may use names that do not fit in the address of a page.
  const problem = nameProblem(name)
  const entry = problem === null ? roomLink(name, detail) : make('span', 'room', ...roomWords(name, detail))
  if (problem !== null) entry.title = `This demo cannot open the room. ${problem}`
  entry.dataset.people = String(people)
  return make('li', '', entry)
}

function roomLink(room: string, detail: string): HTMLAnchorElement {
  const link = make('a', 'room', ...roomWords(room, detail))
  link.href = roomPath(room)
  return link
}

function roomWords(room: string, detail: string): HTMLElement[] {
  return [make('span', 'room-name', room), make('span', 'room-detail', detail)]
}
