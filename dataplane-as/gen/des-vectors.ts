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

/** A function of the generated file: bytes of a vector at the places that another one names. */
export const permuteBytes = `/**
 * Byte i of the result is byte places[i] of \`bytes\`; places are 0 to 15, or 255 for a byte of 0. A module built with
 * relaxed SIMD needs one instruction for it, another one two.
 */
function permuteBytes(bytes: v128, places: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i8x16.relaxed_swizzle(bytes, places)
  return v128.swizzle(bytes, places)
}
`
