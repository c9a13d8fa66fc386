// The room's language: one choice for everybody, kept in the document's map `settings`.

import type * as Y from 'yjs'
import { type CodeEditor, type Language, LANGUAGES } from './code'

/** Keeps a select element, the room's setting and the code editor in step. */
export function languageMenu(select: HTMLSelectElement, doc: Y.Doc, code: CodeEditor): void {
  const settings = doc.getMap('settings')
  let applied: Language = 'markdown'
  const show = () => {
    const language = LANGUAGES.find((l) => l === settings.get('language')) ?? 'markdown'
    select.value = language
    if (language === applied) return
    applied = language
    code.setLanguage(language)
  }
  select.addEventListener('change', () => settings.set('language', select.value))
  settings.observe(show)
  show()
}
