/**
 * Writes the bitsliced DES kernel: 128 blocks in 128 lanes, one vector for every bit.
 *
 * Layout. The state is 64 vectors in memory, bits 0 to 31 of the left half and then those of the right; IP and
 * its inverse are in the places to which the bits are moved on the way in and out. A lane is a bit of every
 * vector: message r + 8 g + 64 h is bit g of byte 2 r + h. On the way in the bytes of the blocks are sorted by
 * their place in the block, then the bits of the bytes.
 *
 * Keys. C and D rotate by 28 places in 16 rounds (FIPS 46-3, key schedule), so each stands twice in a row and a
 * round reads it from where its rotation begins: 2 · 56 vectors a key and no expanded schedule, so that lanes
 * can change their keys often.
 *
 * S-boxes. The circuits have no gate with an inverted result and give S(x) ^ S(0). They are used shifted by a
 * c with S(c) = 0: right outputs for inputs x ^ c. Neighbouring S-boxes share inputs; ZEROS are eight such c
 * that agree on the shared bits but for one, which is inverted on the spot. The others arrive inverted because
 * the state is kept so: the blocks are complemented at those bits when they come and when they go.
 */
import { circuits } from './des-circuits.ts'
import { type DesOp, shifted } from './des-gates.ts'
import { pairOf, shuffle } from './des-shuffle.ts'
import { expansion, initialPermutation, P, PC1, PC2, rotations, sboxes } from './des-tables.ts'
import { constant, type Vector, vectorList } from './des-vectors.ts'
import { type GeneratedFile, header, Lines, names } from './text.ts'

/** Bytes of the sliced form of one key. */
const KEY_BYTES = 2 * 56 * 16

const bitOf = (x: number, i: number): number => (x >> (5 - i)) & 1

/** For each S-box an input for which it gives 0. */
const ZEROS = findZeros()
/** Inputs of S-boxes, as 6 · box + input, that do not arrive as ZEROS wants them. */
const CONFLICTS = conflicts(ZEROS)

/** Whether bit `n` of a half is kept inverted under `zeros`: as the S-box has it whose inputs 1 to 4 are its nibble. */
function inverted(zeros: readonly number[], n: number): number {
  return bitOf(zeros[n >> 2], 1 + (n & 3))
}

function conflicts(zeros: readonly number[]): number[] {
  return Array.from({ length: 48 }, (_, k) => k).filter((k) => {
    const [box, i] = [Math.floor(k / 6), k % 6]
    return bitOf(zeros[box], i) !== inverted(zeros, expansion(box, i))
  })
}

function findZeros(): number[] {
  const choices = sboxes.map((box) => box.flatMap((value, x) => (value === 0 ? [x] : [])))
  let best: number[] = []
  let least = Number.POSITIVE_INFINITY
  for (let n = 0; n < 4 ** 8; n++) {
    const zeros = choices.map((list, box) => list[(n >> (2 * box)) & 3])
    const wrong = conflicts(zeros).length
    if (wrong < least) [best, least] = [zeros, wrong]
  }
  return best
}

/** Bits of the block that are kept inverted: the 8 bytes of a block, twice. */
function invertedBytes(): Vector {
  const bytes = Array<number>(16).fill(0)
  for (let n = 0; n < 64; n++) {
    const at = initialPermutation(n)
    for (const copy of [0, 8]) bytes[(at >> 3) + copy] |= inverted(ZEROS, n % 32) << (7 - (at & 7))
  }
  return bytes
}

const starts = rotations.map((places) => 16 * places)
/** Vectors of the u16 offsets `starts`, 8 a vector. */
const offsets = (list: readonly number[]): Vector[] =>
  [0, 8].map((from) => list.slice(from, from + 8).flatMap((value) => [value & 255, value >> 8]))

const MASKS = constant(
  'DES_SLICED_MASKS',
  'masks of the bit transposition, for shifts by 1, 2 and 4',
  [0x55, 0x33, 0x0f].map((byte) => Array<number>(16).fill(byte)),
)
const INVERTED = constant('DES_SLICED_INVERTED', 'bits of the block that are kept inverted', [
  invertedBytes(),
])
const ROTATIONS = constant(
  'DES_SLICED_ROTATIONS',
  'offsets (u16) at which the keys of the 16 rounds begin, for encryption and for decryption',
  [...offsets(starts), ...offsets(starts.toReversed())],
)

const vectorGate: Record<DesOp, string> = { '&': 'and', '|': 'or', '^': 'xor', '&~': 'andnot' }

/** Offset of a bit of C and D (0 to 55) in a key that begins where the round's rotation does. */
const keyOffset = (bit: number): number => 16 * (bit < 28 ? bit : bit + 28)

