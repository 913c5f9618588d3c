/**
 * Which bits of the DES state the bitsliced kernels keep inverted.
 *
 * The circuits of the S-boxes have no gate with an inverted result and give S(x) ^ S(0). They are used shifted by a
 * c with S(c) = 0: right outputs for inputs x ^ c. Neighbouring S-boxes share inputs; ZEROS are eight such c
 * that agree on the shared bits but for one, which is inverted on the spot.
 */
import { expansion, sboxes } from './des-tables.ts'

const bitOf = (x: number, i: number): number => (x >> (5 - i)) & 1

/** For each S-box an input for which it gives 0. */
export const ZEROS = findZeros()
/** Inputs of S-boxes, as 6 · box + input, that do not arrive as ZEROS wants them. */
export const CONFLICTS = conflicts(ZEROS)

/** Whether bit `n` of a half is kept inverted under `zeros`: as the S-box has it whose inputs 1 to 4 are its nibble. */
export function inverted(zeros: readonly number[], n: number): number {
  return bitOf(zeros[n >> 2], 1 + (n & 3))
}

function conflicts(zeros: readonly number[]): number[] {
  return Array.from({ length: 48 }, (_, k) => k).filter((k) => {
    const [box, i] = [Math.floor(k / 6), k % 6]
    return bitOf(zeros[box], i) !== inverted(zeros, expansion(box, i))
  })
}

function findZeros(): number[] {
  const choices = sboxes.map((box) => box.flatMap((value, x) => (value === 0 ? [x] : [])))
  let best: number[] = []
  let least = Number.POSITIVE_INFINITY
  for (let n = 0; n < 4 ** 8; n++) {
    const zeros = choices.map((list, box) => list[(n >> (2 * box)) & 3])
    const wrong = conflicts(zeros).length
    if (wrong < least) [best, least] = [zeros, wrong]
  }
  return best
}
