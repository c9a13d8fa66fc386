// Waiting for a condition outside the browser.

import { setTimeout as sleep } from 'node:timers/promises'

/** Calls probe until it returns something true and returns that; throws with what() once `within` ms have passed. */
export async function until(what, probe, within = 20_000) {
  const end = Date.now() + within
  for (;;) {
    const got = await probe()
    if (got) return got
    if (Date.now() > end) throw new Error(`not within ${within} ms: ${typeof what === 'function' ? await what() : what}`)
    await sleep(25)
  }
}
