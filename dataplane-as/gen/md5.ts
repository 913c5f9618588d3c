/**
 * Writes MD5 over 12 lanes (RFC 1321 §3.4): three groups of 4 lanes interleaved, since a step waits for the
 * one before and has little to do; all 64 steps unrolled, since every step has a message word, a constant and
 * a shift of its own. And MD5 over 16 lanes, for engines that join the groups to two of 8 lanes (see aes-wide.ts):
 * results of a pair are stored together, the second first.
 *
 * Behind every step a vector is stored behind the message words and never read: V8 keeps memory values that
 * are read again in spill slots, and a store makes it forget them, so that message words are read where they
 * are used. This store alone is not joined, which costs less than a second one.
 */
import { laneHash, rotateLeft, sum, xor } from './hash-lanes.ts'
import { type GeneratedFile, header, type Lines } from './text.ts'

const GROUPS = ['l', 'm', 'h']
const WIDE_GROUPS = ['ll', 'lh', 'hl', 'hh']
const ROLES = ['a', 'b', 'c', 'd']

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

/** The compression function over groups of 4 lanes, each a suffix of the variables' names. */
function compress(lines: Lines, groups: readonly string[]): void {
  const row = 16 * groups.length
  const backwards = groups.map((_, g) => g).reverse()
  ROLES.forEach((role, i) => {
    groups.forEach((group, g) => {
      lines.add(`let ${role}${group} = v128.load(states, ${i * row + 16 * g})`)
    })
  })
  for (let t = 0; t < 64; t++) {
    const round = t >> 4
    groups.forEach((group, g) => {
      const [a, b, c, d] = ROLES.map((_, i) => ROLES[(i + 64 - t) % 4] + group)
      const word = `v128.load(words, ${WORD[round](t) * row + 16 * g})`
      lines.add(`${a} = ${MIX[round](sum(a, word, `v128.load32_splat(MD5_K, ${4 * t})`), b, c, d)}`)
      lines.add(`${a} = ${sum(rotateLeft(a, SHIFTS[round][t % 4]), b)}`)
    })
    lines.add(`v128.store(words, ${ROLES[(64 - t) % 4]}${groups[0]}, ${16 * row})`)
  }
  ROLES.forEach((role, i) => {
    groups.forEach((group, g) => {
      const sumOf = sum(`v128.load(states, ${i * row + 16 * g})`, role + group)
      lines.add(`const ${role}${group}_ = ${sumOf}`)
    })
    for (const g of backwards) lines.add(`v128.store(states, ${role}${groups[g]}_, ${i * row + 16 * g})`)
  })
}

/** One file: functions `name`Run and so on. */
function md5File(file: string, name: string, groups: readonly string[]): GeneratedFile {
  const lanes = 4 * groups.length
  const head = header('md5.ts', [`MD5 over ${lanes} lanes.`], ["import { MD5_K } from './hash-constants.ts'"])
  const functions = laneHash({
    name,
    title: 'MD5',
    lanes,
    wordBits: 32,
    stateWords: ROLES.length,
    scheduleWords: 17,
    body: (lines) => compress(lines, groups),
  })
  return { name: file, text: `${head.join('\n')}\n${functions}` }
}

/** The MD5 files. */
export function md5Files(): GeneratedFile[] {
  return [md5File('md5-lanes.ts', 'md5', GROUPS), md5File('md5-wide.ts', 'md5Wide', WIDE_GROUPS)]
}
