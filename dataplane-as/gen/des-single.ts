/**
 * Writes the DES kernel for one message at a time, for bursts with too few messages to fill lanes.
 *
 * There is no table lookup at secret places: the whole of the eight S-boxes, 2,048 bits, goes through the
 * vector unit in every round, and what the inputs do not select is masked away.
 *
 * Layout. Byte p of a vector belongs to S-box j = p mod 8, in two copies k = p / 8. A half of the block is four
 * vectors m0..m3: all bits of byte p of mq are bit q of nibble j. The inputs of S-box j (the expansion E) are
 * bit 3 of nibble j - 1, the bits 0 to 3 of nibble j, and bit 0 of nibble j + 1: input 0 and 5 are m3 and m0
 * turned by one byte.
 *
 * Keys. The halves are kept with the key added that their next use needs, so that the key costs no time on
 * the way from one round to the next: what is added to a half is the key of its last use and of its next one.
 *
 * S-boxes. Of the six inputs three (SELECT) choose among eight vectors of constants, by a polynomial in which
 * each of the three occurs once per level; three (PLACE) name one of the eight bits of a byte: they become a
 * byte with that one bit set. The wanted bit is then tested and spread over its byte by one comparison. Two
 * such results hold all 32 output bits: P sends two of the outputs of each S-box to the middle (bits 1 and 2)
 * of nibbles and two to their ends (bits 0 and 3), so each of m0..m3 is one permutation of one result.
 */

import { inputBit } from './des-lanes.ts'
import { initialPermutation, P, sboxes } from './des-tables.ts'
import { constant, type Vector, vectorList } from './des-vectors.ts'
import { type GeneratedFile, header, Lines, names } from './text.ts'

/** Inputs that select vectors, the first innermost: those come first whose result is ready first. */
const SELECT = [2, 3, 1]
/** Inputs that name a bit. */
const PLACE = [4, 0, 5]
/** The byte of candidates for which an input of PLACE is 1. */
const PLACE_PATTERNS = [0xaa, 0xcc, 0xf0]

const bytes = (of: (box: number, copy: number) => number): Vector =>
  Array.from({ length: 16 }, (_, p) => of(p % 8, p >> 3))

/** Where an output goes: nibble and bit of the half that it is added to. */
const target = (box: number, output: number): number => P.indexOf(4 * box + output + 1)
/** The two outputs of a box that go to the ends of nibbles, or those that go to the middle. */
const outputsTo = (box: number, ends: boolean): number[] =>
  [0, 1, 2, 3].filter((output) => ((target(box, output) % 4) % 3 === 0) === ends)

/** Output bits of all boxes for eight inputs: SELECT has the bits of `chosen`, PLACE counts through the byte. */
function candidates(ends: boolean, chosen: number): Vector {
  return bytes((box, copy) => {
    const output = outputsTo(box, ends)[copy]
    let byte = 0
    for (let place = 0; place < 8; place++) {
      let x = 0
      SELECT.forEach((input, i) => {
        x |= ((chosen >> i) & 1) << (5 - input)
      })
      PLACE.forEach((input, i) => {
        x |= ((place >> i) & 1) << (5 - input)
      })
      byte |= ((sboxes[box][x] >> (3 - output)) & 1) << place
    }
    return byte
  })
}

/** Coefficients of the polynomial over SELECT that has the candidates as its values. */
function coefficients(ends: boolean): Vector[] {
  const values = Array.from({ length: 8 }, (_, chosen) => candidates(ends, chosen))
  for (let bit = 1; bit < 8; bit *= 2) {
    for (let i = 0; i < 8; i++) {
      if (i & bit) values[i] = values[i].map((byte, p) => byte ^ values[i - bit][p])
    }
  }
  return values
}

/** Which byte of the ends or the middle result is bit `q` of each nibble. */
function permutation(q: number): Vector {
  return bytes((nibble) => {
    const from = P[4 * nibble + q] - 1
    const [box, output] = [from >> 2, from & 3]
    return box + 8 * outputsTo(box, q % 3 === 0).indexOf(output)
  })
}

