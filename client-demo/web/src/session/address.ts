// Where the server is: this page's own origin.

/** The address that y-websocket providers connect to, without the room. */
export function serverAddress(): string {
  return location.origin.replace(/^http/, 'ws') + '/yjs'
}
