/**
 * Writes the bitsliced DES kernels: 128 blocks in 128 lanes, one vector for every bit, and 256 blocks in 256 lanes.
 *
 * The wide kernel does all twice side by side, for lanes 0 to 127 (a) and 128 to 255 (b): the two vectors of a bit stand
 * next to each other in memory, and the same lines are written for both, so that an engine can join them to
 * 256 bits (aes-wide.ts tells more of that).
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
import { expansion, initialPermutation, P, PC1, PC2, rotations } from './des-tables.ts'
import { type Constant, constant, type Vector, vectorList } from './des-vectors.ts'
import { CONFLICTS, inverted, ZEROS } from './des-zeros.ts'
import { type GeneratedFile, header, Lines, names } from './text.ts'

/** Halves: one for the kernel of 128 lanes, two for that of 256. */
type Halves = readonly ['_'] | readonly ['a', 'b']
type Half = Halves[number]
/** Offset of vector `n` of a half. */
type Place = (n: number, half: Half) => number
const placeIn =
  (halves: Halves): Place =>
  (n, half) =>
    16 * (halves.length * n + (half === 'b' ? 1 : 0))
/** Vectors of the sliced form of one key. */
const KEY_VECTORS = 2 * 56

/** Bits of the block that are kept inverted: the 8 bytes of a block, twice. */
function invertedBytes(): Vector {
  const bytes = Array<number>(16).fill(0)
  for (let n = 0; n < 64; n++) {
    const at = initialPermutation(n)
    for (const copy of [0, 8]) bytes[(at >> 3) + copy] |= inverted(ZEROS, n % 32) << (7 - (at & 7))
  }
  return bytes
}

/** Vectors of u16 offsets, 8 a vector. */
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
const rotationsOf = (halves: Halves): Constant => {
  const starts = rotations.map((places) => 16 * halves.length * places)
  return constant(
    ROTATIONS,
    'offsets (u16) at which the keys of the 16 rounds begin, for encryption and for decryption',
    [...offsets(starts), ...offsets(starts.toReversed())],
  )
}
const ROTATIONS = 'DES_SLICED_ROTATIONS'

const vectorGate: Record<DesOp, string> = { '&': 'and', '|': 'or', '^': 'xor', '&~': 'andnot' }

/** Vector of a bit of C and D (0 to 55) in a key that begins where the round's rotation does. */
const keyVector = (bit: number): number => (bit < 28 ? bit : bit + 28)

/** The value of an input of an S-box. */
function inputOf(box: number, i: number, right: string, key: string, place: Place, half: Half): string {
  const state = `v128.load(${right}, ${place(expansion(box, i), half)})`
  const bit = `v128.load(${key}, ${place(keyVector(PC2[6 * box + i] - 1), half)})`
  return CONFLICTS.includes(6 * box + i)
    ? `v128.not(v128.xor(${state}, ${bit}))`
    : `v128.xor(${state}, ${bit})`
}

/** One S-box of a round: reads the half at `right` and the key at `key`, changes the half at `left`. */
function substitute(
  lines: Lines,
  halves: Halves,
  tag: string,
  box: number,
  left: string,
  right: string,
  key: string,
): void {
  const place = placeIn(halves)
  const known = new Set<string>()
  const local = (name: string, half: Half) => `${tag}${name}${half}`
  const set = (name: string, value: (half: Half) => string) => {
    for (const half of halves) lines.add(`const ${local(name, half)} = ${value(half)}`)
    known.add(name)
  }
  for (const { name, op, a, b } of shifted(circuits[box], ZEROS[box])) {
    for (const input of [a, b].filter((operand) => !known.has(operand))) {
      if (!known.has(input)) set(input, (half) => inputOf(box, Number(input[1]), right, key, place, half))
    }
    set(name, (half) => `v128.${vectorGate[op]}(${local(a, half)}, ${local(b, half)})`)
    if (name[0] !== 's') continue
    const n = P.indexOf(4 * box + Number(name[1]) + 1)
    set(`o${name}`, (half) => `v128.xor(v128.load(${left}, ${place(n, half)}), ${local(name, half)})`)
    for (const half of halves.toReversed()) {
      lines.add(`v128.store(${left}, ${local(`o${name}`, half)}, ${place(n, half)})`)
    }
  }
}