/** Byte of the block that holds bit `q` of the nibbles of both halves. */
const blockBytes = (q: number): Vector => bytes((nibble) => initialPermutation(4 * nibble + q) >> 3)
/** The bit of that byte for the left or right half. */
const blockBits = (half: number): Vector =>
  bytes((nibble) => 0x80 >> (initialPermutation(32 * half + 4 * nibble) & 7))

/** Where the bytes of the block stand after the bits q and q + 1 were gathered: see `leave`. */
const gathered = (q: number): Vector =>
  Array.from({ length: 16 }, (_, byte) => {
    const place = 7 - byte
    return byte < 8 && (place & 2) === q ? 8 * (place & 1) + (place >> 2) : 255
  })

const ENDS = constant(
  'DES_SINGLE_ENDS',
  'coefficients of the outputs to the ends of nibbles',
  coefficients(true),
)
const MIDDLE = constant('DES_SINGLE_MIDDLE', 'coefficients of the outputs to the middle', coefficients(false))
const SPREAD = constant('DES_SINGLE_SPREAD', 'places of the bits 0 to 3 of nibbles in the results', [
  permutation(0),
  permutation(1),
  permutation(2),
  permutation(3),
])
const ENTER = constant(
  'DES_SINGLE_ENTER',
  'block bytes of the bits 0 to 3 of nibbles',
  [0, 1, 2, 3].map(blockBytes),
)
const BITS = constant('DES_SINGLE_BITS', 'bits of these bytes, left and right half', [
  blockBits(0),
  blockBits(1),
])
const LEAVE = constant('DES_SINGLE_LEAVE', 'block bytes from gathered bits', [gathered(0), gathered(2)])
const KEYS = constant(
  'DES_SINGLE_KEYS',
  'bit of the key byte of each S-box for inputs 0 to 5',
  [0, 1, 2, 3, 4, 5].map((input) => bytes((box) => 1 << inputBit(box, input))),
)
const PLACES = constant(
  'DES_SINGLE_PLACES',
  'patterns of the inputs that name a bit',
  PLACE_PATTERNS.map((pattern) => bytes(() => pattern ^ 0xff)),
)

const constants = [ENDS, MIDDLE, SPREAD, ENTER, BITS, LEAVE, KEYS, PLACES]

/** The value of a polynomial in the variables a0.., the last one outermost. */
function polynomial(
  lines: Lines,
  tag: string,
  list: string,
  variables: readonly string[],
  first = 0,
): string {
  if (variables.length === 0) return `v128.load(${list}, ${16 * first})`
  const rest = variables.slice(0, -1)
  const size = 1 << rest.length
  const low = polynomial(lines, `${tag}l`, list, rest, first)
  const high = polynomial(lines, `${tag}h`, list, rest, first + size)
  lines.add(`const ${tag} = v128.xor(${low}, v128.and(${high}, ${variables.at(-1)}))`)
  return tag
}

const turned = (value: string, by: number): string => {
  const places = Array.from({ length: 16 }, (_, i) => i + by)
  return `v128.shuffle<u8>(${value}, ${value}, ${places.join(', ')})`
}

/** One round at offset `at` of the keys: `left` takes the output for `right`. */
function round(
  lines: Lines,
  tag: string,
  left: readonly string[],
  right: readonly string[],
  at: number,
): void {
  lines.add(
    `const ${tag}0 = v128.xor(${turned(right[3], 15)}, v128.load(keys, ${at + 64}))`,
    `const ${tag}5 = v128.xor(${turned(right[0], 1)}, v128.load(keys, ${at + 80}))`,
  )
  const inputs = [`${tag}0`, ...right, `${tag}5`]
  const select = SELECT.map((input) => inputs[input])
  const [p, q, r] = PLACE.map((input) => inputs[input])
  const middle = polynomial(lines, `${tag}m`, MIDDLE.name, select)
  lines.add(
    `const ${tag}p = v128.and(v128.and(${q}, ${r}), ${p})`,
    `const ${tag}v = i8x16.eq(v128.and(${middle}, ${tag}p), ${tag}p)`,
  )
  for (const i of [1, 2]) addResult(lines, left[i], `${tag}v`, i, at)
  const ends = polynomial(lines, `${tag}e`, ENDS.name, select)
  lines.add(`const ${tag}u = i8x16.eq(v128.and(${ends}, ${tag}p), ${tag}p)`)
  for (const i of [0, 3]) addResult(lines, left[i], `${tag}u`, i, at)
  lines.add(`v128.store(spare, ${tag}p)`)
}

