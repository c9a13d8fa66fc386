// The other people's cursors and selections in the code editor, and one's own, published.
//
// y-codemirror.next brings its own, but that one puts the colours of other browsers into style attributes as they
// come and keeps showing a person's old name; here both are taken from `people`, and a label follows a rename.

import { Annotation, type Range, RangeSet } from '@codemirror/state'
import { Decoration, type DecorationSet, EditorView, ViewPlugin, type ViewUpdate, WidgetType } from '@codemirror/view'
import type { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { type Cursor, cursorOf, resolve } from '../session/cursor'
import { type Person, person } from '../session/people'
import { caretElement } from './caret'

const peopleMoved = Annotation.define<true>()

/** The extension for an editor that is bound to text. */
export function remoteCursors(text: Y.Text, awareness: Awareness) {
  return ViewPlugin.define((view) => new RemoteCursors(view, text, awareness), { decorations: (p) => p.decorations })
}

class RemoteCursors {
  decorations: DecorationSet = RangeSet.empty
  readonly #listen: (change: { added: number[]; updated: number[]; removed: number[] }) => void

  constructor(
    view: EditorView,
    readonly text: Y.Text,
    readonly awareness: Awareness,
  ) {
    this.#listen = ({ added, updated, removed }) => {
      const others = [...added, ...updated, ...removed].some((id) => id !== awareness.clientID)
      if (others) view.dispatch({ annotations: peopleMoved.of(true) })
    }
    awareness.on('change', this.#listen)
  }

  destroy(): void {
    this.awareness.off('change', this.#listen)
  }

  update(update: ViewUpdate): void {
    if (update.selectionSet || update.docChanged || update.focusChanged) this.#publish(update)
    const moved = update.transactions.some((t) => t.annotation(peopleMoved))
    if (moved || update.docChanged) this.decorations = this.#decorate(update.state.doc.length)
  }

  #publish({ view, state }: ViewUpdate): void {
    const known = cursorOf(this.awareness.getLocalState() ?? {})
    if (view.root.activeElement !== view.contentDOM) {
      // As the rich-text binding does: a cursor goes when its editor is left, unless the other editor has it already.
      if (known !== null && resolve(this.text.doc!, known.head)?.type === this.text) this.awareness.setLocalStateField('cursor', null)
      return
    }
    const { anchor, head } = state.selection.main
    const cursor: Cursor = {
      anchor: Y.createRelativePositionFromTypeIndex(this.text, anchor),
      head: Y.createRelativePositionFromTypeIndex(this.text, head),
    }
    if (known !== null && same(known.anchor, cursor.anchor) && same(known.head, cursor.head)) return
    this.awareness.setLocalStateField('cursor', cursor)
  }

  #decorate(length: number): DecorationSet {
    const ranges: Range<Decoration>[] = []
    for (const [id, state] of this.awareness.getStates()) {
      if (id === this.awareness.clientID) continue
      const cursor = cursorOf(state)
      const anchor = cursor && resolve(this.text.doc!, cursor.anchor)
      const head = cursor && resolve(this.text.doc!, cursor.head)
      if (!anchor || !head || anchor.type !== this.text || head.type !== this.text) continue
      const who = person(this.awareness, id, state)
      const from = Math.min(anchor.index, head.index, length)
      const to = Math.min(Math.max(anchor.index, head.index), length)
      if (from < to) ranges.push(selection(who.color).range(from, to))
      const side = head.index > anchor.index ? -1 : 1
      ranges.push(Decoration.widget({ widget: new Caret(who), side }).range(Math.min(head.index, length)))
    }
    return Decoration.set(ranges, true)
  }
}

function selection(color: string): Decoration {
  return Decoration.mark({ attributes: { style: `background-color: ${color}38` } })
}

function same(a: Y.RelativePosition, b: Y.RelativePosition): boolean {
  return Y.compareRelativePositions(a, b)
}

class Caret extends WidgetType {
  constructor(readonly who: Person) {
    super()
  }

  override eq(other: Caret): boolean {
    return other.who.id === this.who.id && other.who.name === this.who.name && other.who.color === this.who.color
  }

  override toDOM(): HTMLElement {
    return caretElement(this.who)
  }

  override ignoreEvent(): boolean {
    return true
  }
}
