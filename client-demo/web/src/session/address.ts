// Where the server is: this page's own origin.

/** The address of one of the server's WebSocket endpoints. */
export function serverAddress(path: string): string {
  return location.origin.replace(/^http/, 'ws') + path
}
