// Panels that open below their button. The platform closes them on Escape and on a click elsewhere.

const GAP = 8 // px

/** Lets a button open a panel that has the `popover` attribute. */
export function attachPopover(button: HTMLButtonElement, panel: HTMLElement): void {
  button.popoverTargetElement = panel
  button.setAttribute('aria-haspopup', 'dialog')
  panel.addEventListener('toggle', (event) => {
    const open = (event as ToggleEvent).newState === 'open'
    button.setAttribute('aria-expanded', String(open))
    if (open) place(button, panel)
  })
  addEventListener('resize', () => {
    if (panel.matches(':popover-open')) place(button, panel)
  })
}

function place(button: HTMLElement, panel: HTMLElement): void {
  const at = button.getBoundingClientRect()
  const left = Math.min(at.left, innerWidth - panel.offsetWidth - GAP)
  panel.style.left = `${Math.max(GAP, left)}px`
  panel.style.top = `${at.bottom + GAP}px`
}
