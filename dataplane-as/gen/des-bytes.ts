/**
 * Writes the DES kernel for 16 blocks: for bursts that fill lanes, but not the 128 of the bitsliced kernel.
 *
 * Layout. Byte b of every vector is lane b. A half of the block is eight vectors, one per S-box: the four bits
 * that the S-box's outputs are added to, as low bits of the byte in the order of des-lanes.ts; the upper four
 * bits hold rubbish.
 *
 * S-boxes. Four inputs are an index into tables of 16 bytes, looked up in all lanes at once by one byte
 * permutation: its time does not depend on the index. An entry holds two results of four bits.
 * The two other inputs become masks that select the table and the half of the entry.
 *
 * In a key an index takes one vector; each input that selects takes one that holds the opposite of the key
 * bit at the place of the input, so that comparing both gives the mask.
 */
import { inputsByBit, outputBit, sourceOf } from './des-lanes.ts'
import { pairOf, shuffle } from './des-shuffle.ts'
import { initialPermutation, P, sboxes } from './des-tables.ts'
import { constant, permuteBytes, vectorList } from './des-vectors.ts'
import { type GeneratedFile, header, Lines, names } from './text.ts'

const LANES = 16
/** Bytes of a round's key: for each S-box the index and the two that select. */
const ROUND_BYTES = 8 * 3 * 16

const splat = (byte: number): number[] => Array<number>(16).fill(byte)

/** Table of S-box `box` where the first input that selects is `first`: index to both results of the second. */
function table(box: number, first: number): number[] {
  const inputs = inputsByBit(box)
  return Array.from({ length: 16 }, (_, index) => {
    let entry = 0
    for (let second = 0; second < 2; second++) {
      const bits = index | (first << 4) | (second << 5)
      let x = 0
      inputs.forEach((input, i) => {
        x |= ((bits >> i) & 1) << (5 - input)
      })
      for (let output = 0; output < 4; output++) {
        entry |= ((sboxes[box][x] >> (3 - output)) & 1) << (outputBit[box][output] + 4 * second)
      }
    }
    return entry
  })
}

const TABLES = constant(
  'DES_BYTES_TABLES',
  'two tables for each S-box: for its first selecting input 0 and 1',
  [0, 1, 2, 3, 4, 5, 6, 7].flatMap((box) => [table(box, 0), table(box, 1)]),
)
const BITS = constant(
  'DES_BYTES_BITS',
  'bit i in every byte',
  [0, 1, 2, 3, 4, 5, 6, 7].map((i) => splat(1 << i)),
)

const or = (values: readonly string[]): string => values.reduce((sum, value) => `v128.or(${sum}, ${value})`)

/** The bit in the byte of `box`'s source, and the vector of the half that it is in. */
function placed(box: number, input: number): { from: number; bit: number } {
  const { box: from, output } = sourceOf(box, input)
  return { from, bit: outputBit[from][output] }
}

/** One S-box: adds its result for the half `r`0 to `r`7 to its vector of the half at `left`, and names the sum. */
function substitute(lines: Lines, tag: string, box: number, r: string, left: string): void {
  const bits = inputsByBit(box).map((input) => {
    const { from, bit } = placed(box, input)
    return `v128.and(${r}${from}, bit${bit})`
  })
  const t = `${tag}${box}`
  const at = 48 * box
  const entry = (n: number): string => `permuteBytes(v128.load(${TABLES.name}, ${16 * (2 * box + n)}), ${t}x)`
  lines.add(
    `const ${t}x = v128.xor(${or(bits.slice(0, 4))}, v128.load(keys, ${at}))`,
    `const ${t}m = i8x16.eq(${bits[4]}, v128.load(keys, ${at + 16}))`,
    `const ${t}e = v128.or(v128.and(${entry(1)}, ${t}m), v128.andnot(${entry(0)}, ${t}m))`,
    `const ${t}n = i8x16.eq(${bits[5]}, v128.load(keys, ${at + 32}))`,
    `const ${t}d = v128.and(v128.xor(${t}e, i16x8.shr_u(${t}e, 4)), ${t}n)`,
    `const ${tag}h${box} = v128.xor(v128.load(${left}, ${16 * box}), v128.xor(${t}e, ${t}d))`,
    `v128.store(${left}, ${tag}h${box}, ${16 * box})`,
  )
}

