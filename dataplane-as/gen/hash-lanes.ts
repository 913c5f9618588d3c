/** What the lane kernels of the hashes share: loading blocks of several messages word by word, and sums of vectors. */
import { Lines, names } from './text.ts'
import { transposeWords } from './transpose.ts'

/** Addresses of the lanes as p0.. (or another prefix), loaded from a table. */
function loadAddresses(
  lines: Lines,
  kind: 'let' | 'const',
  prefix: string,
  table: string,
  lanes: number,
): void {
  names(prefix, lanes).forEach((name, i) => {
    lines.add(`${kind} ${name} = <usize>load<u32>(${table}, ${4 * i})`)
  })
}

/** The expression of 16 bytes of lane `i`, `from` bytes into its block; of a last block with its bits cut and marked. */
type Bytes = (lane: number, from: number) => string
const wholeBytes: Bytes = (lane, from) => `v128.load(p${lane}, ${from})`
const lastBytes =
  (blockBytes: number): Bytes =>
  (lane, from) =>
    `v128.or(v128.and(v128.load(p${lane}, ${from}), v128.load(m${lane}, ${from})), v128.load(m${lane}, ${2 * blockBytes + from}))`

/**
 * Loads one 64-byte block per lane, 4 lanes a group, and stores 32-bit word t of lane b at
 * words + t·4·lanes + 4·b; `turn` says that the bytes of each word are turned.
 */
function loadBlocks32(lines: Lines, lanes: number, turn: boolean, read: Bytes): void {
  for (let group = 0; group < lanes; group += 4) {
    for (let chunk = 0; chunk < 4; chunk++) {
      const tag = `${group}${chunk}`
      const row = names(`x${tag}`, 4)
      row.forEach((x, i) => {
        const bytes = read(group + i, 16 * chunk)
        lines.add(`const ${x} = ${turn ? `v128.swizzle(${bytes}, swap)` : bytes}`)
      })
      transposeWords(lines, row, tag).forEach((value, word) => {
        lines.add(`v128.store(words, ${value}, ${(4 * chunk + word) * 4 * lanes + 4 * group})`)
      })
    }
  }
}

/** The same for 128-byte blocks of 64-bit words, 2 lanes a group. */
function loadBlocks64(lines: Lines, lanes: number, read: Bytes): void {
  for (let group = 0; group < lanes; group += 2) {
    for (let chunk = 0; chunk < 8; chunk++) {
      const tag = `${group}${chunk}`
      for (const i of [0, 1]) {
        lines.add(`const x${tag}${i} = v128.swizzle(${read(group + i, 16 * chunk)}, swap)`)
      }
      for (const word of [0, 1]) {
        const value = `v128.shuffle<i64>(x${tag}0, x${tag}1, ${word}, ${2 + word})`
        lines.add(`v128.store(words, ${value}, ${(2 * chunk + word) * 8 * lanes + 8 * group})`)
      }
    }
  }
}

/** One block of every lane. */
function loadBlocks(lines: Lines, hash: LaneHash, read: Bytes): void {
  if (hash.wordBits === 64) loadBlocks64(lines, hash.lanes, read)
  else loadBlocks32(lines, hash.lanes, hash.swap !== undefined, read)
}

/** What a hash says of itself. */
export type LaneHash = {
  /** Name of the functions: `sha1` gives sha1Run and sha1Words. */
  name: string
  /** Name in comments, e.g. `SHA-1`. */
  title: string
  lanes: number
  /** Bits of a word: 32 or 64; a block has 16 words. */
  wordBits: 32 | 64
  /** Words of the chaining value. */
  stateWords: number
  /** Words of the message schedule, 16 for none. */
  scheduleWords: number
  /** Constant of the mask that turns the bytes of words; undefined if they stand as they are read. */
  swap?: string
  /** The lines of the compression function; `states` and `words` are its parameters. */
  body: (lines: Lines) => void
}

/** The function that reads the last, partial block of every lane. */
function lastBlock(lines: Lines, hash: LaneHash): void {
  const { name, lanes } = hash
  const blockBytes = (16 * hash.wordBits) / 8
  lines.add(
    '',
    '/**',
    ` * Reads ${blockBytes} bytes at each of ${lanes} addresses as words and makes a last block of them: \`masks\` has the`,
    ` * address of a lane's mask, which keeps the bytes of the message; ${2 * blockBytes} bytes on stands what marks their end.`,
    ' */',
  )
  const head = `export function ${name}Last(lanes: usize, masks: usize, words: usize): void {`
  lines.block(head, '}', () => {
    loadAddresses(lines, 'const', 'p', 'lanes', lanes)
    loadAddresses(lines, 'const', 'm', 'masks', lanes)
    if (hash.swap) lines.add(`const swap = v128.load(${hash.swap})`)
    loadBlocks(lines, hash, lastBytes(blockBytes))
  })
}

/** The functions that hash blocks from memory and read last blocks, and the one that hashes words which stand in rows already. */
export function laneHash(hash: LaneHash): Lines {
  const { name, title, lanes, stateWords, scheduleWords } = hash
  const wordBytes = hash.wordBits / 8
  const row = wordBytes * lanes
  const lines = new Lines()
  lines.add(
    '/**',
    ` * ${title} over \`blocks\` (>= 1) blocks of ${16 * wordBytes} bytes in each of ${lanes} lanes.`,
    ` * \`lanes\`: ${lanes} u32 addresses; \`states\` and \`words\`: see ${name}Words.`,
    ' */',
  )
  const run = `export function ${name}Run(lanes: usize, blocks: i32, states: usize, words: usize): void {`
  lines.block(run, '}', () => {
    loadAddresses(lines, 'let', 'p', 'lanes', lanes)
    if (hash.swap) lines.add(`const swap = v128.load(${hash.swap})`)
    lines.block('do {', '} while (--blocks > 0)', () => {
      loadBlocks(lines, hash, wholeBytes)
      for (const p of names('p', lanes)) lines.add(`${p} += ${16 * wordBytes}`)
      lines.add(`${name}Words(states, words)`)
    })
  })
  lastBlock(lines, hash)
  lines.add(
    '',
    '/**',
    ` * One block in each lane: \`states\` has ${stateWords} rows and is changed in place, \`words\` has ${scheduleWords} rows of which`,
    ` * the first 16 hold the message; a row has one word of every lane, ${row} bytes.`,
    ' */',
  )
  lines.block(`export function ${name}Words(states: usize, words: usize): void {`, '}', () =>
    hash.body(lines),
  )
  return lines
}

/** Rotation of 32-bit words to the left. */
export function rotateLeft(value: string, bits: number): string {
  return `v128.or(i32x4.shl(${value}, ${bits}), i32x4.shr_u(${value}, ${32 - bits}))`
}

/** The sum of 32-bit words, left to right. */
export function sum(...values: string[]): string {
  return values.reduce((a, b) => `i32x4.add(${a}, ${b})`)
}

/** Exclusive or, left to right. */
export function xor(...values: string[]): string {
  return values.reduce((a, b) => `v128.xor(${a}, ${b})`)
}
