/**
 * Where the bits of S-boxes stand in bytes, for the kernels that keep an S-box in a byte (des-bytes.ts and
 * des-single.ts).
 *
 * The four outputs of an S-box are the low four bits of its byte, in an order of its own. Of the six inputs
 * of an S-box four are gathered into an index without any shift: each comes from an output that stands where
 * the index needs it. The two others select among tables. Such orders are found by trying: for each S-box the
 * outputs that arrive must cover all four places.
 */
import { expansion, P } from './des-tables.ts'
import { random } from './random.ts'

/** Where an input of an S-box comes from. */
export type Source = { box: number; output: number }

/** The output that is input `input` of S-box `box` in the next round. */
export function sourceOf(box: number, input: number): Source {
  const bit = P[expansion(box, input)] - 1
  return { box: bit >> 2, output: bit & 3 }
}

/** The orders of the outputs: `outputBit[box][output]` is the bit of the S-box's byte. */
export const outputBit: readonly (readonly number[])[] = findOrders()

/** The inputs of an S-box by their bit in the key byte: 0 to 3 the index, 4 and 5 the two that select. */
export function inputsByBit(box: number): number[] {
  const inputs = inputsOf(box, outputBit)
  if (inputs === undefined) throw new Error('no order')
  return inputs
}

/** The bit of a key byte of S-box `box` that belongs to `input`. */
export function inputBit(box: number, input: number): number {
  return inputsByBit(box).indexOf(input)
}

function inputsOf(box: number, orders: readonly (readonly number[])[]): number[] | undefined {
  const places = [0, 1, 2, 3, 4, 5].map((input) => {
    const { box: from, output } = sourceOf(box, input)
    return orders[from][output]
  })
  const index = [0, 1, 2, 3].map((place) => places.indexOf(place))
  if (index.includes(-1)) return undefined
  return [...index, ...[0, 1, 2, 3, 4, 5].filter((input) => !index.includes(input))]
}

function findOrders(): number[][] {
  const rng = random(1)
  for (;;) {
    const orders = Array.from({ length: 8 }, () => {
      const order = [0, 1, 2, 3]
      for (let i = 3; i > 0; i--) {
        const j = Math.floor(rng() * (i + 1))
        ;[order[i], order[j]] = [order[j], order[i]]
      }
      return order
    })
    if (orders.every((_, box) => inputsOf(box, orders) !== undefined)) return orders
  }
}
