// The part of the WebAssembly JavaScript interface that the product uses; lib "dom", which declares it otherwise,
// would bring the whole browser.

declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array)
    static imports(module: Module): { module: string; name: string; kind: string }[]
    static exports(module: Module): { name: string; kind: string }[]
  }
  class Instance {
    constructor(module: Module, imports?: Record<string, Record<string, unknown>>)
    readonly exports: Record<string, unknown>
  }
  class Memory {
    /** sizes in pages of 64 KiB */
    constructor(descriptor: { initial: number; maximum?: number; shared?: boolean })
    readonly buffer: ArrayBuffer | SharedArrayBuffer
    grow(pages: number): number
  }
  class RuntimeError extends Error {}
  function validate(bytes: Uint8Array): boolean
}
