// Light, dark, or as the system says. public/theme.js applies a stored choice before the first paint.

import { icon } from './icons'

const KEY = 'weft.appearance'
const CHOICES = ['auto', 'light', 'dark'] as const
type Appearance = (typeof CHOICES)[number]
const ICONS = { auto: 'auto', light: 'sun', dark: 'moon' } as const
const LABELS = { auto: 'as the system', light: 'light', dark: 'dark' } as const

/** Makes a button that goes through the appearances. */
export function appearanceButton(button: HTMLButtonElement): void {
  let now = stored()
  const show = () => {
    if (now === 'auto') delete document.documentElement.dataset.theme
    else document.documentElement.dataset.theme = now
    button.replaceChildren(icon(ICONS[now]))
    button.setAttribute('aria-label', `Appearance: ${LABELS[now]}`)
    button.title = `Appearance: ${LABELS[now]}`
  }
  button.addEventListener('click', () => {
    now = CHOICES[(CHOICES.indexOf(now) + 1) % CHOICES.length]!
    try {
      localStorage.setItem(KEY, now)
    } catch {
      // Not remembered, but applied.
    }
    show()
  })
  show()
}

function stored(): Appearance {
  try {
    return CHOICES.find((c) => c === localStorage.getItem(KEY)) ?? 'auto'
  } catch {
    return 'auto'
  }
}
