// Finding and making elements.

/** The element with an id, which the page's html promises. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id)
  if (element === null) throw new Error(`the page has no #${id}`)
  return element as T
}

/** A new element with a class and children. */
export function make<K extends keyof HTMLElementTagNameMap>(tag: K, className: string, ...children: (Node | string)[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  if (className !== '') element.className = className
  element.append(...children)
  return element
}

/** A new button that is no submit button. */
export function makeButton(className: string, label: string, onClick: () => void, ...children: (Node | string)[]): HTMLButtonElement {
  const button = make('button', className, ...children)
  button.type = 'button'
  button.setAttribute('aria-label', label)
  button.title = label
  button.addEventListener('click', onClick)
  return button
}

/** Says something to assistive technology, in the page's one live region. */
export function announce(text: string): void {
  byId('announcer').textContent = text
}
