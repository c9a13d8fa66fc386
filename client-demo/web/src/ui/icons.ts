// The icons: 24 by 24, drawn with one stroke in the colour of the text around them.

const PATHS = {
  heading1: 'M4 6v12M12 6v12M4 12h8M17 11l2.5-1.5V18',
  heading2: 'M4 6v12M11 6v12M4 12h7M15.5 11.5a2.3 2.3 0 1 1 4 1.6L15.5 18h4.5',
  bold: 'M7 5h6a3.5 3.5 0 0 1 0 7H7zM7 12h7a3.5 3.5 0 0 1 0 7H7z',
  italic: 'M10 5h8M6 19h8M14 5l-4 14',
  strike: 'M4 12h16M16.5 7.5C16 6 14.3 5 12 5 9 5 7.3 6.5 7.3 8.4M7 16c.5 1.8 2.5 3 5 3 3 0 5-1.4 5-3.6 0-.5-.1-1-.3-1.4',
  code: 'M9 8l-4 4 4 4M15 8l4 4-4 4',
  codeBlock: 'M4 5h16v14H4zM10 9.5L7.5 12l2.5 2.5M14 9.5l2.5 2.5L14 14.5',
  bullets: 'M9 6h11M9 12h11M9 18h11M4.5 6h.01M4.5 12h.01M4.5 18h.01',
  numbers: 'M10 6h10M10 12h10M10 18h10M4 5l1.3-.6V9M4 15.4c.2-.8 2.3-1 2.3.3 0 .9-1.3 1.6-2.3 2.8h2.5',
  quote: 'M5 6v12M10 8h10M10 12h10M10 16h6',
  undo: 'M9 7L5 11l4 4M5 11h9a5 5 0 0 1 0 10h-3',
  redo: 'M15 7l4 4-4 4M19 11h-9a5 5 0 0 0 0 10h3',
  link: 'M10 14a4 4 0 0 0 5.7 0l3-3a4 4 0 0 0-5.7-5.7l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.7l1-1',
  copy: 'M9 9h11v11H9zM15 9V4H4v11h5',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M18.7 5.3l-1.4 1.4M6.7 17.3l-1.4 1.4',
  moon: 'M20 14.5A8 8 0 0 1 9.5 4a8 8 0 1 0 10.5 10.5z',
  auto: 'M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM12 3.5v17M12 7.5h6.5M12 12h8.5M12 16.5h6.5',
  close: 'M6 6l12 12M18 6L6 18',
  arrow: 'M5 12h14M13 6l6 6-6 6',
  plus: 'M12 5v14M5 12h14',
} as const

export type IconName = keyof typeof PATHS

/** A new icon, hidden from assistive technology: its button carries the label. */
export function icon(name: IconName): SVGSVGElement {
  const ns = 'http://www.w3.org/2000/svg'
  const svg = document.createElementNS(ns, 'svg')
  svg.setAttribute('viewBox', '0 0 24 24')
  svg.setAttribute('class', 'icon')
  svg.setAttribute('aria-hidden', 'true')
  const path = document.createElementNS(ns, 'path')
  path.setAttribute('d', PATHS[name])
  svg.append(path)
  return svg
}
