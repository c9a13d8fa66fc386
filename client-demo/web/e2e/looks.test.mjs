// Screenshots of what people see, for people to look at. The tests fail only if a state cannot be reached, or if a
// page is wider than its window.

import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { gate } from './harness/gate.mjs'
import { stage } from './harness/stage.mjs'
import { until } from './harness/wait.mjs'

const s = stage()
const folder = process.env.ARTEFACTS

before(() => mkdir(folder, { recursive: true }))

async function shoot(person, name) {
  const { page } = person
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
  assert.ok(overflow <= 0, `${name} is ${overflow} px wider than its window`)
  await page.screenshot({ path: join(folder, name + '.png') })
}

const CODE = `# Release notes

Weft keeps **every acknowledged edit**. See [the notes](https://example.org).

\`\`\`js
export function greet(name = 'world') {
  // Two people, one document.
  return \`Hello, \${name}!\`
}
\`\`\`

- [x] offline edits
- [ ] tea for 2
`

const DOCUMENT = `<h1>Trip to the coast</h1>
<p>We leave on <strong>Friday</strong> at eight. Bring <s>nothing</s> a warm jumper, and the <code>map</code>.</p>
<h2>To bring</h2>
<ul><li><p>tent and pegs</p></li><li><p>stove</p></li></ul>
<blockquote><p>If it rains we stay at the inn.</p></blockquote>`

async function write({ page }) {
  await page.locator('.cm-content').focus()
  await page.keyboard.insertText(CODE)
  await page.locator('.prose').focus()
  await page.evaluate((html) => document.querySelector('.prose').editor.commands.setContent(html), DOCUMENT)
}

test('screenshots', async () => {
  const url = s.room('team/coast')
  const [ada, bo] = await Promise.all([s.person('Ada Lovelace'), s.person('Bo')])
  const g = await gate(ada)
  await bo.enter(s.room('garden'))
  await bo.typeCode('x')
  await bo.enter(url)
  await ada.enter(url)
  await shoot(ada, 'room-empty')
  await write(ada)
  await ada.saved()
  await bo.sees('document', 'the inn')

  // Bo's cursor in the code, with a selection; Ada's in the document.
  await bo.page.locator('.cm-line', { hasText: 'tea for 2' }).click()
  await bo.page.keyboard.press('Home')
  await bo.page.keyboard.press('Shift+End')
  await ada.seesCursor('code', 'Bo')
  await bo.seesCursor('document', 'Ada Lovelace')
  await ada.page.emulateMedia({ colorScheme: 'light' })
  await shoot(ada, 'room-light')
  await ada.page.emulateMedia({ colorScheme: 'dark' })
  await shoot(ada, 'room-dark')
  await ada.page.emulateMedia({ colorScheme: 'light' })

  await bo.page.locator('.prose p', { hasText: 'We leave' }).click()
  await bo.page.keyboard.press('End')
  await ada.page.locator('.cm-line', { hasText: 'Two people' }).click()
  await ada.seesCursor('document', 'Bo')
  await bo.seesCursor('code', 'Ada Lovelace')
  await shoot(ada, 'cursor-in-document')
  await shoot(bo, 'cursor-in-code')

  await ada.page.locator('#me').click()
  await shoot(ada, 'name-and-colour')
  await ada.page.keyboard.press('Escape')
  await ada.page.locator('#status').click()
  await shoot(ada, 'status-saved')
  await ada.page.emulateMedia({ colorScheme: 'dark' })
  await shoot(ada, 'status-dark')
  await ada.page.emulateMedia({ colorScheme: 'light' })
  await ada.page.keyboard.press('Escape')

  await bo.page.setViewportSize({ width: 390, height: 780 })
  await until('Bo is settled', () => bo.page.evaluate(() => document.querySelector('#panes').dataset.view !== 'both'))
  await shoot(bo, 'narrow-document')
  await bo.page.getByRole('button', { name: 'Code', exact: true }).first().click()
  await shoot(bo, 'narrow-code')
  await bo.page.locator('#status').click()
  await shoot(bo, 'narrow-status')
  await bo.page.keyboard.press('Escape')

  g.cut()
  await ada.says(/^Offline/)
  await ada.typeCode('- [ ] more tea\n')
  await shoot(ada, 'offline')
  await ada.page.locator('#status').click()
  await shoot(ada, 'status-offline')
  await ada.page.keyboard.press('Escape')
  await ada.page.setViewportSize({ width: 390, height: 780 })
  await shoot(ada, 'narrow-offline')

  await ada.page.setViewportSize({ width: 1280, height: 800 })
  await ada.page.goto(s.server.url + '/')
  await ada.page.locator('#live-list a').first().waitFor()
  await shoot(ada, 'landing-light')
  await ada.page.emulateMedia({ colorScheme: 'dark' })
  await shoot(ada, 'landing-dark')
  await ada.page.setViewportSize({ width: 390, height: 780 })
  await shoot(ada, 'landing-narrow')
})
