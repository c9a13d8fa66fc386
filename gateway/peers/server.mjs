// Starts a server of others on a free port of the loopback interface, without persistence, and writes what
// .ci/bench-gateway wants to know into a file: node server.mjs y-websocket|hocuspocus FILE
import http from 'node:http'
import { createRequire } from 'node:module'
import { renameSync, writeFileSync } from 'node:fs'

const [which, file] = process.argv.slice(2)
const require = createRequire(import.meta.url)

const starts = {
  // As its own server.js does it.
  async 'y-websocket' () {
    const { default: WebSocket } = await import('ws')
    const { setupWSConnection } = await import('@y/websocket-server/utils')
    const wss = new WebSocket.Server({ noServer: true })
    wss.on('connection', setupWSConnection)
    const server = http.createServer((_, response) => response.end('okay'))
    server.on('upgrade', (request, socket, head) => {
      wss.handleUpgrade(request, socket, head, ws => wss.emit('connection', ws, request))
    })
    await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
    return server.address().port
  },
  async hocuspocus () {
    const { Server } = await import('@hocuspocus/server')
    const server = new Server({ address: '127.0.0.1', port: 0, quiet: true, stopOnSignals: true })
    await server.listen(0)
    return server.address.port
  }
}

const port = await starts[which]()
const names = { 'y-websocket': '@y/websocket-server', hocuspocus: '@hocuspocus/server' }
const { version } = require(`./node_modules/${names[which]}/package.json`)
writeFileSync(file + '.part', JSON.stringify({ pid: process.pid, listen: `127.0.0.1:${port}`, server: `${names[which]} ${version}`, node: process.version }))
renameSync(file + '.part', file)
