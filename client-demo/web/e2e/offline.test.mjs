// Editing without the server, and coming back.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gate } from './harness/gate.mjs'
import { converge } from './harness/person.mjs'
import { stage } from './harness/stage.mjs'
import { until } from './harness/wait.mjs'

const s = stage()

test('one works offline on purpose, both edit, and everybody has everything afterwards', async () => {
  const url = s.room()
  const [ada, bo] = await Promise.all([s.person('Ada'), s.person('Bo')])
  const g = await gate(ada) // so that both servers confirm
  await Promise.all([ada.enter(url), bo.enter(url)])
  await ada.typeCode('start ')
  await bo.sees('code', 'start ')
  await ada.saved()

  await ada.page.locator('#status').click()
  await ada.page.getByRole('button', { name: 'Work offline' }).click()
  await ada.says('Offline · edits kept in this browser')
  await ada.page.keyboard.press('Escape')
  await until('Bo sees that Ada left', async () => (await bo.others()).length === 0, 2000)
  await ada.typeCode('ada ')
  await ada.typeDocument('Ada was here.')
  await bo.typeCode('bo ')
  await bo.typeDocument('Bo was here. ')
  await ada.says(`Offline · ${'ada '.length + 'Ada was here.'.length} changes kept in this browser`)
  assert.equal(g.echoed.at(-1), g.sent.at(-1))

  await ada.page.locator('#status').click()
  await ada.page.getByRole('button', { name: 'Reconnect now' }).click()
  await ada.saved()
  const { code, document } = await converge(ada, bo)
  for (const word of ['start ', 'ada ', 'bo ']) assert.ok(code.includes(word), `${word} in ${code}`)
  for (const word of ['Ada was here.', 'Bo was here.']) assert.ok(document.includes(word), `${word} in ${document}`)
  assert.equal(g.echoed.at(-1), g.sent.at(-1))
})

test('edits made while cut off survive a reload, count as unsaved, and arrive', async () => {
  const url = s.room()
  const [ada, bo] = await Promise.all([s.person('Ada'), s.person('Bo')])
  const g = await gate(ada)
  await Promise.all([ada.enter(url), bo.enter(url)])
  await ada.typeCode('start ')
  await bo.sees('code', 'start ')
  await ada.saved()

  g.cut()
  await ada.says(/^Offline/)
  await ada.typeCode('ada ')
  await ada.typeDocument('Offline note')
  await bo.typeCode('bo ')
  const changes = 'ada '.length + 'Offline note'.length
  await ada.says(`Offline · ${changes} changes kept in this browser`)

  await ada.page.reload()
  await ada.sees('code', 'start ada ')
  await ada.sees('document', 'Offline note')
  await ada.says(`Offline · ${changes} changes kept in this browser`)
  await ada.typeCode('again ')
  await ada.says(`Offline · ${changes + 'again '.length} changes kept in this browser`)
  assert.equal((await bo.replica()).code, 'start bo ')

  g.holdEchoes()
  g.restore()
  await ada.online()
  await bo.sees('code', 'again ')
  assert.equal(await ada.status(), 'Online · Saving…', 'arrived is not yet saved')
  g.releaseEchoes()
  await ada.saved()
  const { code, document } = await converge(ada, bo)
  for (const word of ['start ', 'ada ', 'bo ', 'again ']) assert.ok(code.includes(word), `${word} in ${code}`)
  assert.equal(document, '<paragraph>Offline note</paragraph>')

  await ada.page.reload()
  await ada.saved()
  assert.equal(await ada.page.evaluate(() => window.__weft.saved.state.unsaved), 0)
})

test('kept in this browser is not said before it is so', async () => {
  const ada = await s.person('Ada')
  const g = await gate(ada)
  await ada.enter(s.room())
  await ada.saved()
  g.cut()
  await ada.says('Offline · edits kept in this browser')
  await ada.page.evaluate(lockDatabase)
  await ada.typeCode('abc')
  await ada.says('Offline · keeping 3 changes…')
  await ada.page.evaluate(() => window.unlockDatabase())
  await ada.says('Offline · 3 changes kept in this browser')
  await ada.page.reload()
  await ada.sees('code', 'abc')
})

// Runs in the page: keeps a write transaction on the document's database open until unlockDatabase is called.
async function lockDatabase() {
  const { name } = (await indexedDB.databases()).find((d) => d.name.startsWith('weft:') && d.name.endsWith(decodeURIComponent(location.pathname.slice(3))))
  let locked = true
  window.unlockDatabase = () => (locked = false)
  await new Promise((begun) => {
    const request = indexedDB.open(name)
    request.onsuccess = () => {
      const store = request.result.transaction('updates', 'readwrite').objectStore('updates')
      const again = () => {
        begun()
        if (locked) store.count().onsuccess = again
      }
      again()
    }
  })
}

