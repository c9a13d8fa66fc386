// Shows the text of a room as it changes, and appends the lines typed here to it.
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { Access, Client, YrsReplica, type State } from './index.js'

const usage = `usage: node build/src/cli.js --room NAME [--url ws://127.0.0.1:8080/native] [--token TOKEN] [--user NAME] [--text NAME]

Prints the text of the room whenever it changes and appends each line of the standard input to it. Ends after the end of
the input, once the server has saved everything. --text names the shared text; the browser demo's code editor has
"codemirror", the default.`

const { values: flags } = parseArgs({
  options: {
    url: { type: 'string', default: 'ws://127.0.0.1:8080/native' },
    room: { type: 'string' },
    token: { type: 'string', default: '' },
    user: { type: 'string', default: 'node' },
    text: { type: 'string', default: 'codemirror' },
    help: { type: 'boolean', default: false }
  }
})
if (flags.help || flags.room === undefined) {
  console.error(usage)
  process.exit(flags.help ? 0 : 2)
}

const client = new Client({ url: flags.url, token: flags.token })
const replica = new YrsReplica()
const text = replica.doc.getText(flags.text)
const room = client.join(flags.room, { replica, presence: { user: { name: flags.user, color: '#7a5af8', colorLight: '#7a5af833' } } })

let shown: string | undefined
let planned = false

/** Shows the text once after everything that changes it in one turn. */
function show (): void {
  if (planned) return
  planned = true
  setImmediate(() => {
    planned = false
    const now = text.toString(undefined)
    if (now === shown) return
    shown = now
    console.log(now.endsWith('\n') || now === '' ? now : `${now}\n`)
  })
}

/** One line about the state of things, apart from the text. */
function say (what: string): void {
  console.error(`-- ${what}`)
}

function nameOf (state: State | undefined): string {
  const user = state?.user as { name?: unknown } | undefined
  return typeof user?.name === 'string' ? user.name : 'somebody'
}

client.on('status', status => say(status))
client.on('lost', why => say(`connection lost: ${why.message}`))
room.on('joined', ({ access, updateBytes }) => {
  say(`joined ${flags.room}${access === Access.WRITE ? '' : ', read-only'}; ${updateBytes} bytes brought the text up to date`)
})
room.on('change', show)
room.on('unsaved', count => say(count === 0 ? 'all saved' : `${count} unsaved`))
room.on('presence', () => say(`here: ${[...room.peers.values()].map(nameOf).join(', ') || 'nobody else'}`))
room.on('refused', why => say(`refused: ${why.message}`))
room.on('ended', why => {
  if (why === undefined) return
  say(`the room is over: ${why.message}`)
  process.exitCode = 1
  input.close()
})

const input = createInterface({ input: process.stdin })
input.on('line', line => {
  text.push(`${line}\n`, undefined, undefined)
  show()
})
input.once('close', () => {
  room.saved().catch(() => {}).then(() => client.close())
})
process.once('SIGINT', () => input.close())
