// What another person's cursor looks like, the same in both editors.

import type { Person } from '../session/people'
import { make } from '../ui/dom'

/** A thin bar in the person's colour with their name above it. */
export function caretElement(who: Person): HTMLElement {
  // Word joiners keep a line break from falling between the caret and the text around it.
  const caret = make('span', 'caret', '\u2060', make('span', 'caret-name', who.name), '\u2060')
  caret.dataset.client = String(who.id)
  caret.style.setProperty('--person', who.color)
  return caret
}
