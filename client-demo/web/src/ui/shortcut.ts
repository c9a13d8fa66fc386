// Key names as the person's own keyboard shows them.

const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent)
const MAC: Record<string, string> = { Mod: '⌘', Alt: '⌥', Shift: '⇧' }

/** `Mod-Shift-S` as `Ctrl+Shift+S`, or `⌘⇧S` on a Mac. */
export function shortcut(keys: string): string {
  const parts = keys.split('-')
  if (isMac) return parts.map((k) => MAC[k] ?? k).join('')
  return parts.map((k) => (k === 'Mod' ? 'Ctrl' : k)).join('+')
}
