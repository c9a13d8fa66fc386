// The rich-text editor: Tiptap on the document's XML fragment `default`.

import { Editor } from '@tiptap/core'
import { Collaboration } from '@tiptap/extension-collaboration'
import { CollaborationCaret } from '@tiptap/extension-collaboration-caret'
import { StarterKit } from '@tiptap/starter-kit'
import type { Awareness } from 'y-protocols/awareness'
import type * as Y from 'yjs'
import { type Person, trustedAwareness } from '../session/people'
import { caretElement } from './caret'

/** Makes the editor inside parent. Undo and redo are the collaboration extension's: this person's changes only. */
export function richEditor(parent: HTMLElement, doc: Y.Doc, awareness: Awareness): Editor {
  return new Editor({
    element: parent,
    extensions: [
      StarterKit.configure({ undoRedo: false, link: { openOnClick: false } }),
      Collaboration.configure({ document: doc, field: 'default' }),
      CollaborationCaret.configure({
        provider: { awareness: trustedAwareness(awareness) },
        user: awareness.getLocalState()?.user,
        render: (who) => caretElement(who as Person),
        selectionRender: (who) => ({ style: `background-color: ${(who as Person).color}38` }),
      }),
    ],
    editorProps: {
      attributes: { class: 'prose', role: 'textbox', 'aria-multiline': 'true', 'aria-label': 'Document' },
    },
  })
}
