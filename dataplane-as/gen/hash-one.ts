/**
 * Writes the hashes of one block in plain integers, for key set-up: the 16 message words and the chaining
 * value are locals, so that nothing made of a key is written to memory but the result.
 */
import { type GeneratedFile, header, Lines, names } from './text.ts'

/** What differs between the hashes. */
type Hash = {
  name: string
  type: 'u32' | 'u64'
  roles: string[]
  rounds: number
  /** The message word at byte offset `at` of the block. */
  word: (at: number) => string
  /** The message word that holds the length in bits. */
  lengthWord: number
  /** The new value of schedule word t (it takes the place of word t-16); `m(i)` names word t-16+i. */
  expand?: (m: (i: number) => string) => string
  /** The lines of round t; `m(i)` names message word i, `r[i]` is the variable in role i. */
  round: (t: number, m: (i: number) => string, r: string[]) => string[]
}

const rotl = (value: string, bits: number): string => `rotl<u32>(${value}, ${bits})`
const bigEndian = (at: number): string => `blockWord(source, bytes, ${at}, mark)`
const littleEndian = (at: number): string => `bswap<u32>(${bigEndian(at)})`
const wide = (at: number): string => `blockWord64(source, bytes, ${at}, mark)`

const choose = (b: string, c: string, d: string): string => `(${d} ^ (${b} & (${c} ^ ${d})))`
const majority = (b: string, c: string, d: string): string => `((${b} & ${c}) | (${d} & (${b} ^ ${c})))`
const parity = (b: string, c: string, d: string): string => `(${b} ^ ${c} ^ ${d})`

/** MD5 (RFC 1321 §3.4); round 4 subtracts the complement, as md5.ts does. */
const md5: Hash = {
  name: 'md5',
  type: 'u32',
  roles: ['a', 'b', 'c', 'd'],
  rounds: 64,
  word: littleEndian,
  lengthWord: 14,
  round: (t, m, [a, b, c, d]) => {
    const section = t >> 4
    const at = [t, 5 * t + 1, 3 * t + 5, 7 * t][section] % 16
    const mix = [choose(b, c, d), choose(d, b, c), parity(b, c, d), `(${c} ^ (${d} & ~${b}))`][section]
    const shifts = [
      [7, 12, 17, 22],
      [5, 9, 14, 20],
      [4, 11, 16, 23],
      [6, 10, 15, 21],
    ][section]
    return [
      `${a} ${section === 3 ? '-=' : '+='} ${mix}`,
      `${a} = ${rotl(`${a} + ${m(at)} + load<u32>(MD5_K, ${4 * t})`, shifts[t % 4])} + ${b}`,
    ]
  },
}

const sha1: Hash = {
  name: 'sha1',
  type: 'u32',
  roles: ['a', 'b', 'c', 'd', 'e'],
  rounds: 80,
  word: bigEndian,
  lengthWord: 15,
  expand: (m) => rotl(`${m(13)} ^ ${m(8)} ^ ${m(2)} ^ ${m(0)}`, 1),
  round: (t, m, [a, b, c, d, e]) => {
    const section = Math.floor(t / 20)
    const mix = [choose, parity, majority, parity][section](b, c, d)
    return [
      `${e} += ${rotl(a, 5)} + ${mix} + ${m(t % 16)} + load<u32>(SHA1_K, ${4 * section})`,
      `${b} = ${rotl(b, 30)}`,
    ]
  },
}

/** Rotations of SHA-256 and SHA-512 (FIPS 180-4 §4.1.2, §4.1.3): the functions of a and e, then the schedule's. */
type Rotations = { sumA: number[]; sumE: number[]; sigma0: number[]; sigma1: number[] }

