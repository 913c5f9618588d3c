/**
 * Writes ChaCha20 over 4 lanes (RFC 8439 §2.3): one vector for each of the 16 words, one block a lane. A lane
 * may have any key, nonce and counter. V8 has 15 vector registers for the 16 words, and puts one aside now and
 * then; working on rows of one block instead was slower (more shuffles).
 */
import { type GeneratedFile, header, Lines, names } from './text.ts'
import { transposeWords } from './transpose.ts'

const LANES = 4
/** Bytes that a step moves every lane on. */
const STEP = 64 * LANES

/** Places of the quarter rounds: columns, then diagonals (RFC 8439 §2.3). */
export const COLUMNS = [0, 1, 2, 3].map((i) => [i, 4 + i, 8 + i, 12 + i])
export const DIAGONALS = [0, 1, 2, 3].map((i) => [
  i,
  4 + ((i + 1) % 4),
  8 + ((i + 2) % 4),
  12 + ((i + 3) % 4),
])

/** Steps of a quarter round (RFC 8439 §2.1): place of the sum, of what is added, of what is turned left, by how many bits. */
export const QUARTER_ROUND = [
  [0, 1, 3, 16],
  [2, 3, 1, 12],
  [0, 1, 3, 8],
  [2, 3, 1, 7],
]

/** Rotation to the left: by whole bytes as a shuffle where that is one instruction or two, else by two shifts. */
function rotated(value: string, bits: number): string {
  if (bits === 16) return `v128.shuffle<i16>(${value}, ${value}, 1, 0, 3, 2, 5, 4, 7, 6)`
  if (bits === 8) return `v128.swizzle(${value}, v128.load(CHACHA_ROTATE_8))`
  return `v128.or(i32x4.shl(${value}, ${bits}), i32x4.shr_u(${value}, ${32 - bits}))`
}

/** Four quarter rounds side by side (RFC 8439 §2.1). */
function quarterRounds(lines: Lines, places: readonly number[][]): void {
  for (const [to, from, turned, bits] of QUARTER_ROUND) {
    for (const place of places) {
      const [a, b, d] = [`x${place[to]}`, `x${place[from]}`, `x${place[turned]}`]
      lines.add(`${a} = i32x4.add(${a}, ${b})`, `${d} = v128.xor(${d}, ${a})`, `${d} = ${rotated(d, bits)}`)
    }
  }
}

/** Stores the initial state: 16 rows, one word of every lane a row. */
function storeState(lines: Lines): void {
  for (let i = 0; i < 4; i++)
    lines.add(`v128.store(state, v128.load32_splat(CHACHA_CONSTANT, ${4 * i}), ${16 * i})`)
  for (const part of [0, 1, 2]) {
    const rows = names('r', LANES).map((name) => `${name}${part}`)
    rows.forEach((name, lane) => {
      const from = part < 2 ? `<usize>load<u32>(keys, ${4 * lane}), ${16 * part}` : `rows, ${16 * lane}`
      lines.add(`const ${name} = v128.load(${from})`)
    })
    transposeWords(lines, rows, `s${part}`).forEach((value, word) => {
      lines.add(`v128.store(state, ${value}, ${16 * (4 + 4 * part + word)})`)
    })
  }
}

/** Adds the initial state and the data; moves the lanes on. */
function finishBlocks(lines: Lines): void {
  for (let group = 0; group < 4; group++) {
    const sums = names('z', 4).map((name) => `${name}${group}`)
    sums.forEach((name, i) => {
      const word = 4 * group + i
      lines.add(`const ${name} = i32x4.add(x${word}, v128.load(state, ${16 * word}))`)
    })
    transposeWords(lines, sums, `o${group}`).forEach((value, lane) => {
      lines.add(`v128.store(p${lane}, v128.xor(${value}, v128.load(p${lane}, ${16 * group})), ${16 * group})`)
    })
  }
  for (const p of names('p', LANES)) lines.add(`${p} += ${STEP}`)
  lines.add(`v128.store(state, i32x4.add(v128.load(state, 192), i32x4.splat(${LANES})), 192)`)
}

/** The whole run. */
function run(): Lines {
  const lines = new Lines()
  lines.add(
    '/**',
    ' * Adds the key stream to the data in place, 4 blocks of 64 bytes a step, `steps` (>= 1) steps; every lane moves',
    ' * on by 4 blocks a step.',
    ' * `keys`: 4 u32 addresses of keys; `rows`: 4 times the counter and the nonce, 16 bytes as RFC 8439 §2.3 has',
    ' * them in words 12 to 15; `lanes`: 4 u32 addresses of the data; `state`: 256 bytes, left with the keys.',
    ' */',
  )
  lines.block(
    'export function chachaRun(keys: usize, rows: usize, lanes: usize, steps: i32, state: usize): void {',
    '}',
    () => {
      storeState(lines)
      names('p', LANES).forEach((p, i) => {
        lines.add(`let ${p} = <usize>load<u32>(lanes, ${4 * i})`)
      })
      lines.block('do {', '} while (--steps > 0)', () => {
        names('x', 16).forEach((x, i) => {
          lines.add(`let ${x} = v128.load(state, ${16 * i})`)
        })
        lines.add('let round = 10')
        lines.block('do {', '} while (--round > 0)', () => {
          quarterRounds(lines, COLUMNS)
          quarterRounds(lines, DIAGONALS)
        })
        finishBlocks(lines)
      })
    },
  )
  return lines
}

/** The ChaCha20 file. */
export function chachaFiles(): GeneratedFile[] {
  const head = header(
    'chacha.ts',
    ['ChaCha20 over 4 lanes.'],
    ["import { CHACHA_CONSTANT, CHACHA_ROTATE_8 } from '../constants.ts'"],
  )
  return [{ name: 'chacha-lanes.ts', text: `${head.join('\n')}\n${run()}` }]
}
