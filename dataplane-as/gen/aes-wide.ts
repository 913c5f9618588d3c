/**
 * Writes the AES-CBC kernels of 64 lanes: bitsliced, a vector for each bit of each row of 32 lanes.
 *
 * Vector (r, b) holds bit b of row r: its word c is column c, bit l of that word is lane l. So SubBytes works on
 * the 8 vectors of a row, four times; a row is shifted by moving words (one pshufd); and MixColumns, which adds
 * rows to each other, needs no moves at all. Against the kernels of 8 lanes (aes-parts.ts) this saves the moves
 * of MixColumns and the byte permutations of ShiftRows.
 *
 * A block as it stands in memory has column c in word c, and bit 8r + b of that word is bit b of row r: the way
 * in and the way out are the transposition of the 32x32 bits that word c of 32 blocks has, for all four c at once.
 *
 * All this is done twice side by side, for lanes 0 to 31 (a) and 32 to 63 (b): the two vectors stand next to each
 * other in memory, and the same lines are written for both. An engine that joins equal operations on neighbours
 * makes one 256-bit instruction of each pair (V8 does with --experimental-wasm-revectorize); for any other
 * the halves are independent work that the processor overlaps. For the former, a pair is stored at once, b first,
 * and nothing but pshufd moves bytes.
 *
 * As in aes-parts.ts the state stands "shifted" between the rounds, decryption walks the same states backwards
 * and reads the same keys.
 */
import { wideForwardSbox, wideInverseSbox } from './aes-sbox.ts'
import type { Gate } from './circuit.ts'
import { type GeneratedFile, header, Lines, names } from './text.ts'

const ROWS = 4
const BITS = 8
const LANES = 64
const HALVES = ['a', 'b'] as const
type Half = (typeof HALVES)[number]
/** Bytes of the vectors of a row, and of a state or a sliced round key. */
const ROW_BYTES = 32 * BITS
const STATE_BYTES = ROWS * ROW_BYTES
const rows = [0, 1, 2, 3]

/** A value of each half: `name` stands for the names name_a and name_b. */
type Pair = (half: Half) => string
const pair =
  (name: string): Pair =>
  (half) =>
    `${name}_${half}`
/** The vectors (row, bit) at an address. */
const load =
  (address: string, row: number, bit: number): Pair =>
  (half) =>
    `v128.load(${address}, ${offset(row, bit, half)})`
const offset = (row: number, bit: number, half: Half): number =>
  ROW_BYTES * row + 32 * bit + (half === 'b' ? 16 : 0)
const xor =
  (x: Pair, y: Pair): Pair =>
  (half) =>
    `v128.xor(${x(half)}, ${y(half)})`

/** Gives the pair `name` a value; `word` is const or let, or nothing for a new value of an old name. */
function set(lines: Lines, word: 'const' | 'let' | '', name: string, value: Pair): Pair {
  for (const half of HALVES) lines.add(`${word} ${name}_${half} = ${value(half)}`.trim())
  return pair(name)
}

/** Stores a pair as vectors (row, bit); its values are computed before, so that the stores stand together. */
function store(lines: Lines, address: string, row: number, bit: number, value: Pair): void {
  const result = /^\w+$/.test(value('a')) ? value : set(lines, 'const', `o${row}${bit}`, value)
  for (const half of ['b', 'a'] as const) {
    lines.add(`v128.store(${address}, ${result(half)}, ${offset(row, bit, half)})`)
  }
}

/** The masks that `swaps` needs. */
function loadMasks(lines: Lines, steps: readonly number[]): void {
  for (const step of steps) lines.add(`const m${step} = v128.load(AES_MASKS, ${16 * Math.log2(step)})`)
}

/**
 * For each of `steps`, exchanges the bits of x[i] that have it in their place with those of x[i + step / unit] that
 * have not.
 */
function swaps(lines: Lines, x: readonly string[], steps: readonly number[], unit: number): void {
  let n = 0
  for (const step of steps) {
    const distance = step / unit
    for (let low = 0; low < x.length; low++) {
      if (low & distance) continue
      const [a, b] = [pair(x[low]), pair(x[low + distance])]
      const moved: Pair = (h) => `v128.and(v128.xor(i32x4.shr_u(${a(h)}, ${step}), ${b(h)}), m${step})`
      const t = set(lines, 'const', `move${n++}`, moved)
      set(lines, '', x[low + distance], xor(b, t))
      set(
        lines,
        '',
        x[low],
        xor(a, (h) => `i32x4.shl(${t(h)}, ${step})`),
      )
    }
  }
}