/** Adds a result to bit `i` of the nibbles, and exchanges the key of the half's last use for that of its next. */
function addResult(lines: Lines, half: string, result: string, i: number, at: number): void {
  const keyed = `v128.xor(${half}, v128.load(keys, ${at + 16 * i}))`
  lines.add(`${half} = v128.xor(${keyed}, v128.swizzle(${result}, v128.load(${SPREAD.name}, ${16 * i})))`)
}

/** Halves from the block `x`. */
function enter(lines: Lines, left: readonly string[], right: readonly string[]): void {
  lines.add(`const left = v128.load(${BITS.name})`, `const right = v128.load(${BITS.name}, 16)`)
  left.forEach((_, q) => {
    lines.add(
      `const i${q} = v128.swizzle(x, v128.load(${ENTER.name}, ${16 * q}))`,
      `let ${left[q]} = i8x16.eq(v128.and(i${q}, left), left)`,
      `let ${right[q]} = i8x16.eq(v128.and(i${q}, right), right)`,
    )
  })
}

/**
 * The block from its halves: for each q the bits of four bytes in a row of two become one byte, the odd and the
 * even nibbles apart. Two of these fit into one vector.
 */
function leave(lines: Lines, left: readonly string[], right: readonly string[]): void {
  left.forEach((_, q) => {
    lines.add(`const o${q} = v128.or(v128.and(${left[q]}, left), v128.and(${right[q]}, right))`)
  })
  const parts = [0, 2].map((q) => {
    lines.add(
      `const w${q} = v128.shuffle<i64>(o${q}, o${q + 1}, 0, 3)`,
      `const v${q} = v128.or(w${q}, i64x2.shr_u(w${q}, 32))`,
      `const u${q} = v128.or(v${q}, i64x2.shr_u(v${q}, 16))`,
    )
    return `v128.swizzle(u${q}, v128.load(${LEAVE.name}, ${8 * q}))`
  })
  lines.add(`chain = v128.or(${parts.join(', ')})`)
}

/** Adds the four vectors at an offset of the keys. */
function addKey(lines: Lines, half: readonly string[], at: number): void {
  half.forEach((name, i) => {
    lines.add(`${name} = v128.xor(${name}, v128.load(keys, ${at + 16 * i}))`)
  })
}

/** CBC encryption of one message. */
function encryptRun(): Lines {
  const [left, right] = [names('l', 4), names('r', 4)]
  const lines = new Lines()
  lines.add(
    '/**',
    ' * CBC-encrypts `blocks` (>= 1) blocks behind the block at `before`, in place.',
    ' * `expanded`: round keys made by desSingleKeys; `passes`: 1 (DES) or 3 (3DES). `spare`: 16 bytes, written once a',
    ' * round: a store keeps V8 from holding all constants in registers, where they would displace the halves.',
    ' */',
  )
  const signature = 'before: usize, blocks: i32, passes: i32, expanded: usize, spare: usize'
  lines.block(`export function desSingleEncrypt(${signature}): void {`, '}', () => {
    lines.add('let chain = v128.load_zero<u64>(before)')
    lines.block('do {', '} while (--blocks > 0)', () => {
      lines.add('const x = v128.xor(chain, v128.load_zero<u64>(before, 8))')
      enter(lines, left, right)
      lines.add('let keys = expanded', 'let pass = passes')
      lines.block('do {', '} while (--pass > 0)', () => {
        addKey(lines, right, 0)
        lines.add('const end = keys + 1536')
        lines.block('do {', '} while (keys !== end)', () => {
          round(lines, 'a', left, right, 64)
          round(lines, 'b', right, left, 160)
          lines.add('keys += 192')
        })
        addKey(lines, left, 64)
        lines.add('keys += 128')
        left.forEach((l, i) => {
          lines.add(`const t${i} = ${l}`, `${l} = ${right[i]}`, `${right[i]} = t${i}`)
        })
      })
      leave(lines, left, right)
      lines.add('before += 8', 'v128.store_lane<u64>(before, chain, 0)')
    })
  })
  return lines
}

