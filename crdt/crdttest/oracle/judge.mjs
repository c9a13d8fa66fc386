// Answers questions about updates for as long as it is asked: one JSON object per line on stdin, the answer as one
// line on stdout, in order. Byte fields are base64. What Yjs throws is an answer: {"error": "..."}.
//
//   {"op":"apply","updates":[..],"version":1,"gc":true,"typed":false,"view":false}
//       -> {"v1","v2","sv","pending","view"}   a fresh doc that applied the updates in order
//   {"op":"merge","updates":[..],"version":1}  -> {"update"}
//   {"op":"diff","updates":[update, stateVector],"version":1} -> {"update"}
//   {"op":"convert","updates":[update],"version":1} -> {"update"}   to the other version
//   {"op":"stateVector","updates":[update],"version":1} -> {"sv"}
//   {"op":"describe","scenario":{updates,choices},"fields":[..]} -> the fields of describe.mjs
//
// Yjs trusts its peers: hostile updates can make it hang or take all memory. The caller sets a time limit and kills.
import './deterministic.mjs'
import { createInterface } from 'node:readline'
import * as Y from 'yjs'
import { describe } from './describe.mjs'
import { base64, declare, unbase64, view } from './view.mjs'

const versions = {
  1: { apply: Y.applyUpdate, merge: Y.mergeUpdates, diff: Y.diffUpdate, convert: Y.convertUpdateFormatV1ToV2, sv: Y.encodeStateVectorFromUpdate },
  2: { apply: Y.applyUpdateV2, merge: Y.mergeUpdatesV2, diff: Y.diffUpdateV2, convert: Y.convertUpdateFormatV2ToV1, sv: Y.encodeStateVectorFromUpdateV2 }
}

const operations = {
  apply: ({ gc, typed, view: wanted }, updates, yjs) => {
    const doc = new Y.Doc({ gc })
    doc.clientID = 1
    if (typed) declare(doc)
    for (const u of updates) yjs.apply(doc, u)
    return {
      v1: base64(Y.encodeStateAsUpdate(doc)),
      v2: base64(Y.encodeStateAsUpdateV2(doc)),
      sv: base64(Y.encodeStateVector(doc)),
      pending: doc.store.pendingStructs !== null || doc.store.pendingDs !== null,
      ...(wanted ? { view: view(doc) } : {})
    }
  },
  merge: (_, updates, yjs) => ({ update: base64(yjs.merge(updates)) }),
  diff: (_, [update, sv], yjs) => ({ update: base64(yjs.diff(update, sv)) }),
  convert: (_, [update], yjs) => ({ update: base64(yjs.convert(update)) }),
  stateVector: (_, [update], yjs) => ({ sv: base64(yjs.sv(update)) }),
  describe: ({ scenario: { updates, choices }, fields }) =>
    describe(updates.map(u => ({ c: u.c, v1: unbase64(u.v1), v2: unbase64(u.v2) })), choices, fields)
}

const answer = question => {
  try {
    const updates = (question.updates ?? []).map(unbase64)
    return operations[question.op](question, updates, versions[question.version ?? 1])
  } catch (err) {
    return { error: String(err) }
  }
}

// Yjs reports some broken updates on the console too; stdout is for answers only.
console.log = console.warn = console.info = console.error

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(answer(JSON.parse(line))) + '\n')
}