const LANE_STEPS = [16, 8]
const ROW_STEPS = [4, 2, 1]

/** `value` of row `row` with its columns moved as ShiftRows or InvShiftRows does. */
function shiftRow(value: Pair, row: number, way: 1 | -1): Pair {
  if (row === 0) return value
  const columns = rows.map((column) => (column + way * row + ROWS) % ROWS).join(', ')
  return (half) => `v128.shuffle<i32>(${value(half)}, ${value(half)}, ${columns})`
}

/** `body` in braces, so that its names are its own. */
function step(lines: Lines, body: () => void): void {
  lines.block('{', '}', body)
}

/** Brings blocks to `into`, four lanes of a half at a time: `block` is the expression for the block of an address. */
function enterLanes(lines: Lines, into: string, block: (address: string, lane: number) => string): void {
  loadMasks(lines, LANE_STEPS)
  const x = names('x', ROWS)
  for (let lane = 0; lane < BITS; lane++) {
    step(lines, () => {
      for (const row of rows) {
        for (const half of HALVES) {
          const index = lane + BITS * row + (half === 'b' ? 32 : 0)
          lines.add(`const p${row}_${half} = <usize>load<u32>(lanes, ${4 * index}) + at`)
        }
        const laneOf = (half: Half) => lane + BITS * row + (half === 'b' ? 32 : 0)
        set(lines, 'let', x[row], (half) => block(`p${row}_${half}`, laneOf(half)))
      }
      swaps(lines, x, LANE_STEPS, BITS)
      for (const row of rows) store(lines, into, row, lane, pair(x[row]))
    })
  }
}

/** Takes the blocks out, one lane after the other; `result` is what is written for a value and an address. */
function leaveLanes(lines: Lines, result: (value: string, address: string) => string): void {
  const x = names('x', ROWS)
  step(lines, () => {
    loadMasks(lines, LANE_STEPS)
    for (let lane = 0; lane < BITS; lane++) {
      step(lines, () => {
        for (const row of rows) set(lines, 'let', x[row], load('state', row, lane))
        swaps(lines, x, LANE_STEPS, BITS)
        for (const row of rows) store(lines, 'state', row, lane, pair(x[row]))
      })
    }
  })
  for (const half of HALVES) {
    for (let lane = 0; lane < 32; lane++) {
      step(lines, () => {
        lines.add(`const p = <usize>load<u32>(lanes, ${4 * (lane + (half === 'b' ? 32 : 0))}) + at`)
        lines.add(`v128.store(p, ${result(load('state', lane >> 3, lane & 7)(half), 'p')}, 16)`)
      })
    }
  }
}

/** The lines of `body` for each row; `row` is the address of its vectors, `keyRow` that of its keys. */
function eachRow(lines: Lines, key: string, body: () => void): void {
  lines.add('let row = state', `let keyRow = ${key}`)
  lines.block('do {', '} while (row < stateEnd)', () => {
    body()
    lines.add(`row += ${ROW_BYTES}`, `keyRow += ${ROW_BYTES}`)
  })
}

/** The S-box on 8 pairs; an input is brought in when it is first read, a result goes to `done` when it is there. */
function substitute(
  lines: Lines,
  circuit: readonly Gate[],
  input: (bit: number) => Pair,
  done: (value: Pair, bit: number) => void,
): void {
  const loaded = new Set<string>()
  for (const { name, op, a, b } of circuit) {
    for (const x of [a, b].filter((operand) => operand[0] === 'x' && !loaded.has(operand))) {
      loaded.add(x)
      set(lines, 'const', x, input(7 - Number(x[1])))
    }
    const gate = op === '&' ? 'and' : 'xor'
    const result = set(lines, 'const', name, (half) => `v128.${gate}(${a}_${half}, ${b}_${half})`)
    if (name[0] === 's') done(result, 7 - Number(name[1]))
  }
}

/** The S-box on the row at `row`, in place. */
function substituteRow(lines: Lines, circuit: readonly Gate[]): void {
  substitute(
    lines,
    circuit,
    (bit) => load('row', 0, bit),
    (value, bit) => store(lines, 'row', 0, bit, value),
  )
}

/** The vectors of a row and bit, and where a result goes: what the steps between two S-boxes read and write. */
type Moves = {
  read: (row: number, bit: number) => Pair
  write: (value: Pair, row: number, bit: number) => void
}

/**
 * MixColumns over all rows: with u = q ^ q of the next row the result is xtime(u) ^ q of the next row ^ u two rows
 * on. xtime moves bit i-1 to i and adds bit 7 to bits 0, 1, 3 and 4 (x^8 = x^4 + x^3 + x + 1).
 */
