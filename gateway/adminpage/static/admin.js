// Keeps the page up to date: asks for it again every few seconds and puts the parts that may change in their place.
// Without it everything works, and the browser's reload does the same.
'use strict'

const EVERY = 3000 // ms
const live = document.getElementById('live')
const pause = document.getElementById('pause')
const parts = document.querySelectorAll('[data-live]')
let paused = false
let asking = false
let timer = 0

if (parts.length > 0 && live && pause) start()

function start() {
  live.hidden = pause.hidden = false
  say('live', 'Live')
  pause.addEventListener('click', () => {
    paused = !paused
    pause.textContent = paused ? 'Go on' : 'Pause'
    say(paused ? 'paused' : 'live', paused ? 'Paused' : 'Live')
    plan(paused ? null : 0)
  })
  document.addEventListener('visibilitychange', () => plan(document.hidden || paused ? null : 0))
  plan(EVERY)
}

// Asks after that many milliseconds; null: not at all.
function plan(after) {
  clearTimeout(timer)
  if (after !== null) timer = setTimeout(refresh, after)
}

async function refresh() {
  if (paused || document.hidden || asking) return
  asking = true
  try {
    const address = new URL(location.href)
    address.searchParams.set('live', '1')
    address.hash = ''
    const answer = await fetch(address, { headers: { Accept: 'text/html' }, signal: AbortSignal.timeout(20_000) })
    if (answer.redirected) {
      location.reload() // to the login
      return
    }
    if (!answer.ok) throw new Error(String(answer.status))
    put(new DOMParser().parseFromString(await answer.text(), 'text/html'))
    if (!paused) say('live', 'Live')
  } catch {
    say('lost', 'No answer')
  } finally {
    asking = false
    plan(paused || document.hidden ? null : EVERY)
  }
}

// Puts the parts of a newer page in the place of those that differ, unless somebody is selecting text in one.
function put(page) {
  const selection = getSelection()
  for (const part of document.querySelectorAll('[data-live]')) {
    const next = page.getElementById(part.id)
    if (!next || next.innerHTML === part.innerHTML) continue
    if (!selection.isCollapsed && selection.containsNode(part, true)) continue
    const focus = focusIn(part)
    const scrolled = Array.from(part.querySelectorAll('.scroll'), (e) => e.scrollLeft)
    part.replaceChildren(...document.adoptNode(next).childNodes)
    part.querySelectorAll('.scroll').forEach((e, i) => (e.scrollLeft = scrolled[i] ?? 0))
    if (focus) part.querySelector(focus)?.focus({ preventScroll: true })
  }
  const time = page.querySelector('footer')
  if (time) document.querySelector('footer')?.replaceChildren(...document.adoptNode(time).childNodes)
}

// How to find what has the focus in the newer part: by where it leads, or as the table that scrolls.
function focusIn(part) {
  const e = document.activeElement
  if (!part.contains(e)) return null
  const href = e.getAttribute('href')
  if (href) return `a[href="${CSS.escape(href)}"]`
  return e.classList.contains('scroll') ? '.scroll' : null
}

function say(state, text) {
  live.dataset.state = state
  if (live.textContent !== text) live.textContent = text
}
