// Copying to the clipboard, with an answer on the button.

import { announce } from './dom'
import { icon, type IconName } from './icons'

const ANSWER_MS = 1600

/** Makes a button copy a text and say so. Its span.label, if it has one, changes to "Copied" for a moment. */
export function copyButton(button: HTMLButtonElement, image: IconName, what: string, text: () => string): void {
  const label = button.querySelector('.label')
  const says = label?.textContent ?? ''
  let timer: ReturnType<typeof setTimeout> | undefined
  const picture = (name: IconName) => button.querySelector('.icon')?.replaceWith(icon(name))
  button.prepend(icon(image))
  button.addEventListener('click', async () => {
    if (!(await copy(text()))) {
      prompt(`Copy ${what}:`, text())
      return
    }
    if (label) label.textContent = 'Copied'
    picture('check')
    announce(`Copied ${what}`)
    clearTimeout(timer)
    timer = setTimeout(() => {
      if (label) label.textContent = says
      picture(image)
    }, ANSWER_MS)
  })
}

// The clipboard interface exists on https and loopback only; a page served over plain http gets the dialog.
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return false
  }
}
