// Room names: what the server accepts, and how a name stands in a URL.

const MAX_BYTES = 256

/** The reason why the server would refuse a room name, or null if it is fine. */
export function nameProblem(name: string): string | null {
  if (name === '') return 'Give the room a name.'
  if (new TextEncoder().encode(name).length > MAX_BYTES) return `A room name has at most ${MAX_BYTES} bytes.`
  if (/[\u0000-\u001f\u007f-\u009f]/.test(name)) return 'A room name has no control characters.'
  if (!name.isWellFormed()) return 'A room name is valid Unicode.'
  const segments = name.split('/')
  if (segments.includes('')) return 'A room name does not begin or end with a slash, or have two in a row.'
  if (segments.includes('.') || segments.includes('..')) return 'A room name has no “.” or “..” between slashes.'
  return null
}

/** The name as path segments: slashes stay, everything else that means something in a URL is escaped. */
export function encodeName(name: string): string {
  return name.split('/').map(encodeURIComponent).join('/')
}

/** The path of a room's page. */
export function roomPath(name: string): string {
  return '/r/' + encodeName(name)
}

/** The room that a page's path names, or null if the path is not one of a room's page. */
export function nameFromPath(path: string): string | null {
  if (!path.startsWith('/r/')) return null
  try {
    return decodeURIComponent(path.slice('/r/'.length))
  } catch {
    return null
  }
}

const CALM = ['amber', 'blue', 'bright', 'calm', 'clear', 'coral', 'gentle', 'golden', 'green', 'kind', 'light', 'merry', 'mild', 'misty', 'quiet', 'silver', 'soft', 'sunny', 'swift', 'warm']
const THINGS = ['bay', 'birch', 'brook', 'cedar', 'cloud', 'dune', 'fern', 'field', 'grove', 'harbour', 'heron', 'lake', 'lark', 'loom', 'maple', 'meadow', 'otter', 'river', 'stone', 'thread']

/** A fresh room name that is easy to say and unlikely to exist: two words and four characters. */
export function inventName(): string {
  const random = crypto.getRandomValues(new Uint32Array(6))
  const tail = Array.from(random.subarray(2), (n) => 'abcdefghjkmnpqrstuvwxyz23456789'[n % 31]).join('')
  return `${CALM[random[0]! % CALM.length]}-${THINGS[random[1]! % THINGS.length]}-${tail}`
}
