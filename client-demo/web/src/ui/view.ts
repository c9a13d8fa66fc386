// Which editors are shown: the document, the code, or both side by side where there is room for both.

import { load, save } from '../storage'
import { byId } from './dom'

/** One pane or both. On a narrow window `both` shows the pane used last. */
export type View = 'document' | 'code' | 'both'
export type Pane = Exclude<View, 'both'>

const KEY = 'weft.view'
const WIDE = '(min-width: 960px)'

/** Wires the layout buttons. The function it returns makes sure that a pane can be seen. */
export function layoutButtons(): (pane: Pane) => void {
  const wide = matchMedia(WIDE)
  const buttons = Array.from(byId('views').querySelectorAll<HTMLButtonElement>('button'))
  let view: View = known(load(KEY)) ?? 'both'
  let lastPane: Pane = view === 'both' ? 'document' : view
  const show = () => {
    const shown = view === 'both' && !wide.matches ? lastPane : view
    byId('panes').dataset.view = shown
    for (const button of buttons) button.setAttribute('aria-pressed', String(button.dataset.view === shown))
  }
  const choose = (next: View) => {
    view = next
    if (next !== 'both') lastPane = next
    save(KEY, view)
    show()
  }
  for (const button of buttons) button.addEventListener('click', () => choose(known(button.dataset.view) ?? 'both'))
  wide.addEventListener('change', show)
  show()
  return (pane) => {
    const shown = byId('panes').dataset.view
    if (shown !== 'both' && shown !== pane) choose(pane)
  }
}

function known(value: unknown): View | undefined {
  return (['document', 'code', 'both'] as const).find((v) => v === value)
}
