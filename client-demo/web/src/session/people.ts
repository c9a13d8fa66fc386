// The people in a room, read from awareness states. Those come from other browsers and are not trusted:
// names are cleaned and clipped, and a colour is six hexadecimal digits or is replaced.

import type { Awareness } from 'y-protocols/awareness'
import { COLOURS, cleanName } from '../identity'
import { cursorOf } from './cursor'

/** One connection's person. The id is the Yjs client id. */
export interface Person {
  id: number
  name: string
  color: string
  isMe: boolean
}

/** Everyone who announced themselves, oneself first and the others in a stable order. */
export function people(awareness: Awareness): Person[] {
  const all = Array.from(awareness.getStates(), ([id, state]) => person(awareness, id, state))
  return all.sort((a, b) => Number(b.isMe) - Number(a.isMe) || a.id - b.id)
}

/** What one awareness state says about its person. */
export function person(awareness: Awareness, id: number, state: Record<string, unknown>): Person {
  const user = (typeof state.user === 'object' && state.user !== null ? state.user : {}) as Record<string, unknown>
  return {
    id,
    name: (typeof user.name === 'string' && cleanName(user.name)) || 'Guest',
    color: typeof user.color === 'string' && /^#[0-9a-f]{6}$/i.test(user.color) ? user.color : COLOURS[id % COLOURS.length]!.value,
    isMe: id === awareness.clientID,
  }
}

/** Up to two letters for an avatar. */
export function initials(name: string): string {
  const words = name.split(' ').filter((w) => w !== '')
  const letters = words.length > 1 ? [words[0]!, words[words.length - 1]!] : [words[0] ?? '?']
  return letters.map((w) => Array.from(w)[0]!.toLocaleUpperCase()).join('')
}

/** The awareness interface that the rich-text binding uses, with every person as `person` sees them and well-formed cursors only. */
export function trustedAwareness(awareness: Awareness): Pick<Awareness, 'doc' | 'clientID' | 'states' | 'getStates' | 'getLocalState' | 'setLocalStateField' | 'on' | 'off'> {
  const getStates = () =>
    new Map(
      Array.from(awareness.getStates(), ([id, state]) => {
        return [id, { user: person(awareness, id, state), cursor: cursorOf(state) }]
      }),
    )
  return {
    doc: awareness.doc,
    clientID: awareness.clientID,
    get states() {
      return getStates()
    },
    getStates,
    getLocalState: () => {
      const state = awareness.getLocalState()
      return state && { ...state, cursor: cursorOf(state) }
    },
    setLocalStateField: (field, value) => awareness.setLocalStateField(field, value),
    on: (name, f) => awareness.on(name, f),
    off: (name, f) => awareness.off(name, f),
  }
}
