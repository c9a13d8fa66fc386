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
  const persons = []
  const contexts = new Map()
  let rooms = 0
  let coming = 0
  const s = {
    server: null,
    browser: null,
    /** A room address that no other test uses. */
    room: (prefix = 'room') => `${s.server.url}/r/${prefix}-${++rooms}`,
    /** A person at a browser context of their own; options are those of browser.newContext. */
    async person(name, options) {
      const color = COLOURS[coming++ % COLOURS.length]
      // A context per name is kept for the whole file, because a warm one opens a page twice as fast.
      const context = options || !contexts.has(name) ? await s.browser.newContext({ ...DEFAULTS, ...options }) : contexts.get(name)
      if (!options) contexts.set(name, context)
      const p = await Person.create(context, name, color)
      p.leave = () => (options ? context.close() : p.page.close())
      persons.push(p)
      return p
    },
  }
  before(async () => {
    s.server = await Server.start()
    s.browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS })
  })
  afterEach(async () => {
    coming = 0
    const leaving = persons.splice(0)
    await Promise.all(leaving.map((p) => p.leave()))
    for (const p of leaving) p.checkErrors()
  })
  after(async () => {
    await s.browser?.close()
    await s.server?.stop()
  })
  return s
}
