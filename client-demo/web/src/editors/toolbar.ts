// The rich-text editor's toolbar: one tab stop, arrow keys inside (the ARIA toolbar pattern).

import type { ChainedCommands, Editor } from '@tiptap/core'
import { icon, type IconName } from '../ui/icons'
import { shortcut } from '../ui/shortcut'

interface Tool {
  label: string
  icon: IconName
  keys?: string
  run(chain: ChainedCommands): ChainedCommands
  active?(editor: Editor): boolean
  enabled?(editor: Editor): boolean
}

const TOOLS: readonly (readonly Tool[])[] = [
  [
    { label: 'Heading', icon: 'heading1', keys: 'Mod-Alt-1', run: (c) => c.toggleHeading({ level: 1 }), active: (e) => e.isActive('heading', { level: 1 }) },
    { label: 'Subheading', icon: 'heading2', keys: 'Mod-Alt-2', run: (c) => c.toggleHeading({ level: 2 }), active: (e) => e.isActive('heading', { level: 2 }) },
  ],
  [
    { label: 'Bold', icon: 'bold', keys: 'Mod-B', run: (c) => c.toggleBold(), active: (e) => e.isActive('bold') },
    { label: 'Italic', icon: 'italic', keys: 'Mod-I', run: (c) => c.toggleItalic(), active: (e) => e.isActive('italic') },
    { label: 'Strike through', icon: 'strike', keys: 'Mod-Shift-S', run: (c) => c.toggleStrike(), active: (e) => e.isActive('strike') },
    { label: 'Code', icon: 'code', keys: 'Mod-E', run: (c) => c.toggleCode(), active: (e) => e.isActive('code') },
  ],
  [
    { label: 'Bulleted list', icon: 'bullets', keys: 'Mod-Shift-8', run: (c) => c.toggleBulletList(), active: (e) => e.isActive('bulletList') },
    { label: 'Numbered list', icon: 'numbers', keys: 'Mod-Shift-7', run: (c) => c.toggleOrderedList(), active: (e) => e.isActive('orderedList') },
    { label: 'Quote', icon: 'quote', keys: 'Mod-Shift-B', run: (c) => c.toggleBlockquote(), active: (e) => e.isActive('blockquote') },
    { label: 'Code block', icon: 'codeBlock', keys: 'Mod-Alt-C', run: (c) => c.toggleCodeBlock(), active: (e) => e.isActive('codeBlock') },
  ],
  [
    { label: 'Undo my change', icon: 'undo', keys: 'Mod-Z', run: (c) => c.undo(), enabled: (e) => e.can().undo() },
    { label: 'Redo my change', icon: 'redo', keys: 'Mod-Shift-Z', run: (c) => c.redo(), enabled: (e) => e.can().redo() },
  ],
]

/** Fills a toolbar element for an editor and keeps its buttons' states. */
export function fillToolbar(toolbar: HTMLElement, editor: Editor): void {
  const buttons: [HTMLButtonElement, Tool][] = []
  for (const group of TOOLS) {
    const box = document.createElement('div')
    box.className = 'toolbar-group'
    for (const tool of group) {
      const button = toolButton(tool, () => tool.run(editor.chain().focus()).run())
      buttons.push([button, tool])
      box.append(button)
    }
    toolbar.append(box)
  }
  const refresh = () => {
    for (const [button, tool] of buttons) {
      if (tool.active) button.setAttribute('aria-pressed', String(tool.active(editor)))
      if (tool.enabled) button.setAttribute('aria-disabled', String(!tool.enabled(editor)))
    }
  }
  editor.on('transaction', refresh)
  refresh()
  roveFocus(
    toolbar,
    buttons.map(([button]) => button),
  )
}

function toolButton(tool: Tool, run: () => void): HTMLButtonElement {
  const button = document.createElement('button')
  button.type = 'button'
  button.className = 'tool'
  button.setAttribute('aria-label', tool.label)
  button.title = tool.keys === undefined ? tool.label : `${tool.label} (${shortcut(tool.keys)})`
  button.append(icon(tool.icon))
  // The editor keeps its focus and selection while a tool is pressed with the mouse.
  button.addEventListener('mousedown', (event) => event.preventDefault())
  button.addEventListener('click', run)
  return button
}

function roveFocus(toolbar: HTMLElement, buttons: HTMLButtonElement[]): void {
  const reach = (index: number) => {
    for (const [i, button] of buttons.entries()) button.tabIndex = i === index ? 0 : -1
  }
  reach(0)
  toolbar.addEventListener('keydown', (event) => {
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement)
    const steps: Record<string, number> = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }
    const step = steps[event.key]
    if (at < 0 || step === undefined) return
    event.preventDefault()
    const next = (step + buttons.length) % buttons.length
    reach(next)
    buttons[next]!.focus()
  })
}
