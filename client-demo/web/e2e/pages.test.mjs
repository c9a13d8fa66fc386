// The landing page, room addresses, and use by keyboard.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import WebSocket from 'ws'
import { stage } from './harness/stage.mjs'
import { until } from './harness/wait.mjs'

const s = stage()

test('from the landing page into a room, by name and by a made-up one', async () => {
  const ada = await s.person('Ada')
  await ada.page.goto(s.server.url + '/')
  await ada.page.keyboard.type('team/week 48') // the field has the focus
  await ada.page.keyboard.press('Enter')
  await ada.online()
  assert.equal(new URL(ada.page.url()).pathname, '/r/team/week%2048')
  assert.equal(await ada.page.locator('#room-name').innerText(), 'team/week 48')
  assert.equal(await ada.page.title(), 'team/week 48 · Weft')

  await ada.page.getByRole('link', { name: 'All rooms' }).click()
  await ada.page.getByRole('button', { name: 'start a new room' }).click()
  await ada.online()
  assert.match(new URL(ada.page.url()).pathname, /^\/r\/[a-z]+-[a-z]+-[a-z0-9]{4}$/)

  await ada.page.goto(s.server.url + '/')
  const recent = ada.page.locator('#recent-list .room-name')
  assert.equal((await recent.allInnerTexts()).at(1), 'team/week 48')
  await ada.page.getByRole('button', { name: 'Remove team/week 48 from this list' }).click()
  await until('the entry is gone', async () => !(await recent.allInnerTexts()).includes('team/week 48'))
  await recent.first().click()
  await ada.online()
})

test('names that the server would refuse are refused with a reason', async () => {
  const ada = await s.person('Ada')
  await ada.page.goto(s.server.url + '/')
  for (const [name, reason] of [
    ['', 'Give the room a name.'],
    ['/a', 'does not begin or end with a slash'],
    ['a/../b', 'no “.” or “..”'],
    ['ä'.repeat(129), 'at most 256 bytes'],
  ]) {
    await ada.page.getByLabel('Room name').fill(name)
    await ada.page.keyboard.press('Enter')
    await ada.page.getByRole('alert').filter({ hasText: reason }).waitFor()
  }
  await ada.page.goto(s.server.url + '/r/%ff')
  await ada.page.getByText('This link is damaged.').waitFor()
})

test('live rooms are listed with their people', async () => {
  const url = s.room('live/list')
  const [ada, bo] = await Promise.all([s.person('Ada'), s.person('Bo')])
  await ada.enter(url)
  await ada.typeCode('x')
  await bo.page.goto(s.server.url + '/')
  const entry = bo.page.locator('#live-list a', { hasText: decodeURIComponent(new URL(url).pathname.slice(3)) })
  await entry.filter({ hasText: '1 person' }).waitFor()
  await entry.click()
  await bo.sees('code', 'x')
})

test('the list of rooms is asked for seldom, and not while nobody sees it', async () => {
  const ada = await s.person('Ada')
  ada.spoilPage()
  const { page } = ada
  const asked = []
  await page.route(/\/v1\/rooms/, async (route) => {
    const answer = asked.push(new URL(route.request().url()).search)
    // A server that does not know the limit answers with more.
    await route.fulfill({ json: { rooms: Array.from({ length: 20 }, (_, i) => ({ name: `answer ${answer} room ${i}`, people: 0, bytes: 0 })) } })
  })
  // The page's clock stands still but for what the test lets pass, and a question counts as answered once the answer is drawn.
  const answers = (n) =>
    until(() => `the page shows answer ${n}; ${asked.length} questions were asked`, async () => {
      const drawn = await page.locator('#live-list').textContent()
      return asked.length === n && drawn.includes(`answer ${n} room`)
    })
  await page.clock.install({ time: '2026-01-01T10:00:00Z' })
  await page.clock.pauseAt('2026-01-01T10:00:01Z')
  await page.goto(s.server.url + '/')
  await answers(1)
  await page.getByText('At most 12 rooms are listed here.').waitFor()
  assert.equal(await page.locator('#live-list li').count(), 12)

  await page.clock.runFor(9_000)
  await answers(1)
  await page.clock.runFor(1_000)
  await answers(2)
  await page.evaluate(hide, true)
  await page.clock.runFor(120_000)
  await answers(2)
  await page.evaluate(hide, false)
  await answers(3)
  await page.clock.runFor(10_000)
  await answers(4)
  assert.deepEqual(new Set(asked), new Set(['?limit=12']))
})

// Runs in the page: says that it is hidden, or that it is seen.
function hide(hidden) {
  Object.defineProperty(document, 'hidden', { configurable: true, value: hidden })
  document.dispatchEvent(new Event('visibilitychange'))
}

