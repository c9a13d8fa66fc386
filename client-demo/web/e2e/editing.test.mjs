// Two people in one room: text, cursors, presence, undo.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { converge } from './harness/person.mjs'
import { stage } from './harness/stage.mjs'
import { until } from './harness/wait.mjs'

const s = stage()

async function pair(url) {
  const [ada, bo] = await Promise.all([s.person('Ada'), s.person('Bo')])
  await Promise.all([ada.enter(url), bo.enter(url)])
  return [ada, bo]
}

test('two people type in both editors at once and converge', async () => {
  const [ada, bo] = await pair(s.room())
  await ada.typeCode('from Ada')
  await bo.sees('code', 'from Ada')
  await Promise.all([ada.typeCode('\nconst a = 1', 5), bo.typeCode('\nconst b = 2', 5)])
  await Promise.all([ada.typeDocument('Dear Bo, ', 5), bo.typeDocument('Dear Ada, ', 5)])
  const { code, document } = await converge(ada, bo)
  // Concurrent letters may alternate, but every one of them is there, in both editors of both people.
  assert.equal(code.length, 'from Ada\nconst a = 1\nconst b = 2'.length)
  for (const p of [ada, bo]) {
    const shown = await p.shown()
    assert.equal(shown.code, code)
    assert.equal(`<paragraph>${shown.document.replaceAll('\n', '</paragraph><paragraph>')}</paragraph>`, document)
  }
})

test('formatting reaches the other person', async () => {
  const [ada, bo] = await pair(s.room())
  await ada.typeDocument('# Minutes')
  await ada.page.keyboard.press('Enter')
  await ada.page.getByRole('button', { name: 'Bold', exact: true }).click()
  await ada.page.keyboard.type('urgent')
  await bo.page.locator('.prose h1', { hasText: 'Minutes' }).waitFor()
  await bo.page.locator('.prose strong', { hasText: 'urgent' }).waitFor()
  await converge(ada, bo)
})

test('the language is the room’s', async () => {
  const [ada, bo] = await pair(s.room())
  await ada.page.getByLabel('Language').selectOption('javascript')
  await bo.page.waitForFunction(() => document.querySelector('#language').value === 'javascript')
  await bo.page.locator('.cm-content[data-language="javascript"]').waitFor()
})

test('each sees the other’s cursor with the right name, in both editors, also after a rename', async () => {
  const [ada, bo] = await pair(s.room())
  await ada.typeCode('x')
  await bo.seesCursor('code', 'Ada')
  await bo.typeCode('y')
  await ada.seesCursor('code', 'Bo')
  await ada.typeDocument('x')
  await bo.seesCursor('document', 'Ada')
  assert.equal(await bo.page.locator('.pane-code .caret').count(), 0, 'one person has one cursor')
  await bo.typeDocument('y')
  await ada.seesCursor('document', 'Bo')

  await ada.page.locator('#me').click()
  await ada.page.getByLabel('Your name').fill('Ada Lovelace')
  await ada.page.getByRole('radio', { name: 'Pine' }).check()
  await ada.page.keyboard.press('Escape')
  for (const pane of ['document', 'code']) {
    if (pane === 'code') await ada.typeCode('z')
    else await ada.typeDocument('z')
    await bo.seesCursor(pane, 'Ada Lovelace')
    assert.equal(await bo.page.locator('.caret').evaluate((e) => e.style.getPropertyValue('--person')), '#0b7a55')
  }
  assert.deepEqual(await bo.others(), ['Ada Lovelace'])
  await ada.page.reload()
  await ada.online()
  assert.equal(await ada.page.locator('#me-label').innerText(), 'Ada Lovelace')
})

test('who is here: two people, and one again within 2 s of the other’s leaving', async (t) => {
  const [ada, bo] = await pair(s.room())
  await until('each sees the other', async () => (await ada.others())[0] === 'Bo' && (await bo.others())[0] === 'Ada')
  assert.deepEqual(await ada.others(), ['Bo'])
  assert.equal(await ada.page.locator('#people-count').textContent(), '2 people here')
  await bo.typeCode('here')
  await ada.seesCursor('code', 'Bo')
  await bo.page.close()
  const left = Date.now()
  await until('Bo is gone', async () => (await ada.others()).length === 0, 2000)
  t.diagnostic(`presence gone after ${Date.now() - left} ms`)
  assert.equal(await ada.page.locator('.caret').count(), 0, 'no ghost cursor')
})

test('choosing a person goes to where they write', async () => {
  const [ada, bo] = await pair(s.room())
  await bo.page.locator('.cm-content').focus()
  await bo.page.keyboard.insertText('line\n'.repeat(120))
  await ada.sees('code', 'line\nline')
  await ada.page.getByRole('button', { name: 'Document', exact: true }).click()
  await ada.page.locator('.pane-code').waitFor({ state: 'hidden' })
  await ada.page.getByRole('button', { name: 'Go to Bo' }).click()
  await ada.page.locator('.pane-code .caret').waitFor({ state: 'visible' })
  await until('the cursor is on the screen', () => ada.page.locator('.pane-code .caret').evaluate((e) => {
    const { top } = e.getBoundingClientRect()
    return top > 0 && top < innerHeight
  }))
})

test('undo takes back one’s own edits only', async () => {
  const [ada, bo] = await pair(s.room())
  await ada.typeCode('ADA')
  await bo.sees('code', 'ADA')
  await bo.typeCode(' BO')
  await ada.sees('code', 'ADA BO')
  await ada.page.locator('.cm-content').press('Control+z')
  await bo.sees('code', ' BO')
  assert.equal((await converge(ada, bo)).code, ' BO')
  // Nothing of Ada's is left to undo; Bo's text must not go.
  await ada.page.locator('.cm-content').press('Control+z')
  assert.equal((await converge(ada, bo)).code, ' BO')
  await ada.page.locator('.cm-content').press('Control+Shift+Z')
  await bo.sees('code', 'ADA')

  await ada.typeDocument('ADA')
  await bo.sees('document', 'ADA')
  await bo.typeDocument(' BO')
  await ada.sees('document', 'ADA BO')
  await ada.page.locator('.prose').press('Control+z')
  await until('Ada’s text is gone', async () => (await converge(ada, bo)).document === '<paragraph> BO</paragraph>')
  await ada.page.locator('.prose').press('Control+z')
  assert.equal((await converge(ada, bo)).document, '<paragraph> BO</paragraph>')
})

test('hostile presence harms nobody', async () => {
  const [ada, bo] = await pair(s.room())
  await ada.typeCode('text')
  await bo.page.evaluate(() => {
    const { awareness } = window.__weft
    awareness.setLocalStateField('user', { name: '\u0007<b>Mallory</b>' + 'y'.repeat(500), color: 'red;position:fixed;inset:0' })
    awareness.setLocalStateField('cursor', { anchor: { item: { client: 'x', clock: -1 } }, head: 7 })
  })
  await until('Ada sees the cleaned name', async () => (await ada.others())[0]?.startsWith('<b>Mallory</b>yyy'))
  assert.equal((await ada.others())[0].length, 40)
  await bo.page.evaluate(() => {
    const { awareness } = window.__weft
    awareness.setLocalStateField('user', 7)
    awareness.setLocalStateField('cursor', { anchor: { tname: 'nowhere' }, head: { tname: 'nowhere' } })
  })
  await until('Ada sees a guest', async () => (await ada.others())[0] === 'Guest')
  assert.equal(await ada.page.evaluate(() => window.__weft.doc.share.has('nowhere')), false)
  await ada.typeCode(' goes on')
  await bo.sees('code', 'text goes on')
})
