// Going to where somebody writes.

import type { Editor } from '@tiptap/core'
import { EditorView } from '@codemirror/view'
import type { Awareness } from 'y-protocols/awareness'
import type * as Y from 'yjs'
import { cursorOf, resolve } from '../session/cursor'
import type { Pane } from '../ui/view'
import type { CodeEditor } from './code'

/** A function that shows a person's cursor, by client id. It does nothing for somebody who has not been writing. */
export function goToPerson(doc: Y.Doc, awareness: Awareness, code: CodeEditor, rich: Editor, reveal: (pane: Pane) => void): (id: number) => void {
  return (id) => {
    const cursor = cursorOf(awareness.getStates().get(id) ?? {})
    const at = cursor && resolve(doc, cursor.head)
    if (!at) return
    if (at.type === doc.getText('codemirror')) {
      reveal('code')
      code.view.dispatch({ effects: EditorView.scrollIntoView(at.index, { y: 'center' }) })
    } else {
      reveal('document')
      const caret = rich.view.dom.querySelector(`.caret[data-client="${id}"]`)
      caret?.scrollIntoView({ block: 'center', behavior: 'smooth' })
    }
  }
}
