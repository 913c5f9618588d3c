/**
 * Writes SHA-256 over 4 lanes (FIPS 180-4 §6.2).
 *
 * The rounds are a loop of 8-round bodies, after which the roles of a..h are back where they were. Round t
 * also computes word t+16 of the message schedule, which lies in memory as one row of 64; the last 16 rounds
 * do without.
 */
import { loadAddresses, loadBlocks, rotateLeft, sum, xor } from './sha-lanes.ts'
import { type GeneratedFile, header, Lines } from './text.ts'

const LANES = 4
const ROLES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
/** Bytes of one schedule word of all lanes. */
const ROW = 4 * LANES

/** Exclusive or of three rotations to the right. */
function rotations(value: string, first: number, second: number, third: number): string {
  return xor(...[first, second, third].map((bits) => rotateLeft(value, 32 - bits)))
}

/** The sigma functions of the schedule: two rotations and a shift to the right. */
function mixWord(value: string, first: number, second: number, shift: number): string {
  return xor(rotateLeft(value, 32 - first), rotateLeft(value, 32 - second), `i32x4.shr_u(${value}, ${shift})`)
}

/** One round; the constant and the schedule word of round t of the body are at k and w. */
function round(lines: Lines, t: number, expand: boolean): void {
  const at = (word: number) => `v128.load(w, ${word * ROW})`
  const [a, b, c, d, e, f, g, h] = ROLES.map((_, i) => ROLES[(i + 8 - t) % 8])
  lines.add(`const w${t} = ${at(t)}`)
  if (expand) {
    lines.add(`const s${t} = ${at(t + 1)}`, `const u${t} = ${at(t + 14)}`)
    const next = sum(w(t), at(t + 9), mixWord(`s${t}`, 7, 18, 3), mixWord(`u${t}`, 17, 19, 10))
    lines.add(`v128.store(w, ${next}, ${(t + 16) * ROW})`)
  }
  const chosen = xor(g, `v128.and(${e}, ${xor(f, g)})`)
  lines.add(`${h} = ${sum(h, sum(w(t), `v128.load32_splat(k, ${4 * t})`), chosen, rotations(e, 6, 11, 25))}`)
  lines.add(`${d} = ${sum(d, h)}`)
  lines.add(
    `${h} = ${sum(h, `v128.and(${a}, ${b})`, `v128.and(${c}, ${xor(a, b)})`, rotations(a, 2, 13, 22))}`,
  )
}

const w = (t: number): string => `w${t}`

/** A loop of eight-round bodies up to schedule word `end`. */
function rounds(lines: Lines, expand: boolean, end: number): void {
  lines.block('do {', `} while (w < words + ${end * ROW})`, () => {
    for (let t = 0; t < 8; t++) round(lines, t, expand)
    lines.add(`w += ${8 * ROW}`, 'k += 32')
  })
}

/** The whole run. */
function run(): Lines {
  const lines = new Lines()
  lines.add(
    '/**',
    ' * SHA-256 over `blocks` (>= 1) 64-byte blocks in each of 4 lanes.',
    ' * `lanes`: 4 u32 addresses; `states`: 8 words, each of 4 lanes, changed in place; `words`: 64 rows of 16 bytes.',
    ' */',
  )
  lines.block(
    'export function sha256Run(lanes: usize, blocks: i32, states: usize, words: usize): void {',
    '}',
    () => {
      loadAddresses(lines, LANES)
      lines.add('const swap = v128.load(SHA_BYTE_SWAP)')
      lines.block('do {', '} while (--blocks > 0)', () => {
        loadBlocks(lines, LANES)
        ROLES.forEach((role, i) => {
          lines.add(`let ${role} = v128.load(states, ${i * ROW})`)
        })
        lines.add('let w = words', 'let k = SHA256_K')
        rounds(lines, true, 48)
        rounds(lines, false, 64)
        ROLES.forEach((role, i) => {
          lines.add(`v128.store(states, ${sum(`v128.load(states, ${i * ROW})`, role)}, ${i * ROW})`)
        })
      })
    },
  )
  return lines
}

/** The SHA-256 file. */
export function sha256Files(): GeneratedFile[] {
  const head = header(
    'sha256.ts',
    ['SHA-256 over 4 lanes.'],
    ["import { SHA256_K, SHA_BYTE_SWAP } from '../constants.ts'"],
  )
  return [{ name: 'sha256-lanes.ts', text: `${head.join('\n')}\n${run()}` }]
}
