// What every test file needs: a server, a browser, and people who leave when a test ends.

import { after, afterEach, before } from 'node:test'
import { chromium } from 'playwright-core'
import { Person } from './person.mjs'
import { Server } from './server.mjs'

const COLOURS = ['#5b5bd6', '#c2255c', '#0b7a55', '#a65c00']
const FLAGS = [
  '--no-sandbox', // the tests may run as root
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

const DEFAULTS = { viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce' }

/** Registers a server and a browser for the calling file's tests. */
export function stage() {
  const present = []
  const kept = new Map()
  let rooms = 0
  const s = {
    server: null,
    browser: null,
    /** A room address that no other test uses. */
    room: (prefix = 'room') => `${s.server.url}/r/${prefix}-${++rooms}`,
    /** A person at a browser context of their own; options are those of browser.newContext. */
    async person(name, options) {
      const color = COLOURS[present.length % COLOURS.length]
      let p = options ? undefined : kept.get(name)
      kept.delete(name)
      p ??= new Person(name, { ...DEFAULTS, ...options }, !options)
      present.push(p)
      await p.sitDown(s.browser, color)
      return p
    },
  }
  before(async () => {
    s.server = await Server.start()
    s.browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS })
  })
  afterEach(async () => {
    // Starting a page is most of a test's time, so the next test may go on with a person's page, in another room.
    const leaving = present.splice(0)
    await Promise.all(leaving.map((p) => p.getUp()))
    for (const p of leaving) {
      p.checkErrors()
      if (p.staysForNext) kept.set(p.name, p)
    }
  })
  after(async () => {
    await s.browser?.close()
    await s.server?.stop()
  })
  return s
}
