/**
 * Writes SHA-1 over 8 lanes (FIPS 180-4 §6.1): two groups of 4 lanes interleaved, so that one group computes
 * while the other waits for its own results.
 *
 * The rounds are loops of 5-round bodies, after which the roles of a..e are back where they were; full
 * unrolling would not fit the processor's cache of decoded instructions. Round t also computes word t+16 of
 * the message schedule, which lies in memory as one row of 80.
 */
import { laneHash, rotateLeft, sum, xor } from './hash-lanes.ts'
import { type GeneratedFile, header, type Lines } from './text.ts'

const LANES = 8
const GROUPS = ['l', 'h']
const ROLES = ['a', 'b', 'c', 'd', 'e']
/** Bytes of one schedule word of all lanes. */
const ROW = 4 * LANES

/** The round function's sum with e: Ch, Parity or Maj of FIPS 180-4 §4.1.1; the terms of Maj are disjoint. */
type Mix = (e: string, b: string, c: string, d: string) => string
const choose: Mix = (e, b, c, d) => sum(e, xor(d, `v128.and(${b}, ${xor(c, d)})`))
const parity: Mix = (e, b, c, d) => sum(e, xor(b, c, d))
const majority: Mix = (e, b, c, d) => sum(e, `v128.and(${b}, ${c})`, `v128.and(${d}, ${xor(b, c)})`)

/** Five rounds on the schedule words at `w`; the first `expand` of them compute a later word. */
function fiveRounds(lines: Lines, mix: Mix, expand: number): void {
  for (let t = 0; t < 5; t++) {
    const at = (word: number, g: number) => `v128.load(w, ${word * ROW + 16 * g})`
    GROUPS.forEach((group, g) => {
      lines.add(`const w${t}${group} = ${at(t, g)}`)
    })
    if (t < expand) {
      GROUPS.forEach((group, g) => {
        const next = `n${t}${group}`
        lines.add(`const ${next} = ${xor(at(t + 13, g), at(t + 8, g), at(t + 2, g), `w${t}${group}`)}`)
        lines.add(`const o${t}${group} = ${rotateLeft(next, 1)}`)
      })
      for (const g of [1, 0]) lines.add(`v128.store(w, o${t}${GROUPS[g]}, ${(t + 16) * ROW + 16 * g})`)
    }
    GROUPS.forEach((group) => {
      const [a, b, c, d, e] = ROLES.map((_, i) => ROLES[(i + 5 - t) % 5] + group)
      lines.add(`${e} = ${mix(sum(e, sum(`w${t}${group}`, 'k')), b, c, d)}`)
      lines.add(`${e} = ${sum(e, rotateLeft(a, 5))}`, `${b} = ${rotateLeft(b, 30)}`)
    })
  }
  lines.add(`w += ${5 * ROW}`)
}

/** A loop of five-round bodies up to schedule word `end`. */
function rounds(lines: Lines, mix: Mix, expand: number, end: number): void {
  lines.block('do {', `} while (w < words + ${end * ROW})`, () => fiveRounds(lines, mix, expand))
}

/** The chaining value of `role` in group `g`. */
function stateAt(role: number, g: number): number {
  return role * ROW + 16 * g
}

/** The compression function. */
function compress(lines: Lines): void {
  ROLES.forEach((role, i) => {
    GROUPS.forEach((group, g) => {
      lines.add(`let ${role}${group} = v128.load(states, ${stateAt(i, g)})`)
    })
  })
  lines.add('let w = words', 'let k = v128.load32_splat(SHA1_K)')
  rounds(lines, choose, 5, 20)
  lines.add('k = v128.load32_splat(SHA1_K, 4)')
  rounds(lines, parity, 5, 40)
  lines.add('k = v128.load32_splat(SHA1_K, 8)')
  rounds(lines, majority, 5, 60)
  lines.add('k = v128.load32_splat(SHA1_K, 12)')
  lines.block('{', '}', () => fiveRounds(lines, parity, 4))
  rounds(lines, parity, 0, 80)
  ROLES.forEach((role, i) => {
    GROUPS.forEach((group, g) => {
      const at = stateAt(i, g)
      lines.add(`const ${role}${group}_ = ${sum(`v128.load(states, ${at})`, role + group)}`)
    })
    for (const g of [1, 0]) lines.add(`v128.store(states, ${role}${GROUPS[g]}_, ${stateAt(i, g)})`)
  })
}

/** The SHA-1 file. */
export function sha1Files(): GeneratedFile[] {
  const head = header(
    'sha1.ts',
    ['SHA-1 over 8 lanes.'],
    ["import { SHA1_K, SHA_BYTE_SWAP } from '../constants.ts'"],
  )
  const functions = laneHash({
    name: 'sha1',
    title: 'SHA-1',
    lanes: LANES,
    wordBits: 32,
    stateWords: ROLES.length,
    scheduleWords: 80,
    swap: 'SHA_BYTE_SWAP',
    body: compress,
  })
  return [{ name: 'sha1-lanes.ts', text: `${head.join('\n')}\n${functions}` }]
}