/** The value of an input of an S-box. */
function inputOf(box: number, i: number, right: string, key: string): string {
  const state = `v128.load(${right}, ${16 * expansion(box, i)})`
  const value = `v128.xor(${state}, v128.load(${key}, ${keyOffset(PC2[6 * box + i] - 1)}))`
  return CONFLICTS.includes(6 * box + i) ? `v128.not(${value})` : value
}

/** One S-box of a round: reads the half at `right` and the key at `key`, changes the half at `left`. */
function substitute(lines: Lines, tag: string, box: number, left: string, right: string, key: string): void {
  const known = new Set<string>()
  const operand = (name: string): string => {
    if (!known.has(name)) lines.add(`const ${tag}${name} = ${inputOf(box, Number(name[1]), right, key)}`)
    known.add(name)
    return tag + name
  }
  for (const { name, op, a, b } of shifted(circuits[box], ZEROS[box])) {
    lines.add(`const ${tag}${name} = v128.${vectorGate[op]}(${operand(a)}, ${operand(b)})`)
    known.add(name)
    if (name[0] !== 's') continue
    const at = 16 * P.indexOf(4 * box + Number(name[1]) + 1)
    lines.add(`v128.store(${left}, v128.xor(v128.load(${left}, ${at}), ${tag}${name}), ${at})`)
  }
}

/** 16 rounds. */
function pass(lines: Lines): void {
  lines.add(
    '/** 16 rounds on the halves at `left` and `right`; `rotations`: where the keys of the rounds begin. */',
  )
  const signature = 'left: usize, right: usize, key: usize, rotations: usize'
  lines.block(`function desSlicedPass(${signature}): void {`, '}', () => {
    lines.add('const end = rotations + 32')
    lines.block('do {', '} while (rotations !== end)', () => {
      lines.add(
        'const first = key + <usize>load<u16>(rotations)',
        'const second = key + <usize>load<u16>(rotations, 2)',
      )
      for (let box = 0; box < 8; box++) substitute(lines, `a${box}`, box, 'left', 'right', 'first')
      for (let box = 0; box < 8; box++) substitute(lines, `b${box}`, box, 'right', 'left', 'second')
      lines.add('rotations += 4')
    })
  })
}

/** All passes of DES or 3DES. */
function rounds(lines: Lines): void {
  lines.add(
    '/**',
    ' * Encrypts (`decrypt` 0) or decrypts (1) the 128 blocks at `state`, `passes` times with the keys at `keys`, every',
    ' * second time in the other direction (SP 800-67 §3.1). With `passes` odd the left half is then behind the right.',
    ' */',
  )
  const signature = 'state: usize, keys: usize, passes: i32, decrypt: usize'
  lines.block(`function desSlicedRounds(${signature}): void {`, '}', () => {
    lines.add(
      'let left = state',
      'let right = state + 512',
      `let key = decrypt !== 0 ? keys + <usize>(passes - 1) * ${KEY_BYTES} : keys`,
      `const step: isize = decrypt !== 0 ? -${KEY_BYTES} : ${KEY_BYTES}`,
      `let rotations = ${ROTATIONS.name} + (decrypt << 5)`,
    )
    lines.block('do {', '} while (--passes > 0)', () => {
      lines.add(
        'desSlicedPass(left, right, key, rotations)',
        'const swap = left',
        'left = right',
        'right = swap',
        'key += step',
        `rotations = 2 * ${ROTATIONS.name} + 32 - rotations`,
      )
    })
  })
}

/** What the loading of blocks and keys adds to the 8 bytes. */
type Load = { name: string; about: string; parameters: string; value: (a: string, b: string) => string[] }

const loads: Load[] = [
  {
    name: 'desLoadChained',
    about: 'the block behind each address, added to the block there',
    parameters: ', mask: v128',
    value: (a, b) => [`v128.xor(v128.xor(${pairOf(a, b, 0)}, mask), ${pairOf(a, b, 8)})`],
  },
  {
    name: 'desLoadBlocks',
    about: 'the block behind each address; the block there goes to `chain`',
    parameters: ', mask: v128, chain: usize',
    value: (a, b) => [`v128.xor(${pairOf(a, b, 8)}, mask)`, pairOf(a, b, 0)],
  },
  {
    name: 'desLoadKeys',
    about: 'the 8 bytes at `offset` behind each address',
    parameters: ', offset: usize',
    value: (a, b) => [pairOf(`${a} + offset`, `${b} + offset`, 0)],
  },
]

