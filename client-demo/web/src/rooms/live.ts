// The server's list of rooms.

/** A room as the server lists it: how many people are in it and the size of its document in bytes, where known. */
export interface LiveRoom {
  name: string
  people: number
  bytes: number | null
}

/** Asks the server for its first rooms by name, at most `limit`, and returns them busiest first. Throws if it cannot be reached or answers something else. */
export async function liveRooms(limit: number, signal: AbortSignal): Promise<LiveRoom[]> {
  const response = await fetch(`/v1/rooms?limit=${limit}`, { headers: { Accept: 'application/json' }, signal })
  if (!response.ok) throw new Error(`the server answered ${response.status}`)
  const rooms = parseRooms(await response.json()).sort((a, b) => b.people - a.people || a.name.localeCompare(b.name))
  return rooms.slice(0, limit)
}

function parseRooms(body: unknown): LiveRoom[] {
  const list = (body as { rooms?: unknown } | null)?.rooms
  if (!Array.isArray(list)) throw new Error('the server answered no list of rooms')
  return list.flatMap((entry: unknown) => {
    const { name, people, bytes } = (entry ?? {}) as Record<string, unknown>
    if (typeof name !== 'string') return []
    return [{ name, people: typeof people === 'number' ? people : 0, bytes: typeof bytes === 'number' ? bytes : null }]
  })
}