function sha2(
  name: string,
  type: 'u32' | 'u64',
  rounds: number,
  word: (at: number) => string,
  r: Rotations,
): Hash {
  const turned = (value: string, bits: readonly number[]) =>
    bits.map((count) => `rotr<${type}>(${value}, ${count})`).join(' ^ ')
  const sigma = (value: string, [first, second, shift]: readonly number[]) =>
    `(${turned(value, [first, second])} ^ (${value} >> ${shift}))`
  const constants = name.toUpperCase()
  return {
    name,
    type,
    roles: ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'],
    rounds,
    word,
    lengthWord: 15,
    expand: (m) => `${m(0)} + ${m(9)} + ${sigma(m(1), r.sigma0)} + ${sigma(m(14), r.sigma1)}`,
    round: (t, m, [a, b, c, d, e, f, g, h]) => [
      `${h} += (${turned(e, r.sumE)}) + ${choose(e, f, g)} + ` +
        `${m(t % 16)} + load<${type}>(${constants}_K, ${(type === 'u32' ? 4 : 8) * t})`,
      `${d} += ${h}`,
      `${h} += (${turned(a, r.sumA)}) + ${majority(a, b, c)}`,
    ],
  }
}

const sha256 = sha2('sha256', 'u32', 64, bigEndian, {
  sumA: [2, 13, 22],
  sumE: [6, 11, 25],
  sigma0: [7, 18, 3],
  sigma1: [17, 19, 10],
})

const sha512 = sha2('sha512', 'u64', 80, wide, {
  sumA: [28, 34, 39],
  sumE: [14, 18, 41],
  sigma0: [1, 8, 7],
  sigma1: [19, 61, 6],
})

/** The compression function of one block. */
function compress(hash: Hash): Lines {
  const lines = new Lines()
  const size = hash.roles.length
  const wordBytes = hash.type === 'u32' ? 4 : 8
  lines.add(
    '/**',
    ` * Hashes one block: chaining value of ${size} ${hash.type} at \`from\`, result at \`to\`.`,
    ' * The block: `bytes` bytes at `source`, filled as `blockWord` says, each word with `pad` added;',
    ` * \`bits\` is added to word ${hash.lengthWord}.`,
    ' */',
  )
  lines.add(`export function ${hash.name}Block(`)
  const parameters = ['from: usize', 'to: usize', 'source: usize', 'bytes: i32', `pad: ${hash.type}`]
  lines.add(...[...parameters, 'mark: u32', 'bits: u32'].map((parameter) => `  ${parameter},`))
  lines.block('): void {', '}', () => {
    names('m', 16).forEach((m, i) => {
      const word = hash.word(wordBytes * i)
      lines.add(`let ${m} = ${word} ^ pad${i === hash.lengthWord ? ` ^ <${hash.type}>bits` : ''}`)
    })
    hash.roles.forEach((role, i) => {
      lines.add(`let ${role} = load<${hash.type}>(from, ${wordBytes * i})`)
    })
    for (let t = 0; t < hash.rounds; t++) {
      if (t >= 16 && hash.expand) lines.add(`m${t % 16} = ${hash.expand((i) => `m${(t + i) % 16}`)}`)
      const roles = hash.roles.map((_, i) => hash.roles[(((i - t) % size) + size) % size])
      lines.add(...hash.round(t, (i) => `m${i}`, roles))
    }
    if (hash.rounds % size !== 0) throw new Error('the roles must be back in place after the last round')
    hash.roles.forEach((role, i) => {
      const at = wordBytes * i
      lines.add(`store<${hash.type}>(to, load<${hash.type}>(from, ${at}) + ${role}, ${at})`)
    })
  })
  return lines
}

/** The file of single-block functions. */
export function hashOneFiles(): GeneratedFile[] {
  const head = header(
    'hash-one.ts',
    ['MD5, SHA-1, SHA-256 and SHA-512 of one block, for key set-up.'],
    [
      "import { blockWord, blockWord64 } from '../block-word.ts'",
      "import { SHA1_K, SHA256_K } from '../constants.ts'",
      "import { MD5_K, SHA512_K } from './hash-constants.ts'",
    ],
  )
  const functions = [md5, sha1, sha256, sha512].map((hash) => compress(hash).toString())
  return [{ name: 'hash-one.ts', text: `${head.join('\n')}\n${functions.join('\n')}` }]
}
