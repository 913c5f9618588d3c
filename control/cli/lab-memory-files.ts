// The files of a lab that runs in one process: they never touch a disk.

import type { Files } from '../ports.ts'

/** The Files port over a map of path to text; every path is absolute. */
export class MemoryFiles implements Files {
  readonly #files: Map<string, string>

  constructor(files: Map<string, string>) {
    this.#files = files
  }

  read(path: string): Uint8Array {
    const text = this.#files.get(path)
    if (text === undefined) throw new Error(`${path}: there is no such file`)
    const bytes = Buffer.alloc(Buffer.byteLength(text)) // its own: a secret's reader wipes it
    bytes.write(text)
    return bytes
  }

  readSecret(path: string): Uint8Array {
    return this.read(path)
  }

  list(directory: string): string[] {
    const inside = `${directory}/`
    const names = [...this.#files.keys()].filter((path) => path.startsWith(inside))
    return [...new Set(names.map((path) => path.slice(inside.length).split('/')[0]!))].sort()
  }

  exists(path: string): boolean {
    return this.#files.has(path) || this.list(path).length > 0
  }
}
