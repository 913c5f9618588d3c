/** What the lane kernels of the hashes share: loading blocks of several messages word by word, and sums of vectors. */
import { Lines, names } from './text.ts'
import { transposeWords } from './transpose.ts'

/** The names of lane addresses p0.. for `lanes` lanes, loaded from the table at `lanes`. */
function loadAddresses(lines: Lines, lanes: number): void {
  names('p', lanes).forEach((p, i) => {
    lines.add(`let ${p} = <usize>load<u32>(lanes, ${4 * i})`)
  })
}

/**
 * Loads one 64-byte block per lane, 4 lanes a group, and stores 32-bit word t of lane b at
 * words + t·4·lanes + 4·b; `turn` says that the bytes of each word are turned; moves the addresses on.
 */
function loadBlocks32(lines: Lines, lanes: number, turn: boolean): void {
  for (let group = 0; group < lanes; group += 4) {
    for (let chunk = 0; chunk < 4; chunk++) {
      const tag = `${group}${chunk}`
      const row = names(`x${tag}`, 4)
      row.forEach((x, i) => {
        const bytes = `v128.load(p${group + i}, ${16 * chunk})`
        lines.add(`const ${x} = ${turn ? `v128.swizzle(${bytes}, swap)` : bytes}`)
      })
      transposeWords(lines, row, tag).forEach((value, word) => {
        lines.add(`v128.store(words, ${value}, ${(4 * chunk + word) * 4 * lanes + 4 * group})`)
      })
    }
  }
  for (const p of names('p', lanes)) lines.add(`${p} += 64`)
}

/** The same for 128-byte blocks of 64-bit words, 2 lanes a group. */
function loadBlocks64(lines: Lines, lanes: number): void {
  for (let group = 0; group < lanes; group += 2) {
    for (let chunk = 0; chunk < 8; chunk++) {
      const tag = `${group}${chunk}`
      for (const i of [0, 1]) {
        lines.add(`const x${tag}${i} = v128.swizzle(v128.load(p${group + i}, ${16 * chunk}), swap)`)
      }
      for (const word of [0, 1]) {
        const value = `v128.shuffle<i64>(x${tag}0, x${tag}1, ${word}, ${2 + word})`
        lines.add(`v128.store(words, ${value}, ${(2 * chunk + word) * 8 * lanes + 8 * group})`)
      }
    }
  }
  for (const p of names('p', lanes)) lines.add(`${p} += 128`)
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

/** The function that hashes blocks from memory, and the one that hashes words which stand in rows already. */
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
    loadAddresses(lines, lanes)
    if (hash.swap) lines.add(`const swap = v128.load(${hash.swap})`)
    lines.block('do {', '} while (--blocks > 0)', () => {
      if (hash.wordBits === 64) loadBlocks64(lines, lanes)
      else loadBlocks32(lines, lanes, hash.swap !== undefined)
      lines.add(`${name}Words(states, words)`)
    })
  })
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
