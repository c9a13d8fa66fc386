// What a Hocuspocus frame says, as far as saving depends on it.

import * as decoding from 'lib0/decoding'

// @hocuspocus/provider/src/types.ts, v4.8.0. A frame is: varstring address, varuint type, body.
const messageSync = 0 // a message of y-protocols
const syncKinds = ['step1', 'step2', 'update'] as const // y-protocols/sync.js, v1.0.7

/** A frame's kind; `other` is everything that saving does not depend on. */
export type FrameKind = (typeof syncKinds)[number] | 'other'

/** The kind of a frame, whoever sent it. */
export function frameKind(frame: Uint8Array): FrameKind {
  if (frame.length === 1) return 'other' // ping and pong have no address
  const decoder = decoding.createDecoder(frame)
  decoding.readVarUint8Array(decoder)
  const type = decoding.readVarUint(decoder)
  if (type === messageSync) return syncKinds[decoding.readVarUint(decoder)] ?? 'other'
  return 'other'
}