/** Rounds of one turn of the loop: what one round makes the next one reads from registers, as far as they go. */
const UNROLLED = 4

/** The rounds of one turn. */
function turn(lines: Lines): void {
  for (let s = 0; s < 8; s++) lines.add(`const rh${s} = v128.load(right, ${16 * s})`)
  let before = 'r'
  for (let i = 0; i < UNROLLED; i++) {
    const tag = 'abcd'[i]
    for (let box = 0; box < 8; box++) {
      substitute(lines, tag, box, `${before}h`, i % 2 === 0 ? 'left' : 'right')
    }
    lines.add('keys += step')
    before = tag
  }
}

/** All passes. */
function rounds(lines: Lines): void {
  lines.add(
    '/** `passes` times 16 rounds on the 16 blocks at `state`; `step`: from one round key to the next, in bytes. */',
  )
  lines.block(
    'function desBytesRounds(state: usize, passes: i32, keys: usize, step: isize): void {',
    '}',
    () => {
      for (const i of [0, 1, 2, 3]) lines.add(`const bit${i} = v128.load(${BITS.name}, ${16 * i})`)
      lines.add('let left = state', 'let right = state + 128')
      lines.block('do {', '} while (--passes > 0)', () => {
        lines.add(`let turns = ${16 / UNROLLED}`)
        lines.block('do {', '} while (--turns > 0)', () => turn(lines))
        lines.add('const swap = left', 'left = right', 'right = swap')
      })
    },
  )
}

/** `value` with bit `from` of every byte at `to`; the other bits of the byte are left in or come from neighbours. */
function moved(value: string, from: number, to: number): string {
  if (from === to) return value
  return from < to ? `i16x8.shl(${value}, ${to - from})` : `i16x8.shr_u(${value}, ${from - to})`
}

/** Where bit `output` of a vector of a half is in the block: the byte, and the bit with 0 the least significant. */
function blockBit(half: number, box: number, output: number): { byte: number; bit: number } {
  const at = initialPermutation(32 * half + P.indexOf(4 * box + output + 1))
  return { byte: at >> 3, bit: 7 - (at & 7) }
}

/** Halves from the bytes of the blocks. */
function enter(lines: Lines, bytes: readonly string[]): void {
  for (let half = 0; half < 2; half++) {
    for (let box = 0; box < 8; box++) {
      const parts = [0, 1, 2, 3].map((output) => {
        const { byte, bit } = blockBit(half, box, output)
        const to = outputBit[box][output]
        return `v128.and(${moved(bytes[byte], bit, to)}, bit${to})`
      })
      lines.add(`v128.store(state, ${or(parts)}, ${128 * half + 16 * box})`)
    }
  }
}

/** Bytes of the blocks from the halves, which changed places an odd number of times. */
function leave(lines: Lines): string[] {
  const parts: string[][] = Array.from({ length: 8 }, () => [])
  for (let half = 0; half < 2; half++) {
    for (let box = 0; box < 8; box++) {
      for (let output = 0; output < 4; output++) {
        const { byte, bit } = blockBit(half, box, output)
        const value = moved(`v128.load(state, ${128 * (1 - half) + 16 * box})`, outputBit[box][output], bit)
        parts[byte].push(`v128.and(${value}, bit${bit})`)
      }
    }
  }
  return parts.map((list, byte) => {
    lines.add(`const c${byte} = ${or(list)}`)
    return `c${byte}`
  })
}

function loadBits(lines: Lines): void {
  for (let i = 0; i < 8; i++) lines.add(`const bit${i} = v128.load(${BITS.name}, ${16 * i})`)
}

