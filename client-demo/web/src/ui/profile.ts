// The person's own button, and the panel to choose a name and a colour.

import { cleanName, COLOURS, type Identity, saveIdentity } from '../identity'
import { initials } from '../session/people'
import { byId, make } from './dom'
import { attachPopover } from './popover'

/** Shows an identity and lets the person change it; every change is kept and passed on. */
export function showProfile(identity: Identity, changed: (identity: Identity) => void): void {
  const button = byId<HTMLButtonElement>('me')
  const panel = byId('me-panel')
  const field = byId<HTMLInputElement>('me-name')
  let now = identity
  const show = () => {
    const avatar = byId('me-avatar')
    avatar.textContent = initials(now.name)
    avatar.style.setProperty('--person', now.color)
    byId('me-label').textContent = now.name
    button.setAttribute('aria-label', `You are ${now.name}. Change name and colour`)
  }
  const change = (next: Identity) => {
    now = next
    saveIdentity(now)
    show()
    changed(now)
  }
  attachPopover(button, panel)
  field.value = now.name
  field.addEventListener('input', () => {
    const name = cleanName(field.value)
    if (name !== '' && name !== now.name) change({ ...now, name })
  })
  field.addEventListener('blur', () => {
    field.value = now.name
  })
  byId('me-form').addEventListener('submit', (event) => {
    event.preventDefault()
    panel.hidePopover()
  })
  byId('me-colours').append(...COLOURS.map((colour) => swatch(colour, now.color, (color) => change({ ...now, color }))))
  show()
}

function swatch(colour: { name: string; value: string }, chosen: string, choose: (value: string) => void): HTMLElement {
  const radio = make('input', '')
  radio.type = 'radio'
  radio.name = 'colour'
  radio.value = colour.value
  radio.checked = colour.value === chosen
  radio.setAttribute('aria-label', colour.name)
  radio.addEventListener('change', () => choose(colour.value))
  const label = make('label', 'swatch', radio)
  label.title = colour.name
  label.style.setProperty('--person', colour.value)
  return label
}
