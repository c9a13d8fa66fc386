import { defineConfig } from 'vite'

// Built names are absolute (/assets/...), because the room page is served under paths of any depth.
// WEFT_SERVER names a running server for `npm run dev`.
const server = process.env.WEFT_SERVER ?? 'http://127.0.0.1:8080'

// Serves room.html for /r/..., as the Go handler does.
const roomPages = {
  name: 'room-pages',
  configureServer(vite) {
    vite.middlewares.use((request, _response, next) => {
      if (request.url?.startsWith('/r/')) request.url = '/room.html'
      next()
    })
  },
}

export default defineConfig({
  base: '/',
  appType: 'mpa',
  plugins: [roomPages],
  // Two copies of one of these break instanceof checks inside the editors.
  resolve: { dedupe: ['yjs', 'lib0', '@codemirror/state', '@codemirror/view'] },
  server: {
    host: '127.0.0.1',
    proxy: {
      '/v1': server,
      '/yjs': { target: server, ws: true },
      '/hocuspocus': { target: server, ws: true },
    },
  },
  build: {
    target: ['es2023', 'chrome123', 'firefox121', 'safari17.5'],
    modulePreload: { polyfill: false },
    // The editors make one large chunk on purpose: it is served compressed, once, with an immutable name.
    chunkSizeWarningLimit: 1500,
    rollupOptions: { input: ['index.html', 'room.html', '404.html'] },
  },
})
