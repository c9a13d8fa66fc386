// The rooms that this browser visited, newest first.

import { load, save } from '../storage'

const KEY = 'weft.recent'
const KEPT = 12

/** One visited room and when it was opened last, in ms since 1970. */
export interface Visit {
  room: string
  at: number
}

/** The visited rooms, newest first. */
export function recentRooms(): Visit[] {
  const stored = load(KEY)
  if (!Array.isArray(stored)) return []
  return stored.filter(
    (v): v is Visit => typeof v === 'object' && v !== null && typeof v.room === 'string' && typeof v.at === 'number',
  )
}

/** Puts a room on top of the list. */
export function rememberRoom(room: string): void {
  const others = recentRooms().filter((v) => v.room !== room)
  save(KEY, [{ room, at: Date.now() }, ...others].slice(0, KEPT))
}

/** Takes a room off the list. The document itself is not touched. */
export function forgetRoom(room: string): void {
  save(
    KEY,
    recentRooms().filter((v) => v.room !== room),
  )
}
