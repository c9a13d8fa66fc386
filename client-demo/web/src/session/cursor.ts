// A person's cursor in an awareness state: two relative positions in one of the document's types.
// Both editors publish it under the same field, so that a person has one cursor, where they type.

import * as Y from 'yjs'

/** A selection: where it started and where its moving end is. */
export interface Cursor {
  anchor: Y.RelativePosition
  head: Y.RelativePosition
}

/** The cursor of a state, or null if it has none or one that is not well formed. */
export function cursorOf(state: Record<string, unknown>): Cursor | null {
  if (typeof state.cursor !== 'object' || state.cursor === null) return null
  const { anchor, head } = state.cursor as Record<string, unknown>
  if (!isPosition(anchor) || !isPosition(head)) return null
  return { anchor: Y.createRelativePositionFromJSON(anchor), head: Y.createRelativePositionFromJSON(head) }
}

/** The type that a position is in, with the index, or null if it cannot be resolved in this document yet. */
export function resolve(doc: Y.Doc, position: Y.RelativePosition): Y.AbsolutePosition | null {
  // A root name that this page does not use would be created by looking it up.
  if (position.item === null && position.tname !== null && !doc.share.has(position.tname)) return null
  return Y.createAbsolutePositionFromRelativePosition(position, doc)
}

function isPosition(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { type, tname, item, assoc } = value as Record<string, unknown>
  return (
    isIdOrNone(type) &&
    isIdOrNone(item) &&
    (tname === undefined || tname === null || typeof tname === 'string') &&
    (assoc === undefined || assoc === null || typeof assoc === 'number')
  )
}

function isIdOrNone(value: unknown): boolean {
  if (value === undefined || value === null) return true
  if (typeof value !== 'object') return false
  const { client, clock } = value as Record<string, unknown>
  return Number.isSafeInteger(client) && Number.isSafeInteger(clock) && (clock as number) >= 0
}
