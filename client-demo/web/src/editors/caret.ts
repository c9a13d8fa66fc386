// What another person's cursor looks like, the same in both editors.

import type { Awareness } from 'y-protocols/awareness'
import type { Person } from '../session/people'
import { make } from '../ui/dom'

/** A thin bar in the person's colour. Their name shows above it for some seconds, and again under the pointer. */
export function caretElement(who: Person): HTMLElement {
  // Word joiners keep a line break from falling between the caret and the text around it.
  const caret = make('span', 'caret', '\u2060', make('span', 'caret-name', who.name), '\u2060')
  caret.dataset.client = String(who.id)
  caret.style.setProperty('--person', who.color)
  return caret
}

/** Shows a person's name again whenever they move: an editor may keep a caret's element, whose fading is then over. */
export function showNamesOfMoving(parent: HTMLElement, awareness: Awareness): void {
  awareness.on('change', ({ updated }: { updated: number[] }) => {
    for (const id of updated) {
      const names = parent.querySelectorAll(`.caret[data-client="${id}"] > .caret-name`)
      for (const fading of Array.from(names).flatMap((name) => name.getAnimations())) fading.currentTime = 0
    }
  })
}
