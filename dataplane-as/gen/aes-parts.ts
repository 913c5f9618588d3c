/**
 * What the AES kernels are put together from: bitsliced, 8 blocks in 8 lanes, one v128 per bit.
 *
 * Layout of the state: register q_i holds bit i of every byte; byte p of the register is position p of the
 * block, bit b inside that byte is lane b. Positions are row-major, p = 4·row + column, so that the rotations
 * of MixColumns are moves of whole 32-bit words (one pshufd each).
 *
 * ShiftRows commutes with SubBytes and is done before it. In round 1 it is part of the permutation that
 * brings the input to row-major order, and the last round needs none; so the state between the rounds stands
 * "shifted", and so do round keys 0 to rounds-1 (aesExpandKey stores them like that). Decryption walks the same
 * states backwards and reads the same keys.
 */
import { forwardSbox } from './aes-sbox.ts'
import { type Gate, v128Gates, writeCircuit } from './circuit.ts'
import { type Lines, names } from './text.ts'

/** Blocks that are worked on at once. */
export const LANES = 8
/** Bytes of one sliced round key: 8 registers. */
export const ROUND_KEY_BYTES = 128

/** Swap-moves that transpose 8 registers as 8x8 bit matrices, once per byte position; its own inverse. */
export function transpose(lines: Lines, x: readonly string[], tag: string): void {
  let n = 0
  for (const [step, mask] of [
    [1, 'm1'],
    [2, 'm2'],
    [4, 'm4'],
  ] as const) {
    for (let low = 0; low < LANES; low++) {
      if (low & step) continue
      const [a, b] = [x[low], x[low + step]]
      const t = `${tag}${n++}`
      lines.add(
        `const ${t} = v128.and(v128.xor(i64x2.shr_u(${a}, ${step}), ${b}), ${mask})`,
        `${b} = v128.xor(${b}, ${t})`,
        `${a} = v128.xor(${a}, i64x2.shl(${t}, ${step}))`,
      )
    }
  }
}

/** The masks of `transpose`. */
export function loadMasks(lines: Lines): void {
  lines.add(
    'const m1 = v128.load(AES_MASKS)',
    'const m2 = v128.load(AES_MASKS, 16)',
    'const m4 = v128.load(AES_MASKS, 32)',
  )
}

/** q = S-box of q, bit by bit; `key` adds a round key to the result. */
export function substitute(
  lines: Lines,
  circuit: readonly Gate[],
  q: readonly string[],
  tag: string,
  addKey: boolean,
): void {
  const { lines: gates, outputs } = writeCircuit(circuit, q, tag, v128Gates)
  lines.add(...gates)
  q.forEach((name, i) => {
    lines.add(`${name} = ${addKey ? `v128.xor(${outputs[i]}, v128.load(key, ${16 * i}))` : outputs[i]}`)
  })
}

const rotateRows1 = (a: string): string => `v128.shuffle<i32>(${a}, ${a}, 1, 2, 3, 0)`
const rotateRows2 = (a: string): string => `v128.shuffle<i32>(${a}, ${a}, 2, 3, 0, 1)`

/**
 * MixColumns: with r = q of the next row and u = q ^ r, the result is xtime(u) ^ r ^ (u two rows on).
 * xtime moves bit i-1 to i and adds bit 7 to bits 0, 1, 3 and 4 (x^8 = x^4 + x^3 + x + 1). `wrap` is applied
 * to each result.
 */
export function mixColumns(
  lines: Lines,
  q: readonly string[],
  wrap: (value: string, i: number) => string,
): void {
  for (let i = 0; i < 8; i++) {
    lines.add(`const r${i} = ${rotateRows1(q[i])}`, `const u${i} = v128.xor(${q[i]}, r${i})`)
  }
  for (let i = 0; i < 8; i++) {
    let value = `v128.xor(v128.xor(r${i}, ${rotateRows2(`u${i}`)}), u${(i + 7) % 8})`
    if (i === 1 || i === 3 || i === 4) value = `v128.xor(${value}, u7)`
    lines.add(`${q[i]} = ${wrap(value, i)}`)
  }
}

/** The first step of InvMixColumns: q ^= 4·v with v = q ^ (q two rows on); MixColumns does the rest. */
export function premixColumns(lines: Lines, q: readonly string[]): void {
  for (let i = 0; i < 8; i++) lines.add(`const v${i} = v128.xor(${q[i]}, ${rotateRows2(q[i])})`)
  lines.add('const v67 = v128.xor(v6, v7)')
  const quadruple = [['v6'], ['v67'], ['v0', 'v7'], ['v1', 'v6'], ['v2', 'v67'], ['v3', 'v7'], ['v4'], ['v5']]
  quadruple.forEach((terms, i) => {
    lines.add(`${q[i]} = ${terms.reduce((sum, term) => `v128.xor(${sum}, ${term})`, q[i])}`)
  })
}

/** The names of lane addresses p0 to p7, loaded from the table at `lanes`. */
export function loadLanes(lines: Lines): void {
  names('p', LANES).forEach((p, i) => {
    lines.add(`let ${p} = <usize>load<u32>(lanes, ${4 * i})`)
  })
}

/**
 * Encrypts the 8 blocks in q, which stand in row-major order with shifted rows; afterwards they stand in
 * row-major order. Reads `keys`, `rounds`, the masks and `shift`.
 */
export function encryptBlocks(lines: Lines, q: readonly string[]): void {
  transpose(lines, q, 'a')
  q.forEach((x, i) => {
    lines.add(`${x} = v128.xor(${x}, v128.load(keys, ${16 * i}))`)
  })
  lines.add('let key = keys', 'let round = rounds - 1')
  lines.block('do {', '} while (--round > 0)', () => {
    lines.add(`key += ${ROUND_KEY_BYTES}`)
    substitute(lines, forwardSbox, q, 'r', false)
    const addKey = (value: string, i: number) =>
      `v128.xor(v128.swizzle(${value}, shift), v128.load(key, ${16 * i}))`
    mixColumns(lines, q, addKey)
  })
  lines.add(`key += ${ROUND_KEY_BYTES}`)
  substitute(lines, forwardSbox, q, 'l', true)
  transpose(lines, q, 'b')
}