/** One block in every lane. */
function step(lines: Lines, encrypt: boolean): void {
  const verb = encrypt ? 'encrypt' : 'decrypt'
  lines.add(
    '/**',
    ` * CBC-${verb}s the block behind the block at each of the 16 u32 addresses \`lanes\`, in place.`,
    ` * \`state\`: ${encrypt ? '256 bytes' : '384 bytes'}; \`keys\`: made by desBytesKeys.`,
    ' */',
  )
  const signature = 'lanes: usize, passes: i32, keys: usize, state: usize'
  lines.block(`export function desBytes${encrypt ? 'En' : 'De'}crypt(${signature}): void {`, '}', () => {
    loadBits(lines)
    const rows = names('g', 8)
    rows.forEach((row, i) => {
      lines.add(
        `const a${i} = <usize>load<u32>(lanes, ${4 * i})`,
        `const b${i} = <usize>load<u32>(lanes, ${4 * i + 32})`,
      )
      const [before, block] = [pairOf(`a${i}`, `b${i}`, 0), pairOf(`a${i}`, `b${i}`, 8)]
      lines.add(`const ${row} = ${encrypt ? `v128.xor(${before}, ${block})` : block}`)
      if (!encrypt) lines.add(`v128.store(state, ${before}, ${256 + 16 * i})`)
    })
    enter(lines, shuffle(lines, rows, 's', 4))
    lines.add(
      encrypt
        ? `desBytesRounds(state, passes, keys, ${ROUND_BYTES})`
        : `desBytesRounds(state, passes, keys + <usize>(16 * passes - 1) * ${ROUND_BYTES}, -${ROUND_BYTES})`,
    )
    const bytes = leave(lines)
    shuffle(lines, bytes, 't', 3).forEach((row, i) => {
      const result = encrypt ? row : `v128.xor(${row}, v128.load(state, ${256 + 16 * i}))`
      lines.add(
        `const o${i} = ${result}`,
        `v128.store_lane<u64>(a${i}, o${i}, 0, 8)`,
        `v128.store_lane<u64>(b${i}, o${i}, 1, 8)`,
      )
    })
  })
}

/** Keys of 16 lanes. */
function expandKeys(lines: Lines): void {
  lines.add(
    '/**',
    ` * Makes the round keys of 16 lanes, ${ROUND_BYTES} bytes a round, from 8 key bytes a round, which begin at`,
    ` * \`offset\` behind each of the 16 u32 addresses \`schedules\`.`,
    ' */',
  )
  const signature = 'schedules: usize, offset: usize, rounds: i32, keys: usize'
  lines.block(`export function desBytesKeys(${signature}): void {`, '}', () => {
    loadBits(lines)
    lines.add('const index = v128.or(v128.or(bit0, bit1), v128.or(bit2, bit3))')
    for (let lane = 0; lane < LANES; lane++) {
      lines.add(`let p${lane} = <usize>load<u32>(schedules, ${4 * lane}) + offset`)
    }
    lines.block('do {', '} while (--rounds > 0)', () => {
      const rows = names('g', 8)
      rows.forEach((row, i) => {
        lines.add(`const ${row} = ${pairOf(`p${i}`, `p${i + 8}`, 0)}`)
      })
      shuffle(lines, rows, 's', 4).forEach((value, box) => {
        storeKey(lines, value, box)
      })
      for (let lane = 0; lane < LANES; lane++) lines.add(`p${lane} += 8`)
      lines.add(`keys += ${ROUND_BYTES}`)
    })
  })
}

/** The three vectors of an S-box's key from its key bytes. */
function storeKey(lines: Lines, value: string, box: number): void {
  lines.add(`v128.store(keys, v128.and(${value}, index), ${48 * box})`)
  inputsByBit(box)
    .slice(4)
    .forEach((input, i) => {
      const { bit } = placed(box, input)
      const opposite = `v128.andnot(bit${bit}, ${moved(value, 4 + i, bit)})`
      lines.add(`v128.store(keys, ${opposite}, ${48 * box + 16 * (i + 1)})`)
    })
}

/** The file. */
export function desBytesFile(): GeneratedFile {
  const parts = [(l: Lines) => step(l, true), (l: Lines) => step(l, false), expandKeys, rounds].map(
    (write) => {
      const lines = new Lines()
      write(lines)
      return String(lines)
    },
  )
  const about = ['DES-CBC and 3DES-CBC on 16 blocks, one in each byte of a vector.']
  const head = header('des-bytes.ts', about).join('\n')
  return {
    name: 'des-bytes.ts',
    text: `${head}\n${vectorList([TABLES, BITS])}\n${permuteBytes}\n${parts.join('\n')}`,
  }
}
