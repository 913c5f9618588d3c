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
 * S-boxes. Of the six inputs three (SELECT) choose among eight vectors of candidates, by a polynomial whose
 * coefficients are vectors; three (PLACE) name one of the eight bits of a byte: they become a byte with that one
 * bit set. The wanted bit is then tested and spread over its byte by one comparison. Two such results hold all
 * 32 output bits: P sends two of the outputs of each S-box to the middle (bits 1 and 2) of nibbles and two to
 * their ends (bits 0 and 3), so each of m0..m3 is one permutation of the bytes of one result.
 *
 * Keys. For the inputs of SELECT the key is in the coefficients: every round has its own, those of the
 * polynomial with the variables inverted where the key bit is 1. That costs time once a message and none in a
 * round. To the inputs of PLACE it is added.
 */

import { inputBit } from './des-lanes.ts'
import { initialPermutation, P, sboxes } from './des-tables.ts'
import { constant, permuteBytes, type Vector, vectorList } from './des-vectors.ts'
import { type GeneratedFile, header, Lines, names } from './text.ts'

/** Inputs that select vectors, the first innermost: those come first whose result is ready first. */
const SELECT = [2, 3, 1]
/** Inputs that name a bit. */
const PLACE = [4, 0, 5]
/** The byte of candidates for which an input of PLACE is 1. */
const PLACE_PATTERNS = [0xaa, 0xcc, 0xf0]

/** Places in the key of a round: two polynomials, and what is added to the inputs of PLACE. */
const ENDS_AT = 0
const MIDDLE_AT = 128
const PLACE_AT = 256
const ROUND_BYTES = 304

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

/** The value of the polynomial with the eight coefficients at offset `at` of the keys, the last variable outermost. */
function polynomial(lines: Lines, tag: string, variables: readonly string[], at: number): string {
  if (variables.length === 0) return `v128.load(keys, ${at})`
  const rest = variables.slice(0, -1)
  const low = polynomial(lines, `${tag}l`, rest, at)
  const high = polynomial(lines, `${tag}h`, rest, at + (16 << rest.length))
  lines.add(`const ${tag} = v128.xor(${low}, v128.and(${high}, ${variables.at(-1)}))`)
  return tag
}

const turned = (value: string, by: number): string => {
  const places = Array.from({ length: 16 }, (_, i) => i + by)
  return `v128.shuffle<u8>(${value}, ${value}, ${places.join(', ')})`
}

/** One round with the keys at `keys`: `left` takes the output for `right`. */
function round(lines: Lines, tag: string, left: readonly string[], right: readonly string[]): void {
  const direct = [turned(right[3], 15), ...right, turned(right[0], 1)]
  const place = PLACE.map((input, i) => `v128.xor(${direct[input]}, v128.load(keys, ${PLACE_AT + 16 * i}))`)
  lines.add(`const ${tag}p = v128.and(v128.and(${place[0]}, ${place[1]}), ${place[2]})`)
  const select = SELECT.map((input) => direct[input])
  for (const [result, at, bits] of [
    ['v', MIDDLE_AT, [1, 2]],
    ['u', ENDS_AT, [0, 3]],
  ] as const) {
    const value = polynomial(lines, `${tag}${result}c`, select, at)
    lines.add(`const ${tag}${result} = i8x16.eq(v128.and(${value}, ${tag}p), ${tag}p)`)
    for (const i of bits) {
      const spread = `permuteBytes(${tag}${result}, v128.load(${SPREAD.name}, ${16 * i}))`
      lines.add(`${left[i]} = v128.xor(${left[i]}, ${spread})`)
    }
  }
  lines.add(`keys += ${ROUND_BYTES}`)
}

