import * as Y from 'ywasm'
import { Version } from './gen/weft_pb.js'

/**
 * A copy of a room's document: all that the protocol needs of a CRDT. Any implementation of Yjs fits behind it.
 * State vectors and diffs are in the encodings of Yjs, diffs and edits in version 1.
 */
export interface Replica {
  readonly clientId: number
  stateVector (): Uint8Array
  /** What this copy has beyond a state vector. */
  diff (stateVector: Uint8Array): Uint8Array
  /** Takes changes of others; throws when they cannot be read. Does not count as an edit. */
  apply (update: Uint8Array, version: Version): void
  /** Calls back for every edit made on this copy, while it is being made: the document cannot be read in there. */
  onEdit (listener: (update: Uint8Array) => void): () => void
}

/** A yrs document, through ywasm. Its owner must not hold a transaction open over an await: updates of others come in between. */
export class YrsReplica implements Replica {
  readonly doc: Y.YDoc
  #applying = false

  constructor (doc: Y.YDoc = new Y.YDoc({})) {
    this.doc = doc
  }

  get clientId (): number {
    return this.doc.id
  }

  stateVector (): Uint8Array {
    return Y.encodeStateVector(this.doc)
  }

  diff (stateVector: Uint8Array): Uint8Array {
    return Y.encodeStateAsUpdate(this.doc, stateVector.length > 0 ? stateVector : undefined)
  }

  apply (update: Uint8Array, version: Version): void {
    this.#applying = true
    try {
      if (version === Version.V2) Y.applyUpdateV2(this.doc, update, undefined)
      else Y.applyUpdate(this.doc, update, undefined)
    } catch (err) {
      throw err instanceof Error ? err : new Error(`yrs: ${err}`) // ywasm throws strings
    } finally {
      this.#applying = false
    }
  }

  onEdit (listener: (update: Uint8Array) => void): () => void {
    const observer = this.doc.onUpdate((update: Uint8Array) => {
      if (!this.#applying) listener(update)
    })
    return () => observer.free()
  }
}