/** Sorts 8 bytes of each of 128 messages by their place: byte k of messages r + 8 g + 64 h to 128 k + 16 g. */
function loadBytes(lines: Lines, { name, about, parameters, value }: Load): void {
  lines.add(`/** Sorts into \`bytes\`: ${about}; \`lanes\`: 128 u32 addresses. */`)
  lines.block(`function ${name}(lanes: usize, bytes: usize${parameters}): void {`, '}', () => {
    lines.add('const end = lanes + 256')
    lines.block('do {', '} while (lanes !== end)', () => {
      const rows = names('x', 8)
      rows.forEach((row, r) => {
        lines.add(`const ${row}a = <usize>load<u32>(lanes, ${4 * r})`)
        lines.add(`const ${row}b = <usize>load<u32>(lanes, ${4 * r + 256})`)
        const [sorted, kept] = value(`${row}a`, `${row}b`)
        lines.add(`const ${row} = ${sorted}`)
        if (kept !== undefined) lines.add(`v128.store(chain, ${kept}, ${16 * r})`)
      })
      shuffle(lines, rows, 's', 4).forEach((vector, byte) => {
        lines.add(`v128.store(bytes, ${vector}, ${128 * byte})`)
      })
      lines.add('lanes += 32', 'bytes += 16')
      if (parameters.includes('chain')) lines.add('chain += 128')
    })
  })
}

/** Puts the bytes back behind the blocks they came from, or, as the last step of decryption, adds `chain`. */
function storeBytes(lines: Lines, name: string, chained: boolean): void {
  const rest = chained ? ', chain: usize' : ''
  const about = chained ? ', added to what `desLoadBlocks` put to `chain`' : ''
  lines.add(`/** Puts the sorted \`bytes\` back behind the blocks at \`lanes\`${about}. */`)
  lines.block(`function ${name}(lanes: usize, bytes: usize, mask: v128${rest}): void {`, '}', () => {
    lines.add('const end = lanes + 256')
    lines.block('do {', '} while (lanes !== end)', () => {
      const values = names('v', 8)
      values.forEach((v, k) => {
        lines.add(`const ${v} = v128.load(bytes, ${128 * k})`)
      })
      shuffle(lines, values, 's', 3).forEach((row, r) => {
        const plain = `v128.xor(${row}, mask)`
        lines.add(
          `const o${r} = ${chained ? `v128.xor(${plain}, v128.load(chain, ${16 * r}))` : plain}`,
          `v128.store_lane<u64>(<usize>load<u32>(lanes, ${4 * r}), o${r}, 0, 8)`,
          `v128.store_lane<u64>(<usize>load<u32>(lanes, ${4 * r + 256}), o${r}, 1, 8)`,
        )
      })
      lines.add('lanes += 32', 'bytes += 16')
      if (chained) lines.add('chain += 128')
    })
  })
}

/** Transposes the vectors `x`0 to `x`7 as 8x8 bit matrices, once per byte; its own inverse. */
function transpose(lines: Lines, x: string): void {
  for (const step of [1, 2, 4]) {
    for (let low = 0; low < 8; low++) {
      if (low & step) continue
      const [a, b, t] = [`${x}${low}`, `${x}${low + step}`, `${x}t${step}${low}`]
      lines.add(
        `const ${t} = v128.and(v128.xor(i64x2.shr_u(${a}, ${step}), ${b}), m${step})`,
        `${b} = v128.xor(${b}, ${t})`,
        `${a} = v128.xor(${a}, i64x2.shl(${t}, ${step}))`,
      )
    }
  }
}

/** Bits 0 to 7 of the bytes k of all messages and the groups of messages: the two sides of a transposition. */
function transposeBytes(
  lines: Lines,
  load: (k: number, i: number) => string,
  store: (k: number, i: number, value: string) => string[],
): void {
  for (const [i, step] of [1, 2, 4].entries())
    lines.add(`const m${step} = v128.load(${MASKS.name}, ${16 * i})`)
  for (let k = 0; k < 8; k++) {
    for (let i = 0; i < 8; i++) lines.add(`let k${k}x${i} = ${load(k, i)}`)
    transpose(lines, `k${k}x`)
    for (let i = 0; i < 8; i++) lines.add(...store(k, i, `k${k}x${i}`))
  }
}

const bytePlace = (k: number, group: number): number => 128 * k + 16 * group

/** The bit of the two halves (0 to 63) that bit `t` (0 the least significant) of byte `k` of the block becomes. */
function stateBit(k: number, t: number): number {
  return Array.from({ length: 64 }, (_, n) => n).find((n) => initialPermutation(n) === 8 * k + 7 - t)!
}

