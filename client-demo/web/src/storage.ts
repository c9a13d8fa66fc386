// Local storage that may be forbidden, full, or written by another version of the page.

/** The parsed value under key, or undefined if there is none that can be read. */
export function load(key: string): unknown {
  try {
    const text = localStorage.getItem(key)
    return text === null ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Stores a value as JSON; undefined removes the key. Storage that refuses is no error: the page works without. */
export function save(key: string, value: unknown): void {
  try {
    if (value === undefined) localStorage.removeItem(key)
    else localStorage.setItem(key, JSON.stringify(value))
  } catch {
    // Forbidden or full: what is stored here is only a convenience.
  }
}
