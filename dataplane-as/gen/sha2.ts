/**
 * Writes SHA-256 over 4 lanes and SHA-512 over 4 lanes (FIPS 180-4 §6.2, §6.4), the latter as two groups of 2
 * lanes interleaved. SHA-384 is SHA-512 with another initial value.
 *
 * The rounds are a loop of 8-round bodies, after which the roles of a..h are back where they were. Round t
 * also computes word t+16 of the message schedule, which lies in memory as one row; the last 16 rounds do
 * without.
 */
import { laneHash, xor } from './hash-lanes.ts'
import { type GeneratedFile, header, type Lines } from './text.ts'

const LANES = 4
const ROLES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']

/** What differs between the two: FIPS 180-4 §4.1.2, §4.1.3. */
type Sha2 = {
  wordBits: 32 | 64
  /** Lanes of one vector side by side; each group is one suffix of the variables' names. */
  groups: string[]
  rounds: number
  constants: string
  imports: string[]
  /** Rotations to the right of the functions on a and e. */
  sumA: [number, number, number]
  sumE: [number, number, number]
  /** Two rotations and a shift to the right of the functions in the schedule. */
  sigma0: [number, number, number]
  sigma1: [number, number, number]
}

const sha256: Sha2 = {
  wordBits: 32,
  groups: [''],
  rounds: 64,
  constants: 'SHA256_K',
  imports: ["import { SHA256_K, SHA_BYTE_SWAP } from '../constants.ts'"],
  sumA: [2, 13, 22],
  sumE: [6, 11, 25],
  sigma0: [7, 18, 3],
  sigma1: [17, 19, 10],
}

const sha512: Sha2 = {
  wordBits: 64,
  groups: ['l', 'h'],
  rounds: 80,
  constants: 'SHA512_K',
  imports: [
    "import { SHA512_BYTE_SWAP } from '../constants.ts'",
    "import { SHA512_K } from './hash-constants.ts'",
  ],
  sumA: [28, 34, 39],
  sumE: [14, 18, 41],
  sigma0: [1, 8, 7],
  sigma1: [19, 61, 6],
}

/** Writes the vector operations of one word size. */
class Writer {
  readonly hash: Sha2
  /** Bytes of one word of all lanes. */
  readonly row: number
  private readonly shape: string

  constructor(hash: Sha2) {
    this.hash = hash
    this.row = (LANES * hash.wordBits) / 8
    this.shape = hash.wordBits === 32 ? 'i32x4' : 'i64x2'
  }

  sum(...values: string[]): string {
    return values.reduce((a, b) => `${this.shape}.add(${a}, ${b})`)
  }

  private rotateRight(value: string, bits: number): string {
    const { shape, hash } = this
    return `v128.or(${shape}.shl(${value}, ${hash.wordBits - bits}), ${shape}.shr_u(${value}, ${bits}))`
  }

  /** Exclusive or of three rotations. */
  rotations(value: string, bits: readonly number[]): string {
    return xor(...bits.map((count) => this.rotateRight(value, count)))
  }

  /** Exclusive or of two rotations and a shift. */
  sigma(value: string, [first, second, shift]: readonly number[]): string {
    const shifted = `${this.shape}.shr_u(${value}, ${shift})`
    return xor(this.rotateRight(value, first), this.rotateRight(value, second), shifted)
  }

  /** Round t of the body in one group; the constant and the schedule word are at k and w. */
  round(lines: Lines, t: number, g: number, expand: boolean): void {
    const { groups, sumA, sumE, sigma0, sigma1, wordBits } = this.hash
    const at = (word: number) => `v128.load(w, ${word * this.row + 16 * g})`
    const own = (name: string) => `${name}${t}${groups[g]}`
    const [a, b, c, d, e, f, g1, h] = ROLES.map((_, i) => ROLES[(i + 8 - t) % 8] + groups[g])
    lines.add(`const ${own('w')} = ${at(t)}`)
    if (expand) {
      lines.add(`const ${own('s')} = ${at(t + 1)}`, `const ${own('u')} = ${at(t + 14)}`)
      const mixed = [this.sigma(own('s'), sigma0), this.sigma(own('u'), sigma1)]
      const next = this.sum(own('w'), at(t + 9), ...mixed)
      lines.add(`v128.store(w, ${next}, ${(t + 16) * this.row + 16 * g})`)
    }
    const chosen = xor(g1, `v128.and(${e}, ${xor(f, g1)})`)
    const constant = `v128.load${wordBits}_splat(k, ${(wordBits / 8) * t})`
    lines.add(`${h} = ${this.sum(h, this.sum(own('w'), constant), chosen, this.rotations(e, sumE))}`)
    lines.add(`${d} = ${this.sum(d, h)}`)
    const majority = [`v128.and(${a}, ${b})`, `v128.and(${c}, ${xor(a, b)})`]
    lines.add(`${h} = ${this.sum(h, ...majority, this.rotations(a, sumA))}`)
  }

  /** A loop of eight-round bodies up to schedule word `end`. */
  private rounds(lines: Lines, expand: boolean, end: number): void {
    const { groups, wordBits } = this.hash
    lines.block('do {', `} while (w < words + ${end * this.row})`, () => {
      for (let t = 0; t < 8; t++) for (const g of groups.keys()) this.round(lines, t, g, expand)
      lines.add(`w += ${8 * this.row}`, `k += ${wordBits}`)
    })
  }

  /** The compression function. */
  compress(lines: Lines): void {
    const { groups, rounds, constants } = this.hash
    const each = (write: (name: string, at: number) => string) => {
      ROLES.forEach((role, i) => {
        groups.forEach((group, g) => {
          lines.add(write(role + group, i * this.row + 16 * g))
        })
      })
    }
    each((name, at) => `let ${name} = v128.load(states, ${at})`)
    lines.add('let w = words', `let k = ${constants}`)
    this.rounds(lines, true, rounds - 16)
    this.rounds(lines, false, rounds)
    each((name, at) => `v128.store(states, ${this.sum(`v128.load(states, ${at})`, name)}, ${at})`)
  }
}

/** One file: `name` and `title` as laneHash takes them. */
function sha2File(name: string, title: string, hash: Sha2, swap: string): GeneratedFile {
  const writer = new Writer(hash)
  const head = header('sha2.ts', [`${title} over ${LANES} lanes.`], hash.imports)
  const functions = laneHash({
    name,
    title,
    lanes: LANES,
    wordBits: hash.wordBits,
    stateWords: ROLES.length,
    scheduleWords: hash.rounds,
    swap,
    body: (lines) => writer.compress(lines),
  })
  return { name: `${name}-lanes.ts`, text: `${head.join('\n')}\n${functions}` }
}

/** The SHA-256 and SHA-512 files. */
export function sha2Files(): GeneratedFile[] {
  return [
    sha2File('sha256', 'SHA-256', sha256, 'SHA_BYTE_SWAP'),
    sha2File('sha512', 'SHA-512', sha512, 'SHA512_BYTE_SWAP'),
  ]
}