function mixColumns(lines: Lines, { read, write }: Moves): void {
  const q = (row: number, bit: number) => pair(`q${row & 3}${bit}`)
  const u = (row: number, bit: number) => pair(`u${row & 3}${bit & 7}`)
  const sums = (bit: number) => {
    for (const row of rows) set(lines, 'const', `q${row}${bit}`, read(row, bit))
    for (const row of rows) set(lines, 'const', `u${row}${bit}`, xor(q(row, bit), q(row + 1, bit)))
  }
  sums(7)
  for (let bit = 0; bit < BITS; bit++) {
    if (bit < 7) sums(bit)
    for (const row of rows) {
      let value = xor(xor(q(row + 1, bit), u(row + 2, bit)), u(row, bit - 1))
      if (bit === 1 || bit === 3 || bit === 4) value = xor(value, u(row, 7))
      write(value, row, bit)
    }
  }
}

/** The terms of bit i of 4 v in GF(2^8), v6 ^ v7 having a name of its own. */
const QUADRUPLE = [['6'], ['67'], ['0', '7'], ['1', '6'], ['2', '67'], ['3', '7'], ['4'], ['5']]

/** InvMixColumns: q ^= 4 v with v = q ^ (q two rows on), which is the same two rows on; MixColumns does the rest. */
function inverseMixColumns(lines: Lines, { read, write }: Moves): void {
  const known = new Map<string, Pair>()
  const once = (name: string, value: () => Pair): Pair => {
    if (!known.has(name)) known.set(name, set(lines, 'const', name, value()))
    return known.get(name)!
  }
  const w = (row: number, bit: number) => once(`w${row}${bit}`, () => read(row, bit))
  const v = (parity: number, bits: string): Pair =>
    once(`v${parity}${bits}`, () =>
      bits === '67'
        ? xor(v(parity, '6'), v(parity, '7'))
        : xor(w(parity, Number(bits)), w(parity + 2, Number(bits))),
    )
  const sum = (parity: number, bit: number): Pair =>
    once(`f${parity}${bit}`, () => QUADRUPLE[bit].map((bits) => v(parity, bits)).reduce(xor))
  const added = (row: number, bit: number): Pair => {
    const f = sum(row & 1, bit)
    return xor(w(row, bit), f)
  }
  mixColumns(lines, { read: added, write })
}

/** Behind the way in of encryption: rows transposed and shifted, with the first key. */
function enterRows(lines: Lines): void {
  const x = names('x', BITS)
  loadMasks(lines, ROW_STEPS)
  for (const row of rows) {
    step(lines, () => {
      x.forEach((name, bit) => {
        set(lines, 'let', name, load('state', row, bit))
      })
      swaps(lines, x, ROW_STEPS, 1)
      x.forEach((name, bit) => {
        store(lines, 'state', row, bit, xor(shiftRow(pair(name), row, 1), load('keys', row, bit)))
      })
    })
  }
}

/** Before the way out of decryption: rows with the first key, shifted back and transposed. */
function leaveRows(lines: Lines): void {
  const x = names('x', BITS)
  loadMasks(lines, ROW_STEPS)
  for (const row of rows) {
    step(lines, () => {
      x.forEach((name, bit) => {
        const sum = xor(load('state', row, bit), load('keys', row, bit))
        set(lines, 'let', name, shiftRow(sum, row, -1))
      })
      swaps(lines, x, ROW_STEPS, 1)
      x.forEach((name, bit) => {
        store(lines, 'state', row, bit, pair(name))
      })
    })
  }
}

/** CBC: the block before is added to the one that is encrypted. */
function chainBlocks(lines: Lines): void {
  encryptBlocks(
    lines,
    (p) => `v128.xor(v128.load(${p}), v128.load(${p}, 16))`,
    (value) => value,
  )
}

/** Counter mode: the encrypted counter blocks are added to the data. */
function countBlocks(lines: Lines): void {
  encryptBlocks(
    lines,
    (_, lane) => `v128.load(counters, ${16 * lane})`,
    (value, p) => `v128.xor(${value}, v128.load(${p}, 16))`,
  )
}

