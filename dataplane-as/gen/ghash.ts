/**
 * Writes GHASH over 16 lanes (NIST SP 800-38D §6.4), one message a lane, all under one hash key.
 *
 * Vector i of the blocks holds byte i of every lane's block, and so do the sums. The product with H is linear in the
 * 32 nibbles of a block: a table of 16 bytes says what one of them adds to one byte of the product, and one byte
 * selection looks that up for all lanes. No reduction is left to do, and no address depends on data.
 */
import { type GeneratedFile, header, Lines, names } from './text.ts'

const BYTES = 16
/** Bytes of the product that are summed side by side. */
const SIDE_BY_SIDE = 8
/** Bytes of their tables for one byte of the block. */
const TABLES = 2 * 16 * SIDE_BY_SIDE

// parts of the area to work in
const HALF = 0
const NIBBLES = 256
const SUMS = 768

/**
 * Transposes 16 vectors of 16 bytes: 4 rounds of a perfect shuffle of vectors i and i + 8, two rounds a pass over
 * memory. `input` gives vector i, `output` takes line i of the result.
 */
function transposeBytes(
  lines: Lines,
  input: (i: number) => string,
  output: (value: string, i: number) => string[],
): void {
  const low = '0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23'
  const high = '8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31'
  const shuffled = (a: string, b: string, picks: string) => `v128.shuffle<i8>(${a}, ${b}, ${picks})`
  const pass = (from: (i: number) => string, to: (value: string, i: number) => string[]) => {
    for (let i = 0; i < 4; i++) {
      lines.block('{', '}', () => {
        for (const k of [0, 1, 2, 3]) lines.add(`const x${k} = ${from(i + 4 * k)}`)
        lines.add(`const y0 = ${shuffled('x0', 'x2', low)}`, `const y1 = ${shuffled('x0', 'x2', high)}`)
        lines.add(`const y2 = ${shuffled('x1', 'x3', low)}`, `const y3 = ${shuffled('x1', 'x3', high)}`)
        lines.add(...to(shuffled('y0', 'y2', low), 4 * i), ...to(shuffled('y0', 'y2', high), 4 * i + 1))
        lines.add(...to(shuffled('y1', 'y3', low), 4 * i + 2), ...to(shuffled('y1', 'y3', high), 4 * i + 3))
      })
    }
  }
  pass(input, (value, i) => [`v128.store(area, ${value}, ${HALF + 16 * i})`])
  pass((i) => `v128.load(area, ${HALF + 16 * i})`, output)
}

/** The blocks of all lanes plus the sums, split into nibbles: those of byte i stand at NIBBLES + 32·i, high, low. */
function enterBlocks(lines: Lines): void {
  const input = (i: number) => `v128.load(<usize>load<u32>(lanes, ${4 * i}) + at)`
  transposeBytes(lines, input, (value, i) => [
    `const d${i} = v128.xor(v128.load(area, ${SUMS + 16 * i}), ${value})`,
    `v128.store(area, v128.and(i16x8.shr_u(d${i}, 4), nibble), ${NIBBLES + 32 * i})`,
    `v128.store(area, v128.and(d${i}, nibble), ${NIBBLES + 32 * i + 16})`,
  ])
}

/** Bytes `from` on of the product; the tables of one byte of the block are those of its high nibble, then the low one's. */
function multiply(lines: Lines, from: number): void {
  lines.block('{', '}', () => {
    const sums = names('s', SIDE_BY_SIDE)
    for (const sum of sums) lines.add(`let ${sum} = i64x2.splat(0)`)
    lines.add(`let row = tables + ${(from / SIDE_BY_SIDE) * BYTES * TABLES}`, `let pair = area + ${NIBBLES}`)
    lines.add(`const end = pair + ${32 * BYTES}`)
    lines.block('do {', '} while (pair < end)', () => {
      lines.add('const high = v128.load(pair)', 'const low = v128.load(pair, 16)')
      sums.forEach((sum, j) => {
        const terms = ['high', 'low'].map((nibble, half) => {
          return `selectBytes(v128.load(row, ${16 * (SIDE_BY_SIDE * half + j)}), ${nibble})`
        })
        lines.add(`${sum} = v128.xor(v128.xor(${sum}, ${terms[0]}), ${terms[1]})`)
      })
      lines.add(`row += ${TABLES}`, 'pair += 32')
    })
    sums.forEach((sum, j) => {
      lines.add(`v128.store(area, ${sum}, ${SUMS + 16 * (from + j)})`)
    })
  })
}

/** Looks 16 bytes up in a table by indices 0 to 15. */
function selectBytes(): Lines {
  const lines = new Lines()
  lines.add(
    '/** Bytes of `row` by indices 0 to 15: a module built with relaxed SIMD needs one instruction for it. */',
  )
  return lines.block('function selectBytes(row: v128, indices: v128): v128 {', '}', () => {
    lines.add('if (ASC_FEATURE_RELAXED_SIMD) return i8x16.relaxed_swizzle(row, indices)')
    lines.add('return v128.swizzle(row, indices)')
  })
}

/** The whole run. */
function run(): Lines {
  const lines = new Lines()
  lines.add(
    '/**',
    ' * sum = (sum + block) · H for `steps` (>= 1) blocks of 16 bytes in each of 16 lanes.',
    ' * `lanes`: 16 u32 addresses of the blocks; `sums`: those of the lanes, 16 bytes each, changed in place;',
    ' * `tables`: 8,192 bytes as ghashSpread makes them; `area`: 1,024 bytes to work in.',
    ' */',
  )
  const signature = 'lanes: usize, steps: i32, sums: usize, tables: usize, area: usize'
  lines.block(`export function ghashRun(${signature}): void {`, '}', () => {
    lines.add('const nibble = v128.load(GHASH_NIBBLE)', 'let at: usize = 0')
    const ownSums = (i: number) => `v128.load(sums, ${16 * i})`
    transposeBytes(lines, ownSums, (value, i) => [`v128.store(area, ${value}, ${SUMS + 16 * i})`])
    lines.block('do {', '} while (--steps > 0)', () => {
      enterBlocks(lines)
      for (let from = 0; from < BYTES; from += SIDE_BY_SIDE) multiply(lines, from)
      lines.add('at += 16')
    })
    const digits = (i: number) => `v128.load(area, ${SUMS + 16 * i})`
    transposeBytes(lines, digits, (value, i) => [`v128.store(sums, ${value}, ${16 * i})`])
  })
  return lines
}

/** The GHASH file. */
export function ghashFiles(): GeneratedFile[] {
  const head = header(
    'ghash.ts',
    ['GHASH over 16 lanes under one key.'],
    ["import { GHASH_NIBBLE } from '../constants.ts'"],
  )
  return [{ name: 'ghash-lanes.ts', text: `${head.join('\n')}\n${selectBytes()}\n${run()}` }]
}