/** 16 rounds. */
function pass(lines: Lines, halves: Halves): void {
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
      for (let box = 0; box < 8; box++) substitute(lines, halves, `a${box}`, box, 'left', 'right', 'first')
      for (let box = 0; box < 8; box++) substitute(lines, halves, `b${box}`, box, 'right', 'left', 'second')
      lines.add('rotations += 4')
    })
  })
}

/** All passes of DES or 3DES. */
function rounds(lines: Lines, halves: Halves): void {
  const keyBytes = 16 * halves.length * KEY_VECTORS
  lines.add(
    '/**',
    ' * Encrypts (`decrypt` 0) or decrypts (1) the blocks at `state`, `passes` times with the keys at `keys`, every',
    ' * second time in the other direction (SP 800-67 §3.1). With `passes` odd the left half is then behind the right.',
    ' */',
  )
  const signature = 'state: usize, keys: usize, passes: i32, decrypt: usize'
  lines.block(`function desSlicedRounds(${signature}): void {`, '}', () => {
    lines.add(
      'let left = state',
      `let right = state + ${512 * halves.length}`,
      `let key = decrypt !== 0 ? keys + <usize>(passes - 1) * ${keyBytes} : keys`,
      `const step: isize = decrypt !== 0 ? -${keyBytes} : ${keyBytes}`,
      `let rotations = ${ROTATIONS} + (decrypt << 5)`,
    )
    lines.block('do {', '} while (--passes > 0)', () => {
      lines.add(
        'desSlicedPass(left, right, key, rotations)',
        'const swap = left',
        'left = right',
        'right = swap',
        'key += step',
        `rotations = 2 * ${ROTATIONS} + 32 - rotations`,
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

/** Sorts 8 bytes of each of 128 messages by their place: byte k of messages r + 8 g + 64 h to vector 8 k + g. */
function loadBytes(lines: Lines, halves: Halves, { name, about, parameters, value }: Load): void {
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
        lines.add(`v128.store(bytes, ${vector}, ${128 * halves.length * byte})`)
      })
      lines.add('lanes += 32', `bytes += ${16 * halves.length}`)
      if (parameters.includes('chain')) lines.add('chain += 128')
    })
  })
}

/** Puts the bytes back behind the blocks they came from, or, as the last step of decryption, adds `chain`. */
function storeBytes(lines: Lines, halves: Halves, name: string, chained: boolean): void {
  const rest = chained ? ', chain: usize' : ''
  const about = chained ? ', added to what `desLoadBlocks` put to `chain`' : ''
  lines.add(`/** Puts the sorted \`bytes\` back behind the blocks at \`lanes\`${about}. */`)
  lines.block(`function ${name}(lanes: usize, bytes: usize, mask: v128${rest}): void {`, '}', () => {
    lines.add('const end = lanes + 256')
    lines.block('do {', '} while (lanes !== end)', () => {
      const values = names('v', 8)
      values.forEach((v, k) => {
        lines.add(`const ${v} = v128.load(bytes, ${128 * halves.length * k})`)
      })
      shuffle(lines, values, 's', 3).forEach((row, r) => {
        const plain = `v128.xor(${row}, mask)`
        lines.add(
          `const o${r} = ${chained ? `v128.xor(${plain}, v128.load(chain, ${16 * r}))` : plain}`,
          `v128.store_lane<u64>(<usize>load<u32>(lanes, ${4 * r}), o${r}, 0, 8)`,
          `v128.store_lane<u64>(<usize>load<u32>(lanes, ${4 * r + 256}), o${r}, 1, 8)`,
        )
      })
      lines.add('lanes += 32', `bytes += ${16 * halves.length}`)
      if (chained) lines.add('chain += 128')
    })
  })
}