/** One block in every lane; steps in the order in which they are taken. */
function encryptBlocks(
  lines: Lines,
  block: (address: string, lane: number) => string,
  result: (value: string, address: string) => string,
): void {
  step(lines, () => enterLanes(lines, 'state', block))
  step(lines, () => enterRows(lines))
  lines.add(`let key = keys + ${STATE_BYTES}`)
  lines.block('do {', '} while (key < keysEnd)', () => {
    step(lines, () => eachRow(lines, 'key', () => substituteRow(lines, wideForwardSbox)))
    mixColumns(lines, {
      read: (row, bit) => load('state', row, bit),
      write: (value, row, bit) =>
        store(lines, 'state', row, bit, xor(shiftRow(value, row, 1), load('key', row, bit))),
    })
    lines.add(`key += ${STATE_BYTES}`)
  })
  step(lines, () => lastRows(lines))
  leaveLanes(lines, result)
  lines.add('at += 16')
}

/** The last SubBytes of encryption, the last key, and the rows transposed. */
function lastRows(lines: Lines): void {
  loadMasks(lines, ROW_STEPS)
  eachRow(lines, 'keysEnd', () => {
    const z = names('out', BITS)
    substitute(
      lines,
      wideForwardSbox,
      (bit) => load('row', 0, bit),
      (value, bit) => set(lines, 'let', z[bit], xor(value, load('keyRow', 0, bit))),
    )
    swaps(lines, z, ROW_STEPS, 1)
    z.forEach((name, bit) => {
      store(lines, 'row', 0, bit, pair(name))
    })
  })
}

/** The rows transposed, the last key, and the first InvSubBytes of decryption. */
function firstRows(lines: Lines): void {
  loadMasks(lines, ROW_STEPS)
  eachRow(lines, 'keysEnd', () => {
    const z = names('in', BITS)
    z.forEach((name, bit) => {
      set(lines, 'let', name, load('row', 0, bit))
    })
    swaps(lines, z, ROW_STEPS, 1)
    substitute(
      lines,
      wideInverseSbox,
      (bit) => xor(pair(z[bit]), load('keyRow', 0, bit)),
      (value, bit) => store(lines, 'row', 0, bit, value),
    )
  })
}

/** One block in every lane; steps in the order in which they are taken. */
function decryptBlocks(lines: Lines): void {
  step(lines, () => enterLanes(lines, 'state', (p) => `v128.load(${p}, 16)`))
  step(lines, () => firstRows(lines))
  lines.add(`let key = keysEnd - ${STATE_BYTES}`)
  lines.block('do {', '} while (key > keys)', () => {
    inverseMixColumns(lines, {
      read: (row, bit) => shiftRow(xor(load('state', row, bit), load('key', row, bit)), row, -1),
      write: (value, row, bit) => store(lines, 'state', row, bit, value),
    })
    step(lines, () => eachRow(lines, 'key', () => substituteRow(lines, wideInverseSbox)))
    lines.add(`key -= ${STATE_BYTES}`)
  })
  step(lines, () => leaveRows(lines))
  leaveLanes(lines, (value, p) => `v128.xor(${value}, v128.load(${p}))`)
  lines.add(`at -= ${16 * LANES}`)
}

/** A kernel; `about` says what it does with `blocks`. */
function kernel(name: string, about: string[], blocks: (lines: Lines) => void, more = ''): Lines {
  const lines = new Lines()
  lines.add(
    '/**',
    ...about,
    ` * \`rounds\`: 10, 12 or 14; \`keys\`: round keys sliced for ${LANES} lanes; \`state\`: ${STATE_BYTES} bytes to work in.`,
    ' */',
  )
  const signature = 'lanes: usize, blocks: i32, rounds: i32, keys: usize, state: usize'
  lines.block(`export function ${name}(${signature}${more}): void {`, '}', () => {
    lines.add('let at: usize = 0', `const keysEnd = keys + <usize>rounds * ${STATE_BYTES}`)
    lines.add(`const stateEnd = state + ${STATE_BYTES}`)
    lines.block('do {', '} while (--blocks > 0)', () => blocks(lines))
  })
  return lines
}

/** Slicing of the key schedules of all lanes. */
function sliceKeys(): Lines {
  const lines = new Lines()
  const x = names('x', BITS)
  lines.add(
    '/**',
    ` * Brings the round keys of ${LANES} lanes into sliced form: ${STATE_BYTES} bytes per round key, \`rounds\` + 1 of them.`,
    ` * \`lanes\`: ${LANES} u32 addresses of schedules made by aesExpandKey; lanes may share one.`,
    ' */',
  )
  lines.block('export function aesWideSliceKeys(lanes: usize, rounds: i32, keys: usize): void {', '}', () => {
    lines.add('let at: usize = 0', 'const columns = v128.load(AES_TRANSPOSE)')
    lines.block('do {', '} while (--rounds >= 0)', () => {
      step(lines, () => enterLanes(lines, 'keys', (p) => `v128.swizzle(v128.load(${p}), columns)`))
      lines.add(`const keysEnd = keys + ${STATE_BYTES}`)
      loadMasks(lines, ROW_STEPS)
      lines.block('do {', '} while (keys < keysEnd)', () => {
        x.forEach((name, bit) => {
          set(lines, 'let', name, load('keys', 0, bit))
        })
        swaps(lines, x, ROW_STEPS, 1)
        x.forEach((name, bit) => {
          store(lines, 'keys', 0, bit, pair(name))
        })
        lines.add(`keys += ${ROW_BYTES}`)
      })
      lines.add('at += 16')
    })
  })
  return lines
}

