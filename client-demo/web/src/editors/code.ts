// The code editor: CodeMirror on the document's text `codemirror`, in the language that the room chose.

import { defaultKeymap, indentWithTab } from '@codemirror/commands'
import { javascript } from '@codemirror/lang-javascript'
import { markdown, markdownLanguage } from '@codemirror/lang-markdown'
import { bracketMatching, foldGutter, foldKeymap, indentOnInput, syntaxHighlighting } from '@codemirror/language'
import { highlightSelectionMatches, searchKeymap } from '@codemirror/search'
import { Compartment, EditorState, type Extension } from '@codemirror/state'
import { drawSelection, dropCursor, EditorView, highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars, keymap, lineNumbers, placeholder, rectangularSelection } from '@codemirror/view'
import { yCollab, yUndoManagerKeymap } from 'y-codemirror.next'
import type { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { codeHighlight, codeTheme } from './code-theme'
import { remoteCursors } from './remote-cursors'

/** The languages to choose from. */
export const LANGUAGES = ['markdown', 'javascript'] as const
export type Language = (typeof LANGUAGES)[number]

const languages: Record<Language, () => Extension> = {
  markdown: () => markdown({ base: markdownLanguage, codeLanguages: (info) => (/^(js|javascript)\b/.test(info) ? javascript().language : null) }),
  javascript: () => javascript(),
}

/** The code editor and what the page's controls do with it. */
export interface CodeEditor {
  view: EditorView
  /** Undoes and redoes this person's changes only. */
  undoManager: Y.UndoManager
  setLanguage(language: Language): void
}

/** Makes the editor inside parent. */
export function codeEditor(parent: HTMLElement, text: Y.Text, awareness: Awareness): CodeEditor {
  const undoManager = new Y.UndoManager(text)
  const language = new Compartment()
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: text.toString(),
      extensions: [
        // Before the default keys: undo must not fall through to anything that knows others' changes.
        keymap.of([...yUndoManagerKeymap, ...defaultKeymap, ...searchKeymap, ...foldKeymap, indentWithTab]),
        // Binding and undo only; the cursors are ours.
        yCollab(text, null, { undoManager }),
        remoteCursors(text, awareness),
        lineNumbers(),
        foldGutter(),
        highlightActiveLineGutter(),
        highlightSpecialChars(),
        drawSelection(),
        dropCursor(),
        rectangularSelection(),
        EditorState.allowMultipleSelections.of(true),
        indentOnInput(),
        bracketMatching(),
        highlightActiveLine(),
        highlightSelectionMatches(),
        EditorView.lineWrapping,
        placeholder('Write Markdown or code…'),
        EditorView.contentAttributes.of({ 'aria-label': 'Code', spellcheck: 'false' }),
        codeTheme,
        syntaxHighlighting(codeHighlight),
        language.of(languages.markdown()),
      ],
    }),
  })
  return {
    view,
    undoManager,
    setLanguage: (name) => view.dispatch({ effects: language.reconfigure(languages[name]()) }),
  }
}
