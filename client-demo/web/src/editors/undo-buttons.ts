// The code editor's undo and redo buttons.

import { icon } from '../ui/icons'
import { shortcut } from '../ui/shortcut'
import type { CodeEditor } from './code'

/** Wires two buttons to a code editor's undo manager. */
export function undoButtons(undo: HTMLButtonElement, redo: HTMLButtonElement, { undoManager, view }: CodeEditor): void {
  wire(undo, 'undo', 'Undo my change', 'Mod-Z', () => undoManager.undo())
  wire(redo, 'redo', 'Redo my change', 'Mod-Shift-Z', () => undoManager.redo())
  const refresh = () => {
    undo.setAttribute('aria-disabled', String(!undoManager.canUndo()))
    redo.setAttribute('aria-disabled', String(!undoManager.canRedo()))
  }
  for (const event of ['stack-item-added', 'stack-item-popped', 'stack-cleared'] as const) undoManager.on(event, refresh)
  refresh()

  function wire(button: HTMLButtonElement, image: 'undo' | 'redo', label: string, keys: string, run: () => void): void {
    button.append(icon(image))
    button.setAttribute('aria-label', label)
    button.title = `${label} (${shortcut(keys)})`
    button.addEventListener('mousedown', (event) => event.preventDefault())
    button.addEventListener('click', () => {
      run()
      view.focus()
    })
  }
}
