// The reference y-websocket server with this demo's pages, for working on the pages without weft and for telling
// whether a failing test is the page's fault or the server's. It keeps documents in memory and knows no saved marker.
//
//   node e2e/reference.mjs --listen 127.0.0.1:5174 [--ready-file PATH]

import { readFile, rename, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { parseArgs } from 'node:util'
import { docs, setupWSConnection } from '@y/websocket-server/utils'
import WebSocket from 'ws'

const { values: flags } = parseArgs({
  options: { listen: { type: 'string', default: '127.0.0.1:0' }, 'ready-file': { type: 'string' } },
})
const [host, port] = flags.listen.split(':')
const dist = new URL('../dist', import.meta.url).pathname
const types = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css' }

const server = createServer(async (request, response) => {
  const path = new URL(request.url, 'http://host').pathname
  if (path === '/v1/rooms') {
    const rooms = Array.from(docs, ([name, doc]) => ({ name, people: doc.conns.size, bytes: 0 }))
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ rooms }))
    return
  }
  const file = path === '/' ? 'index.html' : path.startsWith('/r/') ? 'room.html' : normalize(path)
  try {
    const body = await readFile(join(dist, file))
    response.writeHead(200, { 'Content-Type': types[extname(file)], 'Content-Security-Policy': policy }).end(body)
  } catch {
    response.writeHead(404, { 'Content-Type': types['.html'] }).end(await readFile(join(dist, '404.html')))
  }
})
const policy = "default-src 'self'; connect-src 'self' ws: wss:; style-src 'self' 'unsafe-inline'; img-src 'self' data:"

const sockets = new WebSocket.Server({ noServer: true })
server.on('upgrade', (request, socket, head) => {
  const path = new URL(request.url, 'http://host').pathname
  if (!path.startsWith('/yjs/')) {
    socket.destroy()
    return
  }
  const docName = decodeURIComponent(path.slice('/yjs/'.length))
  sockets.handleUpgrade(request, socket, head, (ws) => setupWSConnection(ws, request, { docName }))
})

server.listen(Number(port), host, async () => {
  const listen = `${host}:${server.address().port}`
  console.log(`http://${listen}/`)
  const ready = flags['ready-file']
  if (ready === undefined) return
  // Whole or not at all: the tests poll for this file.
  await writeFile(ready + '.part', JSON.stringify({ listen }))
  await rename(ready + '.part', ready)
})
