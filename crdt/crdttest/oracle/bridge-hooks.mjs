// Module hooks of bridge.mjs: the published tests of an early Yjs 13 run on the sources of the pinned one, with its
// own test helper in bridge-helper.mjs, and everybody gets the same copy of Yjs.
const yjs = new URL('./node_modules/yjs/', import.meta.url)

export const resolve = (specifier, context, next) => {
  const found = url => ({ url: new URL(url, yjs).href, shortCircuit: true })
  if (specifier === 'yjs') return found('src/index.js')
  if (context.parentURL?.includes('/yjs-tests/tests/')) {
    if (specifier === './testHelper.js') return { url: new URL('./bridge-helper.mjs', import.meta.url).href, shortCircuit: true }
    if (specifier.startsWith('../src/')) return found(specifier.slice('../'.length))
  }
  return next(specifier, context)
}
