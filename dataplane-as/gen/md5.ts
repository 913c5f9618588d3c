/**
 * Writes MD5 over 12 lanes (RFC 1321 §3.4): three groups of 4 lanes interleaved, since a step waits for the
 * one before and has little to do; all 64 steps unrolled, since every step has a message word, a constant and
 * a shift of its own.
 *
 * Behind every step a vector is stored behind the message words and never read: V8 keeps memory values that
 * are read again in spill slots, and a store makes it forget them, so that message words are read where they
 * are used.
 */
import { laneHash, rotateLeft, sum, xor } from './hash-lanes.ts'
import { type GeneratedFile, header, type Lines } from './text.ts'

const LANES = 12
const GROUPS = ['l', 'm', 'h']
const ROLES = ['a', 'b', 'c', 'd']
/** Bytes of one message word of all lanes. */
const ROW = 4 * LANES

/** The word of step `t` and its shifts, RFC 1321 §3.4, rounds 1 to 4. */
const WORD = [
  (t: number) => t,
  (t: number) => (5 * t + 1) % 16,
  (t: number) => (3 * t + 5) % 16,
  (t: number) => (7 * t) % 16,
]
const SHIFTS = [
  [7, 12, 17, 22],
  [5, 9, 14, 20],
  [4, 11, 16, 23],
  [6, 10, 15, 21],
]

/**
 * The sum of `a` and the auxiliary function of each round. G is a sum of two disjoint terms. I is written as
 * its complement and subtracted: a + ~x = a - x - 1, and the constants of round 4 are one less.
 */
const MIX: ((a: string, b: string, c: string, d: string) => string)[] = [
  (a, b, c, d) => sum(a, xor(d, `v128.and(${b}, ${xor(c, d)})`)),
  (a, b, c, d) => sum(a, `v128.andnot(${c}, ${d})`, `v128.and(${b}, ${d})`),
  (a, b, c, d) => sum(a, xor(xor(c, d), b)),
  (a, b, c, d) => `i32x4.sub(${a}, ${xor(c, `v128.andnot(${d}, ${b})`)})`,
]

/** The compression function. */
function compress(lines: Lines): void {
  const each = (write: (name: string, at: number) => string) => {
    ROLES.forEach((role, i) => {
      GROUPS.forEach((group, g) => {
        lines.add(write(role + group, i * ROW + 16 * g))
      })
    })
  }
  each((name, at) => `let ${name} = v128.load(states, ${at})`)
  for (let t = 0; t < 64; t++) {
    const round = t >> 4
    GROUPS.forEach((group, g) => {
      const [a, b, c, d] = ROLES.map((_, i) => ROLES[(i + 64 - t) % 4] + group)
      const word = `v128.load(words, ${WORD[round](t) * ROW + 16 * g})`
      lines.add(`${a} = ${MIX[round](sum(a, word, `v128.load32_splat(MD5_K, ${4 * t})`), b, c, d)}`)
      lines.add(`${a} = ${sum(rotateLeft(a, SHIFTS[round][t % 4]), b)}`)
    })
    lines.add(`v128.store(words, ${ROLES[(64 - t) % 4]}l, ${16 * ROW})`)
  }
  each((name, at) => `v128.store(states, ${sum(`v128.load(states, ${at})`, name)}, ${at})`)
}

/** The MD5 file. */
export function md5Files(): GeneratedFile[] {
  const head = header('md5.ts', ['MD5 over 12 lanes.'], ["import { MD5_K } from './hash-constants.ts'"])
  const functions = laneHash({
    name: 'md5',
    title: 'MD5',
    lanes: LANES,
    wordBits: 32,
    stateWords: ROLES.length,
    scheduleWords: 17,
    body: compress,
  })
  return [{ name: 'md5-lanes.ts', text: `${head.join('\n')}\n${functions}` }]
}
