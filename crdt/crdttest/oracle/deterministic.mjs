// Yjs draws client ids and guids for every doc, also for the short-lived docs that decoding a subdocument makes.
// This module, imported before Yjs, replaces the source of those draws by a counter: the output cannot depend on
// them any more, and drawing is no longer a sixth of the time.
import { webcrypto } from 'node:crypto'

let state = 0x2545f491

webcrypto.getRandomValues = view => {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
  for (let i = 0; i < bytes.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    bytes[i] = state >>> 24
  }
  return view
}
