// The landing page: open a room by name, a new one, or one of those that exist.

import './styles/base.css'
import './styles/landing.css'
import { inventName, nameProblem, roomPath } from './rooms/name'
import { serverAddress } from './session/address'
import { appearanceButton } from './ui/appearance'
import { copyButton } from './ui/copy'
import { byId } from './ui/dom'
import { showLiveRooms, showRecentRooms } from './ui/room-lists'

appearanceButton(byId<HTMLButtonElement>('appearance'))
openForm()
byId('new-room').addEventListener('click', () => location.assign(roomPath(inventName())))
showRecentRooms()
showLiveRooms()
showAddress()

function openForm(): void {
  const field = byId<HTMLInputElement>('name')
  const complaint = byId('name-problem')
  const complain = (problem: string) => {
    complaint.textContent = problem
    field.setAttribute('aria-invalid', String(problem !== ''))
  }
  field.addEventListener('input', () => complain(''))
  byId('open-form').addEventListener('submit', (event) => {
    event.preventDefault()
    const name = field.value.trim()
    const problem = nameProblem(name)
    if (problem === null) location.assign(roomPath(name))
    else complain(problem)
  })
}

function showAddress(): void {
  const text = `new WebsocketProvider('${serverAddress('/yjs')}', 'my-room', doc)`
  byId('address').textContent = text
  copyButton(byId<HTMLButtonElement>('copy-address'), 'copy', 'the line', () => text)
}
