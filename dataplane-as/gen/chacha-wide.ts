/**
 * Writes ChaCha20 over 8 lanes (RFC 8439 §2.3): word i of lanes 0 to 3 (a) and of lanes 4 to 7 (b) are two vectors that
 * stand next to each other in memory, and the same lines are written for both. An engine that joins equal operations on
 * neighbours makes one 256-bit instruction of each pair (see aes-wide.ts); so rotations are shifts, and results are
 * stored at once, b first, before their bytes are moved.
 */
import { COLUMNS, DIAGONALS, QUARTER_ROUND } from './chacha.ts'
import { type GeneratedFile, header, Lines, names } from './text.ts'
import { transposeWords } from './transpose.ts'

const LANES = 8
const HALVES = ['a', 'b'] as const
const WORDS = 16
/** Bytes of the vectors of a word, and of a state; the results stand behind it. */
const WORD_BYTES = 32
const STATE_BYTES = WORD_BYTES * WORDS

/** Four quarter rounds side by side (RFC 8439 §2.1). */
function quarterRounds(lines: Lines, places: readonly number[][]): void {
  const both = (line: (half: string) => string) => lines.add(...HALVES.map(line))
  for (const [to, from, turned, bits] of QUARTER_ROUND) {
    for (const place of places) {
      const [a, b, d] = [to, from, turned].map((i) => `x${place[i]}`)
      both((h) => `${a}_${h} = i32x4.add(${a}_${h}, ${b}_${h})`)
      both((h) => `${d}_${h} = v128.xor(${d}_${h}, ${a}_${h})`)
      both((h) => `${d}_${h} = v128.or(i32x4.shl(${d}_${h}, ${bits}), i32x4.shr_u(${d}_${h}, ${32 - bits}))`)
    }
  }
}

/** Stores the initial state. */
function storeState(lines: Lines): void {
  for (const g of [0, 1]) {
    for (let i = 0; i < 4; i++) {
      const at = WORD_BYTES * i + 16 * g
      lines.add(`v128.store(state, v128.load32_splat(CHACHA_CONSTANT, ${4 * i}), ${at})`)
    }
    for (const part of [0, 1, 2]) {
      const rows = names(`r${g}${part}`, 4)
      rows.forEach((name, i) => {
        const lane = 4 * g + i
        const from = part < 2 ? `<usize>load<u32>(keys, ${4 * lane}), ${16 * part}` : `rows, ${16 * lane}`
        lines.add(`const ${name} = v128.load(${from})`)
      })
      transposeWords(lines, rows, `s${g}${part}`).forEach((value, word) => {
        lines.add(`v128.store(state, ${value}, ${WORD_BYTES * (4 + 4 * part + word) + 16 * g})`)
      })
    }
  }
}

/** Adds the initial state; stores the sums behind it. */
function storeSums(lines: Lines): void {
  for (let i = 0; i < WORDS; i++) {
    HALVES.forEach((h, g) => {
      lines.add(`const z${i}_${h} = i32x4.add(x${i}_${h}, v128.load(state, ${WORD_BYTES * i + 16 * g}))`)
    })
    for (const g of [1, 0]) {
      lines.add(`v128.store(state, z${i}_${HALVES[g]}, ${STATE_BYTES + WORD_BYTES * i + 16 * g})`)
    }
  }
}

/** Adds the data of four lanes. */
function addData(lines: Lines, g: number): void {
  lines.block('{', '}', () => {
    for (let i = 0; i < 4; i++) lines.add(`const p${i} = <usize>load<u32>(lanes, ${4 * (4 * g + i)}) + at`)
    for (let group = 0; group < 4; group++) {
      const words = names(`w${group}`, 4)
      words.forEach((name, i) => {
        const from = STATE_BYTES + WORD_BYTES * (4 * group + i) + 16 * g
        lines.add(`const ${name} = v128.load(state, ${from})`)
      })
      transposeWords(lines, words, `o${group}`).forEach((value, i) => {
        lines.add(`v128.store(p${i}, v128.xor(${value}, v128.load(p${i}, ${16 * group})), ${16 * group})`)
      })
    }
  })
}

/** The whole run. */
function run(): Lines {
  const lines = new Lines()
  lines.add(
    '/**',
    ` * The same as chachaRun over ${LANES} lanes: every lane moves on by ${LANES} blocks a step. \`state\`: ${2 * STATE_BYTES} bytes.`,
    ' */',
  )
  const signature = 'keys: usize, rows: usize, lanes: usize, steps: i32, state: usize'
  lines.block(`export function chachaWideRun(${signature}): void {`, '}', () => {
    storeState(lines)
    lines.add('let at: usize = 0', `const more = i32x4.splat(${LANES})`)
    lines.block('do {', '} while (--steps > 0)', () => {
      for (let i = 0; i < WORDS; i++) {
        HALVES.forEach((h, g) => {
          lines.add(`let x${i}_${h} = v128.load(state, ${WORD_BYTES * i + 16 * g})`)
        })
      }
      lines.add('let round = 10')
      lines.block('do {', '} while (--round > 0)', () => {
        quarterRounds(lines, COLUMNS)
        quarterRounds(lines, DIAGONALS)
      })
      storeSums(lines)
      for (const g of [0, 1]) addData(lines, g)
      for (const g of [0, 1]) {
        const counters = WORD_BYTES * 12 + 16 * g
        lines.add(`v128.store(state, i32x4.add(v128.load(state, ${counters}), more), ${counters})`)
      }
      lines.add(`at += ${64 * LANES}`)
    })
  })
  return lines
}

/** The ChaCha20 file for joined vectors. */
export function chachaWideFiles(): GeneratedFile[] {
  const head = header(
    'chacha-wide.ts',
    ['ChaCha20 over 8 lanes.'],
    ["import { CHACHA_CONSTANT } from '../constants.ts'"],
  )
  return [{ name: 'chacha-wide.ts', text: `${head.join('\n')}\n${run()}` }]
}