/** Where bit `t` of byte `k` of a key goes: nowhere (parity) or to two places. */
function keyPlaces(k: number, t: number): number[] {
  const bit = PC1.indexOf(8 * k + 8 - t)
  return bit < 0 ? [] : [keyOffset(bit), keyOffset(bit) + 16 * 28]
}

/** The three transpositions: block to state, state to block, key to C and D. */
function transpositions(lines: Lines): void {
  const fromBytes = (k: number, group: number): string => `v128.load(bytes, ${bytePlace(k, group)})`
  lines.add('/** Sorted bytes of the blocks as bits of the halves. */')
  lines.block('function desStateBits(bytes: usize, state: usize): void {', '}', () => {
    transposeBytes(lines, fromBytes, (k, t, value) => [`v128.store(state, ${value}, ${16 * stateBit(k, t)})`])
  })
  lines.add('', '/** The bits of the halves as sorted bytes of the blocks. */')
  lines.block('function desStateBytes(left: usize, right: usize, bytes: usize): void {', '}', () => {
    const fromBits = (k: number, t: number): string => {
      const n = stateBit(k, t)
      return `v128.load(${n < 32 ? 'left' : 'right'}, ${16 * (n % 32)})`
    }
    transposeBytes(lines, fromBits, (k, group, value) => [
      `v128.store(bytes, ${value}, ${bytePlace(k, group)})`,
    ])
  })
  lines.add('', '/** Sorted bytes of keys as bits of C and D, each twice. */')
  lines.block('function desKeyBits(bytes: usize, key: usize): void {', '}', () => {
    transposeBytes(lines, fromBytes, (k, t, value) =>
      keyPlaces(k, t).map((at) => `v128.store(key, ${value}, ${at})`),
    )
  })
}

/** The entry points. */
function entries(lines: Lines): void {
  lines.add(
    '/**',
    ' * CBC-encrypts the block behind the block at each of the 128 u32 addresses `lanes`, in place.',
    ' * `state` and `bytes`: 1,024 bytes each; `keys`: made by desSlicedKeys.',
    ' */',
  )
  const signature = 'lanes: usize, passes: i32, keys: usize, state: usize, bytes: usize'
  lines.block(`export function desSlicedEncrypt(${signature}): void {`, '}', () => {
    lines.add(
      `const mask = v128.load(${INVERTED.name})`,
      'desLoadChained(lanes, bytes, mask)',
      'desStateBits(bytes, state)',
      'desSlicedRounds(state, keys, passes, 0)',
      'desStateBytes(state + 512, state, bytes)',
      'desStoreBytes(lanes, bytes, mask)',
    )
  })
  lines.add('', '/** CBC-decrypts as desSlicedEncrypt encrypts; `chain`: 1,024 bytes. */')
  lines.block(`export function desSlicedDecrypt(${signature}, chain: usize): void {`, '}', () => {
    lines.add(
      `const mask = v128.load(${INVERTED.name})`,
      'desLoadBlocks(lanes, bytes, mask, chain)',
      'desStateBits(bytes, state)',
      'desSlicedRounds(state, keys, passes, 1)',
      'desStateBytes(state + 512, state, bytes)',
      'desStoreChained(lanes, bytes, mask, chain)',
    )
  })
  lines.add(
    '',
    '/**',
    ` * Makes the sliced keys of 128 lanes, ${KEY_BYTES} bytes a pass, from keys of 8 bytes a pass at each of the 128`,
    ' * u32 addresses `schedules`. `bytes`: 1,024 bytes.',
    ' */',
  )
  const keySignature = 'schedules: usize, passes: i32, keys: usize, bytes: usize'
  lines.block(`export function desSlicedKeys(${keySignature}): void {`, '}', () => {
    lines.block('for (let pass: usize = 0; pass < <usize>passes; pass++) {', '}', () => {
      lines.add('desLoadKeys(schedules, bytes, pass << 3)', `desKeyBits(bytes, keys + pass * ${KEY_BYTES})`)
    })
  })
}

/** The file. */
export function desSlicedFile(): GeneratedFile {
  const parts = [
    entries,
    ...loads.map((load) => (lines: Lines) => loadBytes(lines, load)),
    (lines: Lines) => storeBytes(lines, 'desStoreBytes', false),
    (lines: Lines) => storeBytes(lines, 'desStoreChained', true),
    transpositions,
    rounds,
    pass,
  ].map((write) => {
    const lines = new Lines()
    write(lines)
    return String(lines)
  })
  const head = header('des-sliced.ts', ['DES-CBC and 3DES-CBC, bitsliced over 128 lanes.']).join('\n')
  return {
    name: 'des-sliced.ts',
    text: `${head}\n${vectorList([MASKS, INVERTED, ROTATIONS])}\n${parts.join('\n')}`,
  }
}
