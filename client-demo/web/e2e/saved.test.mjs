// The saved state says "saved" only when the server confirmed the newest marker.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gate } from './harness/gate.mjs'
import { isWeft } from './harness/server.mjs'
import { stage } from './harness/stage.mjs'
import { until } from './harness/wait.mjs'

const s = stage()

const phase = (p) => p.page.evaluate(() => window.__weft.saved.state.phase)

test('saved is shown after the echo of the newest marker, not before', async () => {
  const ada = await s.person('Ada')
  const g = await gate(ada)
  await ada.enter(s.room())
  await ada.saved()
  assert.equal(await ada.status(), 'Online · Saved')

  g.holdEchoes()
  await ada.typeCode('one')
  await until('three echoes are held', () => g.waiting === 3)
  assert.equal(await phase(ada), 'saving')
  assert.equal(await ada.status(), 'Online · Saving…')

  // An older echo confirms the older change only.
  g.releaseEchoes(2)
  await until('two changes are confirmed', () => ada.page.evaluate(() => window.__weft.saved.state.unsaved === 1))
  assert.equal(await phase(ada), 'saving')

  g.releaseEchoes()
  await ada.saved()
  assert.equal(g.echoed.at(-1), g.sent.at(-1))
  assert.equal(await ada.page.evaluate(() => window.__weft.saved.state.unsaved), 0)
})

test('what others write does not make one’s own state unsaved', async () => {
  const url = s.room()
  const [ada, bo] = await Promise.all([s.person('Ada'), s.person('Bo')])
  const g = await gate(ada)
  await Promise.all([ada.enter(url), bo.enter(url)])
  await ada.saved()
  g.holdEchoes()
  await bo.typeCode('from Bo')
  await ada.sees('code', 'from Bo')
  assert.equal(await phase(ada), 'saved')
})

test('no marker leaves before the changes made offline did', async () => {
  const ada = await s.person('Ada')
  const g = await gate(ada)
  await ada.enter(s.room())
  await ada.saved()
  g.cut()
  await ada.says(/^Offline/)
  await ada.typeCode('offline')
  const release = g.holdAnswers()
  g.restore()
  await until('the page asks to sync', () => g.frames.includes('step1'))
  await ada.typeCode('x')
  await until('the change is sent', () => g.frames.includes('update'))
  assert.deepEqual(g.frames.filter((f) => f === 'step2' || f === 'marker'), [])
  release()
  await ada.saved()
  assert.ok(g.frames.indexOf('step2') < g.frames.indexOf('marker'), `step2 before marker in ${g.frames}`)
  assert.equal(g.frames.filter((f) => f !== 'step1').at(-1), 'marker')
})

test('not saved before the browser’s own copy is read and confirmed', async () => {
  const ada = await s.person('Ada')
  const g = await gate(ada)
  await ada.page.addInitScript(slowDatabase)
  await ada.page.goto(s.room())
  await ada.online()
  assert.equal(await phase(ada), 'saving')
  await ada.page.evaluate(() => window.releaseDatabase())
  await ada.saved()
  g.cut()
  await ada.says(/^Offline/)
  await ada.typeCode('only here')
  await ada.says('Offline · 9 changes kept in this browser')

  g.restore()
  await ada.page.reload()
  await ada.online()
  await until('a marker came back', () => g.frames.includes('marker') && g.echoed.at(-1) === g.sent.at(-1))
  assert.equal((await ada.replica()).code, '')
  assert.equal(await phase(ada), 'saving')
  await ada.page.evaluate(() => window.releaseDatabase())
  await ada.saved()
  assert.equal((await ada.replica()).code, 'only here')
  assert.ok(g.frames.lastIndexOf('update') < g.frames.lastIndexOf('marker'), `update before marker in ${g.frames}`)
})

// Runs in the page before its scripts: the document's database opens when releaseDatabase is called.
function slowDatabase() {
  const released = new Promise((release) => (window.releaseDatabase = release))
  const open = IDBFactory.prototype.open
  IDBFactory.prototype.open = function (name, ...rest) {
    const request = open.call(this, name, ...rest)
    if (!name.startsWith('weft:')) return request
    Object.defineProperty(request, 'onsuccess', {
      set: (listener) => request.addEventListener('success', async (event) => {
        const late = { target: event.target }
        await released
        listener(late)
      }),
    })
    return request
  }
}

test('a slow confirmation is admitted', async () => {
  const ada = await s.person('Ada')
  const g = await gate(ada)
  g.holdEchoes()
  ada.spoilPage()
  await ada.page.clock.install()
  await ada.enter(s.room())
  await ada.typeCode('x')
  await ada.says('Online · Saving…')
  await ada.page.clock.fastForward(5000)
  assert.equal(await ada.status(), 'Online · Not confirmed yet')
  g.releaseEchoes()
  await ada.saved()
})

test('a connection lost before the echo leaves the change unsaved', async () => {
  const ada = await s.person('Ada')
  const g = await gate(ada)
  await ada.enter(s.room())
  await ada.saved()
  g.holdEchoes()
  await ada.typeCode('ab')
  await until('two echoes are held', () => g.waiting === 2)
  g.cut()
  await ada.says('Offline · 2 changes kept in this browser')
  g.releaseEchoes()
  g.restore()
  await ada.saved()
})

test('a server that takes no changes says why, until it confirms again', async () => {
  const ada = await s.person('Ada')
  const g = await gate(ada)
  await ada.enter(s.room())
  await ada.saved()
  g.holdEchoes()
  await ada.typeCode('ab')
  await until('two echoes are held', () => g.waiting === 2)
  const reason = 'read-only: disk is full'
  g.inject([2, 0, reason.length, ...Buffer.from(reason)]) // auth, permission denied; y-protocols/auth.js, v1.0.7
  const notice = ada.page.getByRole('alert')
  await notice.filter({ hasText: `The server does not take changes: ${reason}. What you write is kept in this browser.` }).waitFor()
  assert.equal(await ada.page.locator('#notice-action').isVisible(), false, 'there is nothing to try again')
  assert.equal(await ada.status(), 'Online · Not confirmed yet')

  g.releaseEchoes(1)
  await until('one change is confirmed', () => ada.page.evaluate(() => window.__weft.saved.state.unsaved === 1))
  assert.equal(await notice.isVisible(), true, 'the notice stays while a change is not confirmed')
  g.releaseEchoes()
  await ada.saved()
  assert.equal(await notice.isVisible(), false, 'the notice goes when all is confirmed')
})

test('without a gate: saved by weft, never by a server that cannot confirm', async () => {
  const ada = await s.person('Ada')
  await ada.enter(s.room())
  await ada.typeCode('x')
  if (isWeft) {
    await ada.saved()
    assert.ok((await ada.page.evaluate(() => window.__weft.saved.state.confirmedIn)) > 0)
    return
  }
  assert.equal(await phase(ada), 'saving')
  assert.equal(await ada.page.evaluate(() => window.__weft.saved.state.confirmedIn), null)
})