/** The vector of a round key for one input, from the key bytes in `from`. */
function keyVector(from: string, input: number): string {
  const mask = `i8x16.eq(v128.and(${from}, bit${input}), bit${input})`
  return PLACE.includes(input) ? `v128.xor(${mask}, place${input})` : mask
}

/** Writes what a round reads, for the keys of the round before, this round and the next in p, c and n. */
function storeRound(lines: Lines, next: (input: number) => string): void {
  for (let input = 1; input <= 4; input++) {
    lines.add(`v128.store(expanded, v128.xor(p${input}, ${next(input)}), ${16 * (input - 1)})`)
  }
  lines.add(
    `v128.store(expanded, v128.xor(${keyVector('key', 0)}, ${turned('c4', 15)}), 64)`,
    `v128.store(expanded, v128.xor(${keyVector('key', 5)}, ${turned('c1', 1)}), 80)`,
    'expanded += 96',
  )
}

/** The key bytes of rounds as vectors. */
function expandKeys(): Lines {
  const lines = new Lines()
  lines.add(
    '/**',
    ' * Makes the round keys that desSingleEncrypt reads, 1,664 bytes a pass, from 16 groups of 8 key bytes a pass.',
    ' */',
  )
  lines.block(
    'export function desSingleKeys(bytes: usize, passes: i32, expanded: usize): void {',
    '}',
    () => {
      for (let input = 0; input < 6; input++)
        lines.add(`const bit${input} = v128.load(${KEYS.name}, ${16 * input})`)
      PLACE.forEach((input, i) => {
        lines.add(`const place${input} = v128.load(${PLACES.name}, ${16 * i})`)
      })
      lines.block('do {', '} while (--passes > 0)', () => {
        lines.add('let key = v128.load_splat<u64>(bytes)')
        for (let input = 1; input <= 4; input++) {
          lines.add(
            `let p${input} = i64x2.splat(0)`,
            `let c${input} = ${keyVector('key', input)}`,
            `v128.store(expanded, c${input}, ${16 * (input - 1)})`,
          )
        }
        lines.add('expanded += 64', 'const last = bytes + 120')
        lines.block('do {', '} while (bytes !== last)', () => {
          lines.add('const next = v128.load_splat<u64>(bytes, 8)')
          for (let input = 1; input <= 4; input++) lines.add(`const n${input} = ${keyVector('next', input)}`)
          storeRound(lines, (input) => `n${input}`)
          for (const input of [1, 2, 3, 4]) lines.add(`p${input} = c${input}`, `c${input} = n${input}`)
          lines.add('key = next', 'bytes += 8')
        })
        for (let input = 1; input <= 4; input++) {
          lines.add(
            `v128.store(expanded, p${input}, ${16 * (input - 1)})`,
            `v128.store(expanded, c${input}, ${96 + 16 * (input - 1)})`,
          )
        }
        lines.add(
          `v128.store(expanded, v128.xor(${keyVector('key', 0)}, ${turned('c4', 15)}), 64)`,
          `v128.store(expanded, v128.xor(${keyVector('key', 5)}, ${turned('c1', 1)}), 80)`,
          'expanded += 160',
          'bytes += 8',
        )
      })
    },
  )
  return lines
}

/** The file. */
export function desSingleFile(): GeneratedFile {
  const about = ['DES-CBC and 3DES-CBC encryption of single messages, in constant time.']
  return {
    name: 'des-single.ts',
    text: `${header('des-single.ts', about).join('\n')}\n${vectorList(constants)}\n${encryptRun()}\n${expandKeys()}`,
  }
}
