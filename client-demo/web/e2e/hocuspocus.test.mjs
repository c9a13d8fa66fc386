// The same page over Hocuspocus, alone and in one room with people over y-websocket.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gate, hocuspocus } from './harness/gate.mjs'
import { converge } from './harness/person.mjs'
import { isWeft } from './harness/server.mjs'
import { stage } from './harness/stage.mjs'
import { until } from './harness/wait.mjs'

const s = stage()
const options = { skip: !isWeft && 'the reference server does not speak Hocuspocus' }

const overHocuspocus = (url) => url + '?provider=hocuspocus'

/** Waits until each of two people sees the other, once. */
async function meet(ada, bo) {
  let seen
  await until(
    () => `each sees the other once: ${seen}`,
    async () => (seen = JSON.stringify([await ada.others(), await bo.others()])) === JSON.stringify([[bo.name], [ada.name]]),
  )
}

/** Types in both editors from both sides; each sees the other's text, and one cursor with the name on it. */
async function writeToEachOther(ada, bo) {
  const pairs = [
    [ada, bo],
    [bo, ada],
  ]
  for (const [from, to] of pairs) {
    await from.typeDocument(`${from.name} writes. `)
    await to.sees('document', `${from.name} writes. `)
    await to.seesCursor('document', from.name)
  }
  for (const [from, to] of pairs) {
    await from.typeCode(`// ${from.name}\n`)
    await to.sees('code', `// ${from.name}\n`)
    await to.seesCursor('code', from.name)
    await to.page.locator('.pane-document .caret').waitFor({ state: 'detached', timeout: 20_000 })
  }
}

/** Waits until somebody is alone, and no cursor of the other is left. */
async function alone(person) {
  await until(`${person.name} is alone`, async () => (await person.others()).length === 0)
  assert.equal(await person.page.locator('.caret').count(), 0, `carets that ${person.name} sees`)
}

/** Which scripts of the Hocuspocus provider a page has loaded. */
const loaded = (p) => p.page.evaluate(() => performance.getEntriesByType('resource').filter((r) => r.name.includes('/assets/hocuspocus-')).length)

test('two people over Hocuspocus, before and after the server is killed', options, async (t) => {
  const url = overHocuspocus(s.room('team/plans'))
  const [ada, bo] = await Promise.all([s.person('Ada'), s.person('Bo')])
  for (const p of [ada, bo]) p.expectNetworkErrors()
  await Promise.all([ada.enter(url), bo.enter(url)])
  await meet(ada, bo)
  await writeToEachOther(ada, bo)
  await Promise.all([ada.saved(), bo.saved()])

  await s.server.kill()
  for (const p of [ada, bo]) await p.says(/^Offline/)
  await ada.typeCode('ada ')
  await bo.typeCode('bo ')
  await bo.typeDocument('Meanwhile.')

  await s.server.start()
  const restarted = Date.now()
  await Promise.all([ada.saved(), bo.saved()])
  t.diagnostic(`both saved ${Date.now() - restarted} ms after the server was ready`)
  const { code, document } = await converge(ada, bo)
  for (const word of ['// Ada\n', '// Bo\n', 'ada ', 'bo ']) assert.ok(code.includes(word), `${word} in ${code}`)
  assert.equal(document, '<paragraph>Ada writes. Bo writes. Meanwhile.</paragraph>')
  await meet(ada, bo)
  await bo.typeCode('after')
  await ada.sees('code', 'after')
  await ada.seesCursor('code', 'Bo')

  // As the browser does when Bo goes to another page, and then back to this one as it was.
  const turn = (event) => bo.page.evaluate((name) => dispatchEvent(new PageTransitionEvent(name, { persisted: true })), event)
  await turn('pagehide')
  await alone(ada)
  await turn('pageshow')
  await meet(ada, bo)
  await bo.page.close()
  await alone(ada)
})

test('saved over Hocuspocus is what the server acknowledged', options, async () => {
  const ada = await s.person('Ada')
  const g = await gate(ada, hocuspocus)
  await ada.enter(overHocuspocus(s.room()))
  await ada.saved()
  const unsaved = () => ada.page.evaluate(() => window.__weft.saved.state.unsaved)

  g.holdEchoes()
  await ada.typeCode('one')
  await until('three acknowledgements are held', () => g.waiting === 3)
  assert.equal(await ada.status(), 'Online · Saving…')
  g.releaseEchoes(2)
  await until('two changes are acknowledged', async () => (await unsaved()) === 1)
  assert.equal(await ada.status(), 'Online · Saving…')
  g.releaseEchoes()
  await ada.saved()
  assert.equal(await unsaved(), 0)

  g.cut()
  await ada.says(/^Offline/)
  await ada.typeCode('offline')
  await ada.says('Offline · 7 changes kept in this browser')
  g.holdEchoes()
  g.restore()
  await ada.online()
  // The provider sends what was written offline change by change, and then all of it at once, for which it counts one.
  await until('the acknowledgement of all is held', () => g.waiting === 1 && g.frames.at(-1) === 'step2')
  assert.deepEqual(g.frames.filter((f) => f !== 'step1'), [...Array(7).fill('update'), 'step2'])
  await ada.typeCode('!')
  await until('the newest is held too', () => g.waiting === 2)
  assert.equal(await ada.status(), 'Online · Saving…')
  assert.equal(await unsaved(), 8, 'changes that are not known to be saved')
  g.releaseEchoes(1)
  await until('what was written offline is acknowledged', async () => (await unsaved()) === 1)
  g.releaseEchoes()
  await ada.saved()

  await ada.page.reload()
  await ada.saved()
  await ada.sees('code', 'oneoffline!')
})

