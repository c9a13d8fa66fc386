// The pieces that need no connection.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Backoff } from '../src/backoff.js'
import { Edits } from '../src/edits.js'
import { cut } from '../src/fragments.js'
import { lacks } from '../src/vector.js'

test('the back-off doubles its ceiling up to 30 s and keeps what the server asks for', () => {
  const backoff = new Backoff(() => 1)
  assert.deepEqual(Array.from({ length: 9 }, () => backoff.next()), [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000])
  assert.equal(new Backoff(() => 1).next(5000), 5250)
  assert.equal(new Backoff(() => 0).next(), 0)
})

test('the back-off begins anew after a success that lasted', () => {
  let now = 0
  const backoff = new Backoff(() => 1, () => now)
  backoff.next()
  backoff.up()
  now += 9_999
  assert.equal(backoff.next(), 500)
  backoff.up()
  now += 10_000
  assert.equal(backoff.next(), 250)
  now += 10_000
  assert.equal(backoff.next(), 500)
})

test('a server lacks what nobody is about to send it', () => {
  const update = (client: number, clock: number) => [1, 1, client, clock, 4, 1, 1, 116, 1, 49, 0] // one character
  const cases: [string, number[], number[], number[][], boolean][] = [
    ['nothing', [0], [0], [], false],
    ['empty bytes', [], [], [], false],
    ['another author', [0], [1, 9, 1], [], true],
    ['another author later', [1, 9, 3], [1, 9, 4], [], true],
    ['the server knows more', [2, 9, 5, 5, 2], [1, 9, 4], [], false],
    ['own, not to be sent', [0], [1, 5, 1], [], true],
    ['own, to be sent', [0], [1, 5, 1], [update(5, 0)], false],
    ['own, to be sent in two', [1, 5, 7], [1, 5, 9], [update(5, 7), update(5, 8)], false],
    ['own, lost before what is to be sent', [1, 5, 6], [1, 5, 9], [update(5, 7), update(5, 8)], true],
    ['own, only a deletion to be sent', [1, 5, 6], [1, 5, 7], [[0, 1, 5, 1, 0, 1]], true],
    ['large numbers', [1, 0xb8, 0xeb, 0xc2, 0xae, 0x06, 5], [1, 0xb8, 0xeb, 0xc2, 0xae, 0x06, 6], [], true]
  ]
  for (const [name, server, document, updates, want] of cases) {
    assert.equal(lacks(Uint8Array.from(server), Uint8Array.from(document), 5, updates.map(bytes => Uint8Array.from(bytes))), want, name)
  }
  for (const bad of [[1], [1, 5], [0x80], [1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 1]]) {
    assert.throws(() => lacks(Uint8Array.from(bad), Uint8Array.of(0), 5, []), RangeError)
  }
})

test('edits that come back keep their order and their number', () => {
  const edits = new Edits()
  const diff = () => Uint8Array.of(99)
  for (const byte of [1, 2, 3]) edits.add(Uint8Array.of(byte))
  assert.deepEqual(edits.send(1n, 12, 5, diff), [Uint8Array.of(1), Uint8Array.of(2)]) // 6 bytes each
  assert.deepEqual(edits.send(2n, 12, 5, diff), [Uint8Array.of(3)])
  edits.add(Uint8Array.of(4))
  assert.deepEqual([edits.unsaved, edits.waiting, edits.inFlight], [4, 1, 2])
  edits.acknowledged(1n)
  edits.again(2n)
  assert.deepEqual(edits.updates, [Uint8Array.of(3), Uint8Array.of(4)])
  edits.add(new Uint8Array(20))
  assert.deepEqual(edits.send(3n, 12, 5, diff), [Uint8Array.of(3), Uint8Array.of(4)])
  assert.equal(edits.send(4n, 12, 5, diff), undefined)
  assert.equal(edits.unsaved, 3)
})

test('edits that are too many become a diff, until that is acknowledged', () => {
  const edits = new Edits()
  const diff = () => Uint8Array.of(99)
  for (let i = 0; i < 1001; i++) edits.add(Uint8Array.of(1))
  edits.add(Uint8Array.of(2))
  assert.deepEqual([edits.unsaved, edits.updates], [1002, undefined])
  assert.deepEqual(edits.send(1n, 100, 5, diff), [Uint8Array.of(99)])
  edits.add(Uint8Array.of(3))
  edits.again(1n)
  assert.deepEqual([edits.unsaved, edits.updates], [1003, undefined])
  assert.deepEqual(edits.send(2n, 100, 5, diff), [Uint8Array.of(99)])
  edits.acknowledged(2n)
  assert.deepEqual([edits.unsaved, edits.updates], [0, []])
  edits.add(new Uint8Array(1 << 20))
  assert.equal(edits.updates?.length, 1)
  edits.add(Uint8Array.of(4))
  assert.deepEqual([edits.unsaved, edits.updates], [2, undefined])
})

test('parts fit into their frames and make up the whole', () => {
  const whole = Uint8Array.from({ length: 1000 }, (_, i) => i % 251)
  const list = [...cut(whole, 140)]
  assert.deepEqual(list.map(part => part.data.length), Array(10).fill(100))
  assert.deepEqual(list.map(part => part.totalBytes), [1000n, ...Array(9).fill(0n)])
  assert.deepEqual(Buffer.concat(list.map(part => part.data)), Buffer.from(whole))
  assert.throws(() => [...cut(whole, 40)], RangeError)
})
