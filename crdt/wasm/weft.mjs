// The document engine in JavaScript. Load Go's wasm_exec.js first (it defines globalThis.Go), then:
//
//   const weft = await load(bytesOfTheWasmFile)
//   const doc = new weft.Doc({ types: { notes: weft.kinds.text } })
//   doc.apply(update)
//   doc.text('notes')
//
// Updates and state vectors are Uint8Arrays in the encodings of Yjs, version 1 or 2; broken ones throw an Error and
// change nothing. A Doc holds memory until its close.
export const load = async wasm => {
  const go = new globalThis.Go()
  const { instance } = await WebAssembly.instantiate(wasm, go.importObject)
  go.run(instance)
  const engine = globalThis.weftCRDT
  const checked = v => {
    if (v instanceof Error) throw v
    return v
  }

  class Doc {
    #id
    constructor ({ keepDeleted = false, types } = {}) { this.#id = engine.open({ keepDeleted, types }) }
    // apply tells whether the update changed the document.
    apply (update, version = 1) { return checked(engine.apply(this.#id, update, version)) }
    // state is an update with everything that the state vector since does not know.
    state (version = 1, since = undefined) { return checked(engine.state(this.#id, version, since)) }
    stateVector () { return checked(engine.stateVector(this.#id)) }
    text (root) { return checked(engine.export(this.#id, root, 'text')) }
    xml (root) { return checked(engine.export(this.#id, root, 'xml')) }
    json (root) { return JSON.parse(checked(engine.export(this.#id, root, 'json'))) }
    delta (root) { return JSON.parse(checked(engine.export(this.#id, root, 'delta'))) }
    close () { engine.close(this.#id) }
  }

  return {
    Doc,
    kinds: { array: 0, map: 1, text: 2, xmlElement: 3, xmlFragment: 4, xmlHook: 5, xmlText: 6 },
    mergeUpdates: (updates, version = 1) => checked(engine.merge(updates, version)),
    diffUpdate: (update, since, version = 1) => checked(engine.diff(update, since, version)),
    convertUpdate: (update, from, to) => checked(engine.convert(update, from, to))
  }
}
