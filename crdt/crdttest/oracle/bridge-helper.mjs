// The test helper of the pinned Yjs for its published tests, with random tests cut short: those for long runs make
// up to 100,000 changes, which says nothing that the others of the same kind do not.
import * as helper from './node_modules/yjs/tests/testHelper.js'

export * from './node_modules/yjs/tests/testHelper.js'

const mostChanges = 600

export const applyRandomTests = (tc, mods, changes, init) =>
  helper.applyRandomTests(tc, mods, Math.min(changes, mostChanges), init)
