// The server is killed and started again.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { converge } from './harness/person.mjs'
import { isWeft } from './harness/server.mjs'
import { stage } from './harness/stage.mjs'
import { until } from './harness/wait.mjs'

const s = stage()

async function seeEachOther(ada, bo) {
  await until('each sees the other once', async () => {
    const seen = JSON.stringify([await ada.others(), await bo.others()])
    return seen === JSON.stringify([['Bo'], ['Ada']])
  }, 4000)
}

test('kill -9 and restart: both reconnect, keep editing, and nothing is missing', async (t) => {
  const url = s.room()
  const [ada, bo] = await Promise.all([s.person('Ada'), s.person('Bo')])
  for (const p of [ada, bo]) p.expectNetworkErrors()
  await Promise.all([ada.enter(url), bo.enter(url)])
  await ada.typeCode('before ')
  await bo.typeDocument('Before. ')
  await converge(ada, bo)

  await s.server.kill()
  for (const p of [ada, bo]) await p.says(/^Offline/)
  await ada.typeCode('ada ')
  await bo.typeCode('bo ')
  await bo.typeDocument('Meanwhile.')

  await s.server.start()
  const restarted = Date.now()
  await Promise.all([ada.online(), bo.online()])
  t.diagnostic(`both online ${Date.now() - restarted} ms after the server was ready`)
  const { code, document } = await converge(ada, bo)
  for (const word of ['before ', 'ada ', 'bo ']) assert.ok(code.includes(word), `${word} in ${code}`)
  assert.equal(document, '<paragraph>Before. Meanwhile.</paragraph>')
  await seeEachOther(ada, bo)
  await ada.typeCode('after')
  await bo.sees('code', 'after')

  // Nobody moves this time: presence must come back all the same.
  await s.server.kill()
  for (const p of [ada, bo]) await p.says(/^Offline/)
  await s.server.start()
  await Promise.all([ada.online(), bo.online()])
  await seeEachOther(ada, bo)
})

test('what was shown as saved is there after kill -9, with no browser left to bring it', { skip: !isWeft }, async () => {
  const url = s.room('a/b')
  const ada = await s.person('Ada')
  await ada.enter(url)
  await ada.typeCode('kept for ever')
  await ada.typeDocument('# Kept')
  await ada.saved()
  ada.expectNetworkErrors()
  await s.server.kill()
  await ada.page.close()
  await s.server.start()
  const bo = await s.person('Bo')
  await bo.enter(url)
  await bo.sees('code', 'kept for ever')
  await bo.page.locator('.prose h1', { hasText: 'Kept' }).waitFor()
})