test('what keeps one out or from writing is shown, and the way back is a click', options, async () => {
  const ada = await s.person('Ada')
  const g = await gate(ada, hocuspocus)
  const url = s.room()
  const room = decodeURIComponent(new URL(url).pathname.slice('/r/'.length))
  // Words of the server's: the room's name, the message's type, what it says. @hocuspocus/common/src/auth.ts, v4.8.0
  const text = (words) => [words.length, ...Buffer.from(words)]
  const tell = (...bytes) => g.inject([...text(room), ...bytes])
  const notice = (words) => ada.page.getByRole('alert').filter({ hasText: words }).waitFor({ timeout: 20_000 })

  // Before there is anything to say: the protocol's part of the page does not arrive.
  ada.expectNetworkErrors()
  const script = '**/assets/hocuspocus-*'
  await ada.page.route(script, (route) => route.abort())
  await ada.page.goto(overHocuspocus(url))
  await notice('A part of this page could not be loaded.')
  await ada.page.unroute(script)
  await ada.page.getByRole('button', { name: 'Try again' }).click()
  await ada.saved()

  tell(2, 2, ...text('readonly'))
  await notice('The server does not take changes: you may read this document, but not change it.')
  assert.equal(await ada.page.locator('#notice-action').isVisible(), false, 'there is nothing to try again')
  g.holdEchoes()
  await ada.typeCode('x')
  await ada.says('Online · Not confirmed yet')
  tell(8, 0)
  tell(2, 2, ...text('read-write'))
  await ada.says('Online · Saving…')
  assert.equal(await ada.page.locator('#notice').isVisible(), false)
  g.releaseEchoes()
  await ada.saved()

  const ends = [
    ['The server ended this visit: no token', () => tell(2, 1, ...text('no token'))],
    ['The server ended this visit: moved on', () => tell(7, ...text('moved on'))],
    ['Your change is larger than this server takes: too much', () => g.end(4413, 'too much')],
  ]
  for (const [words, end] of ends) {
    end()
    await notice(words)
    await ada.says(/^Offline/)
    await ada.page.getByRole('button', { name: 'Try again' }).click()
    await ada.saved()
    assert.equal(await ada.page.locator('#notice').isVisible(), false, `notice after ${words}`)
  }
})

test('one person over y-websocket and one over Hocuspocus', options, async () => {
  const url = s.room('both/ways')
  const [ada, bo] = await Promise.all([s.person('Ada'), s.person('Bo')])
  await Promise.all([ada.enter(url), bo.enter(url)])
  assert.equal(await loaded(bo), 0, 'scripts for Hocuspocus that a page over y-websocket loads')
  await bo.page.locator('#status').click()
  await bo.page.getByRole('link', { name: 'Hocuspocus' }).click()
  await bo.page.waitForURL(overHocuspocus(url), { timeout: 20_000 })
  await bo.online()
  assert.equal(await loaded(bo), 1, 'scripts for Hocuspocus that a page over Hocuspocus loads')

  await meet(ada, bo)
  await writeToEachOther(ada, bo)
  await Promise.all([ada.saved(), bo.saved()])
  const { document } = await converge(ada, bo)
  assert.equal(document, '<paragraph>Ada writes. Bo writes. </paragraph>')

  for (const [leaver, stayer, protocol] of [
    [bo, ada, 'Hocuspocus'],
    [ada, bo, 'y-websocket'],
  ]) {
    await stayer.keepStill()
    await leaver.page.locator('#status').click()
    assert.equal(await leaver.page.locator('#status-protocol strong').innerText(), protocol)
    await leaver.page.getByRole('button', { name: 'Work offline' }).click()
    await alone(stayer)
    await leaver.page.keyboard.press('Escape')
    await leaver.typeCode('apart')
    await leaver.says('Offline · 5 changes kept in this browser')
    await leaver.page.locator('#status').click()
    await leaver.page.getByRole('button', { name: 'Reconnect now' }).click()
    await leaver.page.keyboard.press('Escape')
    await leaver.saved()
    await meet(ada, bo)
    await converge(ada, bo)
  }
  assert.ok((await ada.replica()).code.endsWith('apartapart'), 'what both wrote apart')
  await ada.page.close()
  await alone(bo)
})
