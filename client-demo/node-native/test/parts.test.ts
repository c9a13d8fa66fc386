// The pieces that need no connection.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Backoff } from '../src/backoff.js'
import { cut } from '../src/fragments.js'
import { exceeds } from '../src/replica.js'

test('the back-off doubles its ceiling up to 30 s and keeps what the server asks for', () => {
  const backoff = new Backoff(() => 1)
  assert.deepEqual(Array.from({ length: 9 }, () => backoff.next()), [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000])
  backoff.reset()
  assert.equal(backoff.next(5000), 5250)
  assert.equal(new Backoff(() => 0).next(), 0)
})

test('a state vector exceeds another one where it knows a later clock', () => {
  const cases: [number[], number[], boolean][] = [
    [[0], [0], false],
    [[], [], false],
    [[1, 5, 1], [0], true],
    [[1, 5, 1], [], true],
    [[0], [1, 5, 1], false],
    [[1, 5, 3], [1, 5, 3], false],
    [[1, 5, 4], [2, 9, 9, 5, 3], true],
    [[1, 0xb8, 0xeb, 0xc2, 0xae, 0x06, 6], [1, 0xb8, 0xeb, 0xc2, 0xae, 0x06, 5], true]
  ]
  for (const [a, b, want] of cases) {
    assert.equal(exceeds(Uint8Array.from(a), Uint8Array.from(b)), want, `exceeds(${a}; ${b})`)
  }
  for (const bad of [[1], [1, 5], [0x80], [1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 1]]) {
    assert.throws(() => exceeds(Uint8Array.from(bad), Uint8Array.of(0)), RangeError)
  }
})

test('parts fit into their frames and make up the whole', () => {
  const whole = Uint8Array.from({ length: 1000 }, (_, i) => i % 251)
  const list = [...cut(whole, 140)]
  assert.deepEqual(list.map(part => part.data.length), Array(10).fill(100))
  assert.deepEqual(list.map(part => part.totalBytes), [1000n, ...Array(9).fill(0n)])
  assert.deepEqual(Buffer.concat(list.map(part => part.data)), Buffer.from(whole))
  assert.throws(() => [...cut(whole, 40)], RangeError)
})
