// Who the person at this browser is: a display name and a colour, chosen by them and kept in local storage.

import { load, save } from './storage'

/** A name (1 to 40 characters) and a colour of COLOURS. */
export interface Identity {
  name: string
  color: string
}

/** The colours to choose from. Each carries white text at a contrast of 4.5:1 or more. */
export const COLOURS: readonly { name: string; value: string }[] = [
  { name: 'Rose', value: '#c2255c' },
  { name: 'Brick', value: '#c0392b' },
  { name: 'Amber', value: '#a65c00' },
  { name: 'Moss', value: '#4d7c0f' },
  { name: 'Pine', value: '#0b7a55' },
  { name: 'Lagoon', value: '#0e7490' },
  { name: 'Sky', value: '#1d6fb8' },
  { name: 'Iris', value: '#5b5bd6' },
  { name: 'Plum', value: '#8e44ad' },
  { name: 'Slate', value: '#52606d' },
]

const KEY = 'weft.identity'
const MAX_NAME = 40
const ANIMALS = ['Badger', 'Beaver', 'Crane', 'Dormouse', 'Falcon', 'Fox', 'Hare', 'Heron', 'Jay', 'Kestrel', 'Lynx', 'Marten', 'Otter', 'Owl', 'Robin', 'Seal', 'Stoat', 'Swallow', 'Swan', 'Wren']

/** The stored identity, or a new friendly one, which is stored. */
export function loadIdentity(): Identity {
  const stored = load(KEY) as Partial<Identity> | null | undefined
  const name = typeof stored?.name === 'string' ? cleanName(stored.name) : ''
  const color = COLOURS.find((c) => c.value === stored?.color)?.value
  const identity = { name: name || pick(ANIMALS), color: color ?? pick(COLOURS).value }
  save(KEY, identity)
  return identity
}

/** Keeps an identity for the next visit. */
export function saveIdentity(identity: Identity): void {
  save(KEY, identity)
}

/** A name as it may be shown: no control characters, single spaces, at most 40 characters; empty if nothing is left. */
export function cleanName(name: string): string {
  const text = name.replace(/[\p{C}\s]+/gu, ' ').trim()
  return Array.from(text).slice(0, MAX_NAME).join('').trim()
}

function pick<T>(list: readonly T[]): T {
  return list[crypto.getRandomValues(new Uint32Array(1))[0]! % list.length]!
}