test('a room that the demo cannot open is listed without a link', async () => {
  const odd = ['odd//name', 'odd/']
  const sockets = odd.map((name) => new WebSocket(`${s.server.url.replace('http', 'ws')}/yjs/${name}`))
  try {
    await Promise.all(sockets.map((socket) => new Promise((open, failed) => socket.on('open', open).on('error', failed))))
    const ada = await s.person('Ada')
    await ada.page.goto(s.server.url + '/')
    for (const name of odd) {
      const entry = ada.page.locator('#live-list li', { has: ada.page.getByText(name, { exact: true }) })
      await entry.waitFor()
      assert.equal(await entry.getByRole('link').count(), 0, `links in the entry of ${name}`)
      assert.match(await entry.locator('.room').getAttribute('title'), /cannot open the room\. A room name does not/)
    }
  } finally {
    for (const socket of sockets) socket.close()
  }
})

test('a copied link leads to the same room, also with slashes and odd characters', async () => {
  const ada = await s.person('Ada', { permissions: ['clipboard-read', 'clipboard-write'] })
  await ada.enter(`${s.server.url}/r/a/b%3Fc%23d%20é%25/`)
  await ada.typeCode('found it')
  await ada.page.getByRole('button', { name: 'Copy the link' }).click()
  await ada.page.getByText('Copied', { exact: true }).waitFor()
  const link = await ada.page.evaluate(() => navigator.clipboard.readText())
  assert.equal(link, `${s.server.url}/r/a/b%3Fc%23d%20%C3%A9%25`)
  assert.equal(ada.page.url(), link)
  const bo = await s.person('Bo')
  await bo.enter(link)
  await bo.sees('code', 'found it')
  assert.equal(await bo.page.locator('#room-name').innerText(), 'a/b?c#d é%')
})

test('an address that leads nowhere says so', async () => {
  const ada = await s.person('Ada')
  const response = await ada.page.goto(s.server.url + '/nowhere')
  assert.equal(response.status(), 404)
  await ada.page.getByRole('heading', { name: 'Nothing here.' }).waitFor()
  ada.errors.length = 0 // Chromium reports the 404 itself
})

test('every control can be reached and named', async () => {
  const ada = await s.person('Ada')
  await ada.enter(s.room())
  const nameless = await ada.page.evaluate(() => {
    const label = (e) => e.getAttribute('aria-label') || e.labels?.[0]?.innerText || e.innerText
    return Array.from(document.querySelectorAll('button, input, select, a, [role="textbox"]')).filter((e) => !label(e)?.trim()).map((e) => e.outerHTML)
  })
  assert.deepEqual(nameless, [])

  const toolbar = ada.page.getByRole('toolbar', { name: 'Formatting' })
  await toolbar.getByRole('button', { name: 'Heading', exact: true }).focus()
  await ada.page.keyboard.press('ArrowRight')
  await ada.page.keyboard.press('ArrowRight')
  assert.equal(await ada.page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Bold')
  await ada.page.keyboard.press('End')
  assert.equal(await ada.page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Redo my change')
  assert.equal(await toolbar.locator('button[tabindex="0"]').count(), 1, 'the toolbar is one tab stop')

  await ada.page.locator('#me').press('Enter')
  await ada.page.getByLabel('Your name').waitFor({ state: 'visible' })
  await ada.page.keyboard.press('Escape')
  await ada.page.getByLabel('Your name').waitFor({ state: 'hidden' })
})

test('text keeps a contrast of 4.5:1 in light and dark', async () => {
  const ada = await s.person('Ada')
  for (const url of [s.server.url + '/', s.room()]) {
    await ada.page.goto(url)
    for (const colorScheme of ['light', 'dark']) {
      await ada.page.emulateMedia({ colorScheme })
      assert.deepEqual(await ada.page.evaluate(lowContrast), [], `${url} in ${colorScheme}`)
    }
  }
  ada.spoilPage()
})

// Runs in the page: every element with text of its own whose contrast with what is behind it is below 4.5.
function lowContrast() {
  const canvas = document.createElement('canvas')
  canvas.width = canvas.height = 1
  const pen = canvas.getContext('2d', { willReadFrequently: true })
  const mix = (colours) => {
    pen.clearRect(0, 0, 1, 1)
    for (const colour of colours) {
      pen.fillStyle = colour
      pen.fillRect(0, 0, 1, 1)
    }
    return Array.from(pen.getImageData(0, 0, 1, 1).data)
  }
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4))
    return 0.2126 * x + 0.7152 * y + 0.0722 * z
  }
  const found = []
  for (const element of document.querySelectorAll('body, body *')) {
    const text = Array.from(element.childNodes).filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join('')
    if (text === '' || !element.checkVisibility() || element.matches('script, .visually-hidden')) continue
    const behind = []
    for (let e = element; e; e = e.parentElement) behind.unshift(getComputedStyle(e).backgroundColor)
    const back = luminance(mix(behind))
    const front = luminance(mix([...behind, getComputedStyle(element).color]))
    const contrast = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05)
    if (contrast < 4.5) found.push(`${text.slice(0, 30)}: ${contrast.toFixed(2)}`)
  }
  return found
}
