// A person at a browser of their own, in one room.

import assert from 'node:assert/strict'
import { until } from './wait.mjs'

// What Chromium itself reports about a server that is down; the page cannot prevent it.
const NETWORK = /WebSocket connection to .* failed|net::ERR_/

/** Somebody with a browser context that nobody else uses, and one page in it. */
export class Person {
  /** Errors that the page reported: uncaught ones and those written to the console. */
  errors = []
  context = null
  page = null
  #options
  #networkMayFail = false
  #pageIsSpecial = false

  constructor(name, options, staysForNext) {
    this.name = name
    this.staysForNext = staysForNext
    this.#options = options
  }

  /** Makes the page ready for a test, with a name and a colour, and nothing kept from earlier ones but databases. */
  async sitDown(browser, color) {
    this.context ??= await browser.newContext(this.#options)
    if (this.page !== null) return
    this.page = await this.context.newPage()
    this.page.on('pageerror', (error) => this.errors.push(`uncaught: ${error.stack ?? error}`))
    this.page.on('console', (message) => this.#onConsole(message))
    await this.page.addInitScript(
      (identity) => {
        if (location.protocol === 'about:' || sessionStorage.getItem('e2e') !== null) return
        sessionStorage.setItem('e2e', 'begun')
        localStorage.clear()
        localStorage.setItem('weft.identity', identity)
      },
      JSON.stringify({ name: this.name, color }),
    )
  }

  /** Ends a test: leaves the room, and closes the page if the next test cannot go on with it. */
  async getUp() {
    if (!this.staysForNext) await this.context.close()
    else if (this.page.isClosed() || this.#pageIsSpecial) {
      await this.page.close()
      this.page = null
    } else {
      await this.page.evaluate(() => location.protocol === 'about:' || sessionStorage.clear())
      await this.page.goto('about:blank')
    }
    this.#pageIsSpecial = false
    this.#networkMayFail = false
  }

  /** Says that the page was changed in a way that the next test must not meet. */
  spoilPage() {
    this.#pageIsSpecial = true
  }

  /** Says that from now on the network fails on purpose. */
  expectNetworkErrors() {
    this.#networkMayFail = true
  }

  /** Opens a page and waits until it is connected and in sync. */
  async enter(url) {
    await this.page.goto(url)
    await this.online()
  }

  /** Waits until the page says that it is online. */
  async online() {
    await this.page.locator('#status[data-link="online"]').waitFor({ timeout: 20_000 })
  }

  /** Waits until the page says that everything is saved. */
  async saved() {
    await this.page.locator('#status[data-link="online"][data-saved="saved"]').waitFor({ timeout: 20_000 })
  }

  /** The status line, as it is read. */
  async status() {
    const parts = await this.page.locator('#status-link, #status-saved').allTextContents()
    return parts.filter((text) => text !== '').join(' · ')
  }

  /** Waits until the status line reads so; a pattern may be given. */
  async says(words) {
    let status
    await until(
      () => `${this.name}'s status is ${words}; it is ${JSON.stringify(status)}`,
      async () => {
        status = await this.status()
        return typeof words === 'string' ? status === words : words.test(status)
      },
    )
  }

  /** Types at the end of the code. */
  async typeCode(text, delay = 0) {
    await this.page.locator('.cm-content').focus()
    await this.page.keyboard.press('Control+End')
    await this.page.keyboard.type(text, { delay })
  }

  /** Types at the end of the document. */
  async typeDocument(text, delay = 0) {
    await this.page.locator('.prose').focus()
    await this.page.keyboard.press('Control+End')
    await this.page.keyboard.type(text, { delay })
  }

  /** What the replica holds: the state vector in hexadecimal, and both editors' content from the document itself. */
  replica() {
    return this.page.evaluate(() => {
      const { doc, stateVector } = window.__weft
      return {
        vector: Array.from(stateVector(), (b) => b.toString(16).padStart(2, '0')).join(''),
        code: doc.getText('codemirror').toString(),
        document: doc.getXmlFragment('default').toString(),
      }
    })
  }

  /** What the two editors show, without other people's cursors. */
  shown() {
    return this.page.evaluate(() => {
      const text = (selector, lines) =>
        Array.from(document.querySelectorAll(`${selector} ${lines}`), (line) => {
          const copy = line.cloneNode(true)
          for (const extra of copy.querySelectorAll('.caret, .cm-placeholder')) extra.remove()
          return copy.textContent
        }).join('\n')
      return { code: text('.cm-content', '.cm-line'), document: text('.prose', ':is(p, h1, h2)') }
    })
  }

  /** Waits for a text in both the document and the editor on the screen. */
  async sees(pane, text) {
    await until(
      async () => `${this.name} sees ${JSON.stringify(text)} in ${pane}; shown: ${JSON.stringify(await this.shown())}`,
      async () => (await this.shown())[pane].includes(text) && (await this.replica())[pane].includes(text),
    )
  }

  /** The names of the others, from their avatars. */
  others() {
    return this.page.locator('#people [data-name]').evaluateAll((list) => list.map((e) => e.dataset.name))
  }

  /** Stops the page from renewing its presence, so that it is heard of only when it moves or comes back. */
  keepStill() {
    return this.page.evaluate(() => clearInterval(window.__weft.awareness._checkInterval)) // y-protocols/awareness.js, v1.0.7
  }

  /** Waits until another person's cursor with their name is in a pane. */
  async seesCursor(pane, name) {
    await this.page.locator(`.pane-${pane} .caret-name`, { hasText: new RegExp(`^${name}$`) }).waitFor({ timeout: 20_000 })
  }

  #onConsole(message) {
    if (message.type() !== 'error' && message.type() !== 'warning') return
    if (this.#networkMayFail && NETWORK.test(message.text())) return
    this.errors.push(`console.${message.type()}: ${message.text()}`)
  }

  /** Fails if the page reported an error. */
  checkErrors() {
    assert.deepEqual(this.errors.splice(0), [], `errors on ${this.name}'s page`)
  }
}

/** Waits until all replicas are the same, and returns what they hold. */
export async function converge(...persons) {
  let replicas
  await until(
    () => `the replicas are the same: ${JSON.stringify(replicas, null, 1)}`,
    async () => {
      replicas = await Promise.all(persons.map((p) => p.replica()))
      return replicas.every((r) => JSON.stringify(r) === JSON.stringify(replicas[0]))
    },
  )
  return replicas[0]
}
