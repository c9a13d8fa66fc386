// What another person's cursor looks like, the same in both editors.

import type { Person } from '../session/people'

/** A thin bar in the person's colour with their name above it. */
export function caretElement(who: Person): HTMLElement {
  const caret = document.createElement('span')
  caret.className = 'caret'
  caret.dataset.client = String(who.id)
  // Word joiners keep a line break from falling between the caret and the text around it.
  caret.append('\u2060', document.createElement('span'), '\u2060')
  paintCaret(caret, who)
  return caret
}

/** Gives an existing caret a person's present name and colour. */
export function paintCaret(caret: HTMLElement, who: Person): void {
  const label = caret.querySelector('span')!
  label.className = 'caret-name'
  label.textContent = who.name
  caret.style.setProperty('--person', who.color)
}