/** Transposes the vectors `x`0 to `x`7 of each half as 8x8 bit matrices, once per byte; its own inverse. */
function transpose(lines: Lines, halves: Halves, x: string): void {
  for (const step of [1, 2, 4]) {
    for (let low = 0; low < 8; low++) {
      if (low & step) continue
      const [a, b, t] = [`${x}${low}`, `${x}${low + step}`, `${x}t${step}${low}`]
      for (const h of halves)
        lines.add(`const ${t}${h} = v128.and(v128.xor(i64x2.shr_u(${a}${h}, ${step}), ${b}${h}), m${step})`)
      for (const h of halves) lines.add(`${b}${h} = v128.xor(${b}${h}, ${t}${h})`)
      for (const h of halves) lines.add(`${a}${h} = v128.xor(${a}${h}, i64x2.shl(${t}${h}, ${step}))`)
    }
  }
}

/** An address and the number of a vector there. */
type Spot = readonly [address: string, n: number]

/** Bits 0 to 7 of the bytes k of all messages and the groups of messages: the two sides of a transposition. */
function transposeBytes(
  lines: Lines,
  halves: Halves,
  from: (k: number, i: number) => Spot,
  to: (k: number, i: number) => Spot[],
): void {
  const place = placeIn(halves)
  for (const [i, step] of [1, 2, 4].entries())
    lines.add(`const m${step} = v128.load(${MASKS.name}, ${16 * i})`)
  for (let k = 0; k < 8; k++) {
    for (let i = 0; i < 8; i++) {
      const [address, n] = from(k, i)
      for (const h of halves) lines.add(`let k${k}x${i}${h} = v128.load(${address}, ${place(n, h)})`)
    }
    transpose(lines, halves, `k${k}x`)
    for (let i = 0; i < 8; i++) {
      for (const [address, n] of to(k, i)) {
        for (const h of halves.toReversed())
          lines.add(`v128.store(${address}, k${k}x${i}${h}, ${place(n, h)})`)
      }
    }
  }
}

/** The bit of the two halves (0 to 63) that bit `t` (0 the least significant) of byte `k` of the block becomes. */
function stateBit(k: number, t: number): number {
  return Array.from({ length: 64 }, (_, n) => n).find((n) => initialPermutation(n) === 8 * k + 7 - t)!
}

/** The vectors to which bit `t` of byte `k` of a key goes: none (parity) or two. */
function keyPlaces(k: number, t: number): number[] {
  const bit = PC1.indexOf(8 * k + 8 - t)
  return bit < 0 ? [] : [keyVector(bit), keyVector(bit) + 28]
}

/** The three transpositions: block to state, state to block, key to C and D. */
function transpositions(lines: Lines, halves: Halves): void {
  const bytes = (k: number, group: number): Spot => ['bytes', 8 * k + group]
  lines.add('/** Sorted bytes of the blocks as bits of the halves. */')
  lines.block('function desStateBits(bytes: usize, state: usize): void {', '}', () => {
    transposeBytes(lines, halves, bytes, (k, t) => [['state', stateBit(k, t)]])
  })
  lines.add('', '/** The bits of the halves as sorted bytes of the blocks. */')
  lines.block('function desStateBytes(left: usize, right: usize, bytes: usize): void {', '}', () => {
    const bits = (k: number, t: number): Spot => {
      const n = stateBit(k, t)
      return [n < 32 ? 'left' : 'right', n % 32]
    }
    transposeBytes(lines, halves, bits, (k, group) => [bytes(k, group)])
  })
  lines.add('', '/** Sorted bytes of keys as bits of C and D, each twice. */')
  lines.block('function desKeyBits(bytes: usize, key: usize): void {', '}', () => {
    transposeBytes(lines, halves, bytes, (k, t) => keyPlaces(k, t).map((n) => ['key', n] as const))
  })
}

