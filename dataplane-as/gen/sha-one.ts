/**
 * Writes SHA-1 and SHA-256 of one block in plain integers, for key set-up: the 16 message words and the
 * chaining value are locals, so that nothing made of a key is written to memory but the result.
 */
import { type GeneratedFile, header, Lines, names } from './text.ts'

/** What differs between the two hashes. */
type Hash = {
  name: string
  roles: string[]
  rounds: number
  /** The new value of schedule word t (it takes the place of word t-16); `m(i)` names word t-16+i. */
  expand: (m: (i: number) => string) => string
  /** The lines of round t with message word `word`; `r[i]` is the variable in role i. */
  round: (t: number, word: string, r: string[]) => string[]
}

const rotl = (value: string, bits: number): string => `rotl<u32>(${value}, ${bits})`
const rotr = (value: string, bits: number): string => `rotr<u32>(${value}, ${bits})`

const SHA1_MIX = [
  ([, b, c, d]: string[]) => `(${d} ^ (${b} & (${c} ^ ${d})))`,
  ([, b, c, d]: string[]) => `(${b} ^ ${c} ^ ${d})`,
  ([, b, c, d]: string[]) => `((${b} & ${c}) | (${d} & (${b} ^ ${c})))`,
  ([, b, c, d]: string[]) => `(${b} ^ ${c} ^ ${d})`,
]

const sha1: Hash = {
  name: 'sha1',
  roles: ['a', 'b', 'c', 'd', 'e'],
  rounds: 80,
  expand: (m) => rotl(`${m(13)} ^ ${m(8)} ^ ${m(2)} ^ ${m(0)}`, 1),
  round: (t, word, r) => {
    const section = Math.floor(t / 20)
    const [a, b, , , e] = r
    return [
      `${e} += ${rotl(a, 5)} + ${SHA1_MIX[section](r)} + ${word} + load<u32>(SHA1_K, ${4 * section})`,
      `${b} = ${rotl(b, 30)}`,
    ]
  },
}

const sha256: Hash = {
  name: 'sha256',
  roles: ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'],
  rounds: 64,
  expand: (m) =>
    `${m(0)} + ${m(9)} + (${rotr(m(1), 7)} ^ ${rotr(m(1), 18)} ^ (${m(1)} >> 3)) + ` +
    `(${rotr(m(14), 17)} ^ ${rotr(m(14), 19)} ^ (${m(14)} >> 10))`,
  round: (t, word, [a, b, c, d, e, f, g, h]) => [
    `${h} += (${rotr(e, 6)} ^ ${rotr(e, 11)} ^ ${rotr(e, 25)}) + (${g} ^ (${e} & (${f} ^ ${g}))) + ` +
      `${word} + load<u32>(SHA256_K, ${4 * t})`,
    `${d} += ${h}`,
    `${h} += (${rotr(a, 2)} ^ ${rotr(a, 13)} ^ ${rotr(a, 22)}) + ((${a} & ${b}) | (${c} & (${a} ^ ${b})))`,
  ],
}

/** The compression function of one block. */
function compress(hash: Hash): Lines {
  const lines = new Lines()
  const size = hash.roles.length
  lines.add(
    '/**',
    ` * Hashes one block: chaining value of ${size} u32 at \`from\`, result at \`to\`.`,
    ' * The block: `bytes` bytes at `source`, filled as `blockWord` says, each word with `pad` added;',
    ' * `bits` is added to the last word.',
    ' */',
  )
  lines.add(`export function ${hash.name}Block(`)
  const parameters = [
    'from: usize',
    'to: usize',
    'source: usize',
    'bytes: i32',
    'pad: u32',
    'mark: u32',
    'bits: u32',
  ]
  lines.add(...parameters.map((parameter) => `  ${parameter},`))
  lines.block('): void {', '}', () => {
    names('m', 16).forEach((m, i) => {
      lines.add(`let ${m} = blockWord(source, bytes, ${4 * i}, mark) ^ pad${i === 15 ? ' ^ bits' : ''}`)
    })
    hash.roles.forEach((role, i) => {
      lines.add(`let ${role} = load<u32>(from, ${4 * i})`)
    })
    for (let t = 0; t < hash.rounds; t++) {
      const m = (i: number) => `m${(t + i) % 16}`
      if (t >= 16) lines.add(`${m(0)} = ${hash.expand(m)}`)
      const roles = hash.roles.map((_, i) => hash.roles[(((i - t) % size) + size) % size])
      lines.add(...hash.round(t, m(0), roles))
    }
    const shift = hash.rounds % size
    if (shift !== 0) throw new Error('the roles must be back in place after the last round')
    hash.roles.forEach((role, i) => {
      lines.add(`store<u32>(to, load<u32>(from, ${4 * i}) + ${role}, ${4 * i})`)
    })
  })
  return lines
}

/** The file of single-block functions. */
export function shaOneFiles(): GeneratedFile[] {
  const head = header(
    'sha-one.ts',
    ['SHA-1 and SHA-256 of one block, for key set-up.'],
    ["import { blockWord } from '../block-word.ts'", "import { SHA1_K, SHA256_K } from '../constants.ts'"],
  )
  return [{ name: 'sha-one.ts', text: `${head.join('\n')}\n${compress(sha1)}\n${compress(sha256)}` }]
}