test('a copy that can no longer be written is not called kept, and closing the page is questioned', async () => {
  for (const [how, breakIt] of [
    ['writes fail', failWrites],
    ['the database is deleted', deleteDatabase],
  ]) {
    const ada = await s.person('Ada', {}) // a context of its own: what is broken stays here
    const g = await gate(ada)
    await ada.enter(s.room())
    await ada.saved()
    g.cut()
    await ada.says('Offline · edits kept in this browser')
    await ada.typeCode('ab')
    await ada.says('Offline · 2 changes kept in this browser')
    assert.equal(await ada.page.evaluate(closesUnasked), true, `the page closes unasked before ${how}`)

    await ada.page.evaluate(breakIt)
    await ada.typeCode('c')
    await ada.says('Offline · 3 changes kept in this tab only')
    await ada.typeCode('def')
    await ada.says('Offline · 6 changes kept in this tab only')
    assert.equal(await ada.page.evaluate(closesUnasked), false, `the page closes unasked though ${how}`)

    g.restore()
    await ada.saved()
    assert.equal(await ada.page.evaluate(closesUnasked), true, `the page closes unasked when all is saved though ${how}`)
    // The one write that failed is y-indexeddb's own promise, which nobody can catch.
    const lost = ada.errors.splice(0)
    assert.equal(lost.filter((e) => !e.includes('AbortError')).length, 0, `errors when ${how}: ${lost}`)
    assert.ok(lost.length <= 1, `errors when ${how}: ${lost}`)
  }
})

// Runs in the page: every write fails as on a full disk, by an abort of its transaction.
function failWrites() {
  const add = IDBObjectStore.prototype.add
  IDBObjectStore.prototype.add = function (...args) {
    const request = add.apply(this, args)
    this.transaction.abort()
    return request
  }
}

// Runs in the page: takes the document's database away, as clearing the site's data elsewhere does.
async function deleteDatabase() {
  const { name } = (await indexedDB.databases()).find((d) => d.name.startsWith('weft:'))
  await new Promise((done, failed) => {
    const request = indexedDB.deleteDatabase(name)
    request.onsuccess = done
    request.onerror = failed
  })
}

// Runs in the page: whether the browser would close the page without asking.
function closesUnasked() {
  return dispatchEvent(new Event('beforeunload', { cancelable: true }))
}

test('a room opened without the server can be written in, and reaches the server later', async () => {
  const url = s.room()
  const ada = await s.person('Ada')
  const g = await gate(ada)
  g.cut()
  await ada.page.goto(url)
  await ada.says(/^Offline/)
  await ada.typeCode('first')
  await ada.says('Offline · 5 changes kept in this browser')
  g.restore()
  await ada.saved()
  const bo = await s.person('Bo')
  await bo.enter(url)
  await bo.sees('code', 'first')
})

test('a server that ends the visit for good says why, and the way back is a click', async () => {
  const ada = await s.person('Ada')
  let refuse = true
  ada.spoilPage()
  await ada.page.routeWebSocket(/\/yjs\//, (socket) => {
    if (refuse) socket.close({ code: 4403, reason: 'this room is closed' })
    else socket.connectToServer()
  })
  await ada.page.goto(s.room())
  await ada.page.getByText('The server ended this visit: this room is closed').waitFor()
  refuse = false
  await ada.page.getByRole('button', { name: 'Try again' }).click()
  await ada.online()
  assert.equal(await ada.page.locator('#notice').isVisible(), false)
})

test('a change that is larger than the server takes is named as the cause, with a way out', async () => {
  const ada = await s.person('Ada')
  ada.spoilPage()
  // As a server does that takes no message over 100 kB.
  const most = 100_000
  let refusals = 0
  await ada.page.routeWebSocket(/\/yjs\//, (socket) => {
    const server = socket.connectToServer()
    socket.onMessage((message) => {
      if (message.length <= most) return server.send(message)
      refusals++
      socket.close({ code: 4413, reason: 'a message is larger than this server accepts' })
    })
  })
  await ada.enter(s.room())
  await ada.typeCode('small ')
  await ada.sees('code', 'small ')
  await ada.page.keyboard.insertText('x'.repeat(2 * most))
  const notice = ada.page.getByRole('alert').filter({ hasText: 'Your change is larger than this server takes' })
  await notice.filter({ hasText: '“Try again” will not help by itself: undo the change, then reload this page.' }).waitFor()
  await ada.page.getByRole('button', { name: 'Try again' }).click()
  await until('the change is refused again', () => refusals === 2)
  await notice.waitFor()

  await ada.page.getByRole('button', { name: 'Undo my change' }).last().click()
  await ada.says(/^Offline · .* kept in this browser$/)
  assert.ok((await ada.replica()).code.length < most)
  await ada.page.reload()
  await ada.online()
  await ada.typeCode('again')
  await ada.sees('code', 'again')
  assert.equal(await ada.page.locator('#notice').isVisible(), false)
})
