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
import { forwardSbox, inverseSbox } from './aes-sbox.ts'
import { type Gate, v128Gates, writeCircuit } from './circuit.ts'
import { type Lines, names } from './text.ts'

/** Lanes of a group. */
export const LANES = 8
/** Groups that a kernel works on at once. */
export type Groups = 1 | 2
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

/** q = S-box of q, bit by bit; the round key at `key`, if there is one, is added to the result. */
function substitute(
  lines: Lines,
  circuit: readonly Gate[],
  q: readonly string[],
  tag: string,
  key?: string,
): void {
  const { lines: gates, outputs } = writeCircuit(circuit, q, tag, v128Gates)
  lines.add(...gates)
  q.forEach((name, i) => {
    lines.add(`${name} = ${key ? `v128.xor(${outputs[i]}, v128.load(${key}, ${16 * i}))` : outputs[i]}`)
  })
}

const rotateRows1 = (a: string): string => `v128.shuffle<i32>(${a}, ${a}, 1, 2, 3, 0)`
const rotateRows2 = (a: string): string => `v128.shuffle<i32>(${a}, ${a}, 2, 3, 0, 1)`

/**
 * MixColumns: with r = q of the next row and u = q ^ r, the result is xtime(u) ^ r ^ (u two rows on).
 * xtime moves bit i-1 to i and adds bit 7 to bits 0, 1, 3 and 4 (x^8 = x^4 + x^3 + x + 1). `wrap` is applied
 * to each result.
 */
function mixColumns(lines: Lines, q: readonly string[], wrap: (value: string, i: number) => string): void {
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
function premixColumns(lines: Lines, q: readonly string[]): void {
  for (let i = 0; i < 8; i++) lines.add(`const v${i} = v128.xor(${q[i]}, ${rotateRows2(q[i])})`)
  lines.add('const v67 = v128.xor(v6, v7)')
  const quadruple = [['v6'], ['v67'], ['v0', 'v7'], ['v1', 'v6'], ['v2', 'v67'], ['v3', 'v7'], ['v4'], ['v5']]
  quadruple.forEach((terms, i) => {
    lines.add(`${q[i]} = ${terms.reduce((sum, term) => `v128.xor(${sum}, ${term})`, q[i])}`)
  })
}

/** The names of lane addresses p0, p1, .. of all groups, loaded from the table at `lanes`. */
export function loadLanes(lines: Lines, groups: Groups): void {
  names('p', groups * LANES).forEach((p, i) => {
    lines.add(`let ${p} = <usize>load<u32>(lanes, ${4 * i})`)
  })
}

/** One round in q with the round key at \`key\`, between the first key and the last round. */
const rounds = {
  encrypt: (lines: Lines, q: readonly string[], key: string) => {
    substitute(lines, forwardSbox, q, 'r')
    const addKey = (value: string, i: number) =>
      `v128.xor(v128.swizzle(${value}, shift), v128.load(${key}, ${16 * i}))`
    mixColumns(lines, q, addKey)
  },
  decrypt: (lines: Lines, q: readonly string[], key: string) => {
    substitute(lines, inverseSbox, q, 'r', key)
    q.forEach((x) => {
      lines.add(`${x} = v128.swizzle(${x}, unshift)`)
    })
    premixColumns(lines, q)
    mixColumns(lines, q, (value) => value)
  },
}

/**
 * Encrypts or decrypts one block in every lane. `enter` gives a lane's block as it is brought in, row-major and
 * for encryption with shifted rows; `leave` the lines that take the result out, row-major and after decryption
 * with shifted rows. Reads `rounds`, the masks, `shift` or `unshift`, and the round keys of each group, for
 * encryption from the first, for decryption from the last one on.
 */
export function cipherBlocks(
  lines: Lines,
  groups: Groups,
  way: 'encrypt' | 'decrypt',
  roundKeys: readonly string[],
  enter: (lane: number) => string,
  leave: (value: string, lane: number) => string[],
): void {
  const q = names('q', LANES)
  const keys = ['key', 'otherKey'].slice(0, groups)
  const step = () => keys.map((key) => `${key} ${way === 'encrypt' ? '+=' : '-='} ${ROUND_KEY_BYTES}`)
  lines.add(...keys.map((key, g) => `let ${key} = ${roundKeys[g]}`))
  eachGroup(lines, groups, 'store', (g) => {
    q.forEach((x, i) => {
      lines.add(`let ${x} = ${enter(LANES * g + i)}`)
    })
    transpose(lines, q, 'a')
    q.forEach((x, i) => {
      lines.add(`${x} = v128.xor(${x}, v128.load(${keys[g]}, ${16 * i}))`)
    })
  })
  lines.add('let round = rounds - 1')
  lines.block('do {', '} while (--round > 0)', () => {
    lines.add(...step())
    eachGroup(lines, groups, 'both', (g) => rounds[way](lines, q, keys[g]))
  })
  lines.add(...step())
  eachGroup(lines, groups, 'load', (g) => {
    substitute(lines, way === 'encrypt' ? forwardSbox : inverseSbox, q, 'l', keys[g])
    transpose(lines, q, 'b')
    q.forEach((x, i) => {
      lines.add(...leave(x, LANES * g + i))
    })
  })
}

/**
 * Adds the lines of every group. One group stays in registers; of two, the states wait in memory at `state`,
 * and the processor works on both at once: a round waits for its own results more often than for a unit.
 */
function eachGroup(
  lines: Lines,
  groups: Groups,
  moves: 'load' | 'store' | 'both',
  body: (group: number) => void,
): void {
  if (groups === 1) {
    body(0)
    return
  }
  for (let g = 0; g < groups; g++) {
    const at = (i: number) => ROUND_KEY_BYTES * g + 16 * i
    lines.block('{', '}', () => {
      names('q', LANES).forEach((x, i) => {
        if (moves !== 'store') lines.add(`let ${x} = v128.load(state, ${at(i)})`)
      })
      body(g)
      names('q', LANES).forEach((x, i) => {
        if (moves !== 'load') lines.add(`v128.store(state, ${x}, ${at(i)})`)
      })
    })
  }
}

/** The parts of a kernel's signature and description that depend on the number of groups. */
export function groupText(groups: Groups): { suffix: string; parameters: string; about: string[] } {
  if (groups === 1) return { suffix: '', parameters: '', about: [] }
  return {
    suffix: '16',
    parameters: ', otherKeys: usize, state: usize',
    about: [' * The last 8 lanes have the sliced round keys `otherKeys`; `state`: 256 bytes to work in.'],
  }
}
