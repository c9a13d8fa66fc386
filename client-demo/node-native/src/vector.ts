// The little of Yjs's encodings that a client has to read itself, version 1: yjs/src/utils/encoding.js, v13.6.

/**
 * Whether a server with one state vector lacks something of a document with another one, beyond the updates that a client is
 * about to send it, which are edits of its own.
 */
export function lacks (server: Uint8Array, document: Uint8Array, client: number, updates: Uint8Array[]): boolean {
  const known = clocks(server)
  for (const [author, clock] of clocks(document)) {
    const wanted = author === client ? Math.min(clock, ...updates.map(firstClock)) : clock
    if (wanted > (known.get(author) ?? 0)) return true
  }
  return false
}

/** A state vector by client: varuint count, then (client, clock) varuints. Empty bytes stand for an empty one. */
function clocks (vector: Uint8Array): Map<number, number> {
  const next = varuints(vector)
  const clocks = new Map<number, number>()
  if (vector.length === 0) return clocks
  for (let count = next(); count > 0; count--) clocks.set(next(), next())
  return clocks
}

/**
 * The first clock of an update of one client: varuint number of clients, then structs, client, clock. Infinity for one that
 * only deletes.
 */
function firstClock (update: Uint8Array): number {
  const next = varuints(update)
  if (next() === 0) return Infinity
  next()
  next()
  return next()
}

/** Reads one varuint after another: seven bits a byte, the lowest first. */
function varuints (bytes: Uint8Array): () => number {
  let at = 0
  return () => {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++]
      if (byte === undefined || scale > 2 ** 49) throw new RangeError('a state vector or an update cannot be read')
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }
}