/** CBC over one block in every lane, and the slicing of keys; the wide kernel only decrypts. */
function entries(lines: Lines, halves: Halves): void {
  const wide = halves.length === 2
  const lanes = 128 * halves.length
  const room = 1024 * halves.length
  const prefix = wide ? 'desWide' : 'desSliced'
  const signature = 'lanes: usize, passes: i32, keys: usize, state: usize, bytes: usize'
  // what is done for 128 lanes: with the addresses of the half
  const each = (call: (lanes: string, bytes: string, chain: string) => string): string[] => [
    call('lanes', 'bytes', 'chain'),
    ...(wide ? [call('lanes + 512', 'bytes + 16', 'chain + 1024')] : []),
  ]
  const middle = (decrypt: 0 | 1) => [
    'desStateBits(bytes, state)',
    `desSlicedRounds(state, keys, passes, ${decrypt})`,
    `desStateBytes(state + ${512 * halves.length}, state, bytes)`,
  ]
  const about = (verb: string, rest: string) => [
    '/**',
    ` * CBC-${verb} the block behind the block at each of the ${lanes} u32 addresses \`lanes\`, in place.`,
    ` * \`state\`, \`bytes\`${rest}: ${room} bytes each; \`keys\`: made by ${prefix}Keys.`,
    ' */',
  ]
  if (!wide) {
    lines.add(...about('encrypts', ''))
    lines.block(`export function ${prefix}Encrypt(${signature}): void {`, '}', () => {
      lines.add(`const mask = v128.load(${INVERTED.name})`)
      lines.add(...each((from, bytes) => `desLoadChained(${from}, ${bytes}, mask)`))
      lines.add(...middle(0))
      lines.add(...each((to, bytes) => `desStoreBytes(${to}, ${bytes}, mask)`))
    })
    lines.add('')
  }
  lines.add(...about('decrypts', ', `chain`'))
  lines.block(`export function ${prefix}Decrypt(${signature}, chain: usize): void {`, '}', () => {
    lines.add(`const mask = v128.load(${INVERTED.name})`)
    lines.add(...each((from, bytes, chain) => `desLoadBlocks(${from}, ${bytes}, mask, ${chain})`))
    lines.add(...middle(1))
    lines.add(...each((to, bytes, chain) => `desStoreChained(${to}, ${bytes}, mask, ${chain})`))
  })
  const keyBytes = 16 * halves.length * KEY_VECTORS
  lines.add(
    '',
    '/**',
    ` * Makes the sliced keys of ${lanes} lanes, ${keyBytes} bytes a pass, from keys of 8 bytes a pass at each of the ${lanes}`,
    ` * u32 addresses \`lanes\`. \`bytes\`: ${room} bytes.`,
    ' */',
  )
  const keySignature = 'lanes: usize, passes: i32, keys: usize, bytes: usize'
  lines.block(`export function ${prefix}Keys(${keySignature}): void {`, '}', () => {
    lines.block('for (let pass: usize = 0; pass < <usize>passes; pass++) {', '}', () => {
      lines.add(...each((from, bytes) => `desLoadKeys(${from}, ${bytes}, pass << 3)`))
      lines.add(`desKeyBits(bytes, keys + pass * ${keyBytes})`)
    })
  })
}

function slicedFile(name: string, halves: Halves): GeneratedFile {
  const wide = halves.length === 2
  const parts = [
    entries,
    ...loads
      .filter((load) => !wide || load.name !== 'desLoadChained')
      .map((load) => (lines: Lines) => loadBytes(lines, halves, load)),
    ...(wide ? [] : [(lines: Lines) => storeBytes(lines, halves, 'desStoreBytes', false)]),
    (lines: Lines) => storeBytes(lines, halves, 'desStoreChained', true),
    transpositions,
    rounds,
    pass,
  ].map((write) => {
    const lines = new Lines()
    write(lines, halves)
    return String(lines)
  })
  const head = header('des-sliced.ts', [
    `DES-CBC and 3DES-CBC, bitsliced over ${128 * halves.length} lanes.`,
  ]).join('\n')
  const constants = vectorList([MASKS, INVERTED, rotationsOf(halves)])
  return { name, text: `${head}\n${constants}\n${parts.join('\n')}` }
}

/** The kernels of 128 and of 256 lanes. */
export function desSlicedFiles(): GeneratedFile[] {
  return [slicedFile('des-sliced.ts', ['_']), slicedFile('des-wide.ts', ['a', 'b'])]
}
