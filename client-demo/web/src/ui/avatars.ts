// Who is here: one avatar a person. Choosing one goes to where they are writing.

import type { Session } from '../session/session'
import { initials, people, type Person } from '../session/people'
import { byId, make, makeButton } from './dom'

const SHOWN = 5

/** Shows everyone in the room but oneself, who has an own button. */
export function showPeople(session: Session, goTo: (id: number) => void): void {
  const { awareness } = session
  const list = byId<HTMLUListElement>('people')
  let drawn = ''
  const show = () => {
    const others = people(awareness).filter((p) => !p.isMe)
    const key = JSON.stringify(others)
    if (key === drawn) return
    drawn = key
    byId('people-count').textContent = others.length === 0 ? 'Only you here' : `${others.length + 1} people here`
    const shown = others.slice(0, SHOWN).map((who) => make('li', '', avatarButton(who, goTo)))
    const rest = others.slice(SHOWN)
    if (rest.length > 0) {
      const more = make('li', 'avatar more', `+${rest.length}`)
      more.title = rest.map((who) => who.name).join(', ')
      shown.push(more)
    }
    list.replaceChildren(...shown)
  }
  awareness.on('change', show)
  show()
}

function avatarButton(who: Person, goTo: (id: number) => void): HTMLButtonElement {
  const button = makeButton('avatar', `Go to ${who.name}`, () => goTo(who.id), initials(who.name))
  button.dataset.client = String(who.id)
  button.dataset.name = who.name
  button.style.setProperty('--person', who.color)
  return button
}