/** Halves from the block `x`. */
function enter(lines: Lines, left: readonly string[], right: readonly string[]): void {
  lines.add(`const left = v128.load(${BITS.name})`, `const right = v128.load(${BITS.name}, 16)`)
  left.forEach((_, q) => {
    lines.add(
      `const i${q} = permuteBytes(x, v128.load(${ENTER.name}, ${16 * q}))`,
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
    return `permuteBytes(u${q}, v128.load(${LEAVE.name}, ${8 * q}))`
  })
  lines.add(`chain = v128.or(${parts.join(', ')})`)
}

/** CBC encryption of one message. */
function encryptRun(lines: Lines): void {
  const [left, right] = [names('l', 4), names('r', 4)]
  lines.add(
    '/**',
    ' * CBC-encrypts `blocks` (>= 1) blocks behind the block at `before`, in place.',
    ' * `expanded`: made by desSingleKeys; `passes`: 1 (DES) or 3 (3DES).',
    ' */',
  )
  const signature = 'before: usize, blocks: i32, passes: i32, expanded: usize'
  lines.block(`export function desSingleEncrypt(${signature}): void {`, '}', () => {
    lines.add('let chain = v128.load_zero<u64>(before)')
    lines.block('do {', '} while (--blocks > 0)', () => {
      lines.add('const x = v128.xor(chain, v128.load_zero<u64>(before, 8))')
      enter(lines, left, right)
      lines.add('let keys = expanded', 'let pass = passes')
      lines.block('do {', '} while (--pass > 0)', () => {
        lines.add(`const end = keys + ${16 * ROUND_BYTES}`)
        lines.block('do {', '} while (keys !== end)', () => {
          round(lines, 'a', left, right)
          round(lines, 'b', right, left)
        })
        left.forEach((l, i) => {
          lines.add(`const t${i} = ${l}`, `${l} = ${right[i]}`, `${right[i]} = t${i}`)
        })
      })
      leave(lines, left, right)
      lines.add('before += 8', 'v128.store_lane<u64>(before, chain, 0)')
    })
  })
}

/** Stores the coefficients of one polynomial with the variables inverted where the key bits k0.. are 1. */
function storeCoefficients(lines: Lines, tag: string, list: string, at: number): void {
  const value = Array.from({ length: 8 }, (_, i) => `v128.load(${list}, ${16 * i})`)
  SELECT.forEach((_, variable) => {
    for (let i = 0; i < 8; i++) {
      if ((i >> variable) & 1) continue
      const name = `${tag}${variable}${i}`
      lines.add(
        `const ${name} = v128.xor(${value[i]}, v128.and(${value[i | (1 << variable)]}, k${variable}))`,
      )
      value[i] = name
    }
  })
  value.forEach((name, i) => {
    lines.add(`v128.store(expanded, ${name}, ${at + 16 * i})`)
  })
}

/** What the rounds read, from the key bytes. */
function expandKeys(lines: Lines): void {
  lines.add(
    '/**',
    ` * Makes what desSingleEncrypt reads, ${ROUND_BYTES} bytes a round, from \`rounds\` groups of 8 key bytes.`,
    ' */',
  )
  const signature = 'bytes: usize, rounds: i32, expanded: usize'
  lines.block(`export function desSingleKeys(${signature}): void {`, '}', () => {
    for (let input = 0; input < 6; input++) {
      lines.add(`const bit${input} = v128.load(${KEYS.name}, ${16 * input})`)
    }
    lines.block('do {', '} while (--rounds > 0)', () => {
      lines.add('const key = v128.load_splat<u64>(bytes)')
      const mask = (input: number): string => `i8x16.eq(v128.and(key, bit${input}), bit${input})`
      SELECT.forEach((input, i) => {
        lines.add(`const k${i} = ${mask(input)}`)
      })
      storeCoefficients(lines, 'e', ENDS.name, ENDS_AT)
      storeCoefficients(lines, 'm', MIDDLE.name, MIDDLE_AT)
      PLACE.forEach((input, i) => {
        const value = `v128.xor(${mask(input)}, v128.load(${PLACES.name}, ${16 * i}))`
        lines.add(`v128.store(expanded, ${value}, ${PLACE_AT + 16 * i})`)
      })
      lines.add('bytes += 8', `expanded += ${ROUND_BYTES}`)
    })
  })
}

/** The file. */
export function desSingleFile(): GeneratedFile {
  const parts = [encryptRun, expandKeys].map((write) => {
    const lines = new Lines()
    write(lines)
    return String(lines)
  })
  const about = ['DES-CBC and 3DES-CBC encryption of single messages, in constant time.']
  const head = header('des-single.ts', about).join('\n')
  return {
    name: 'des-single.ts',
    text: `${head}\n${vectorList(constants)}\n${permuteBytes}\n${parts.join('\n')}`,
  }
}
