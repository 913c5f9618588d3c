/** Lists of v128 constants in the text of a generated file: in memory, since V8 builds an immediate anew at every use. */

/** 16 bytes. */
export type Vector = readonly number[]
/** A list of vectors under a name. */
export type Constant = { name: string; about: string; vectors: readonly Vector[] }

export function constant(name: string, about: string, vectors: readonly Vector[]): Constant {
  return { name, about, vectors }
}

/** The declarations of constants. */
export function vectorList(constants: readonly Constant[]): string {
  return constants
    .map(({ name, about, vectors }) => {
      const lines = vectors.map((bytes) => `    ${bytes.join(', ')},`)
      return `/** ${about[0].toUpperCase()}${about.slice(1)}. */\nconst ${name} = memory.data<u8>(\n  [\n${lines.join('\n')}\n  ],\n  16,\n)\n`
    })
    .join('\n')
}