/** The sliced form of one schedule in all lanes, or in some of them. */
function spreadKey(some: boolean): Lines {
  const lines = new Lines()
  lines.add(
    '/**',
    some
      ? ' * The same as aesWideSpreadKey for the lanes whose bit is set in `low` (lanes 0 to 31) and `high`; the others keep theirs.'
      : ` * The same as aesWideSliceKeys for ${LANES} lanes that share one \`schedule\`: a bit of the key fills a word.`,
    ' */',
  )
  const [name, more] = some ? ['aesWideSpreadLanes', ', low: u32, high: u32'] : ['aesWideSpreadKey', '']
  lines.block(
    `export function ${name}(schedule: usize, rounds: i32, keys: usize${more}): void {`,
    '}',
    () => {
      lines.add('const columns = v128.load(AES_TRANSPOSE)')
      if (some) lines.add('const taken_a = i32x4.splat(low)', 'const taken_b = i32x4.splat(high)')
      lines.block('do {', '} while (--rounds >= 0)', () => {
        lines.add('const key = v128.swizzle(v128.load(schedule), columns)')
        for (let bit = 0; bit < ROWS * BITS; bit++) {
          lines.add(`const bit${bit} = i32x4.shr_s(i32x4.shl(key, ${31 - bit}), 31)`)
          const kept = load('keys', 0, bit)
          const value: Pair = (half) =>
            some ? `v128.bitselect(bit${bit}, ${kept(half)}, taken_${half})` : `bit${bit}`
          store(lines, 'keys', 0, bit, value)
        }
        lines.add('schedule += 16', `keys += ${STATE_BYTES}`)
      })
    },
  )
  return lines
}

/** The files of the wide kernels. */
export function aesWideFiles(): GeneratedFile[] {
  const file = (name: string, about: string, constants: string, ...parts: Lines[]): GeneratedFile => {
    const head = header('aes-wide.ts', [about], [`import { ${constants} } from '../constants.ts'`])
    return { name, text: `${head.join('\n')}\n${parts.join('\n')}` }
  }
  const encrypt = [
    ` * CBC-encrypts \`blocks\` (>= 1) blocks in place in each of ${LANES} lanes, one message a lane.`,
    ` * \`lanes\`: ${LANES} u32 addresses of the block before the first.`,
  ]
  const count = [
    ` * Adds the encrypted blocks of \`counters\`, ${LANES} of 16 bytes, to the data, one block a lane; \`blocks\` is 1.`,
    ` * \`lanes\`: ${LANES} u32 addresses of the block before the data.`,
  ]
  const decrypt = [
    ` * CBC-decrypts in place, ${LANES} blocks a step, \`blocks\` (>= 1) steps; every lane moves back by ${LANES} blocks a step.`,
    ' * Within a step the blocks of one message stand in the lanes from last to first, so that a block is',
    ' * overwritten only after it was added to its successor.',
    ` * \`lanes\`: ${LANES} u32 addresses of the block before each.`,
  ]
  return [
    file(
      'aes-wide-encrypt.ts',
      `AES-CBC encryption over ${LANES} lanes.`,
      'AES_MASKS',
      kernel('aesWideEncryptRun', encrypt, chainBlocks),
    ),
    file(
      'aes-wide-ctr.ts',
      `AES in counter mode over ${LANES} lanes.`,
      'AES_MASKS',
      kernel('aesWideCtrRun', count, countBlocks, ', counters: usize'),
    ),
    file(
      'aes-wide-decrypt.ts',
      `AES-CBC decryption over ${LANES} lanes.`,
      'AES_MASKS',
      kernel('aesWideDecryptRun', decrypt, decryptBlocks),
    ),
    file(
      'aes-wide-keys.ts',
      `Slicing of AES round keys for ${LANES} lanes.`,
      'AES_MASKS, AES_TRANSPOSE',
      sliceKeys(),
      spreadKey(false),
      spreadKey(true),
    ),
  ]
}
