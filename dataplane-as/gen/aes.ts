/**
 * Writes the AES kernels: bitsliced, 8 blocks in 8 lanes, one v128 per bit.
 *
 * Layout of the state: register q_i holds bit i of every byte; byte p of the register is position p of the
 * block, bit b inside that byte is lane b. Positions are row-major, p = 4·row + column, so that the rotations
 * of MixColumns are moves of whole 32-bit words (one pshufd each).
 *
 * ShiftRows commutes with SubBytes and is done before it. In round 1 it is part of the permutation that
 * brings the input to row-major order, and the last round needs none; so the state between the rounds stands
 * "shifted", and so do round keys 0 to rounds-1 (aes.ts stores them like that). Decryption walks the same
 * states backwards and reads the same keys.
 */
import { forwardSbox, inverseSbox } from './aes-sbox.ts'
import { type Gate, u32Gates, v128Gates, writeCircuit } from './circuit.ts'
import { type GeneratedFile, header, Lines, names } from './text.ts'

const LANES = 8
/** Bytes of one sliced round key: 8 registers. */
const ROUND_KEY_BYTES = 128

/** Swap-moves that transpose 8 registers as 8x8 bit matrices, once per byte position; its own inverse. */
function transpose(lines: Lines, x: readonly string[], tag: string): void {
  let n = 0
  for (const [step, mask] of [
    [1, 'm1'],
    [2, 'm2'],
    [4, 'm4'],
  ] as const) {
    for (let low = 0; low < LANES; low++) {
      if (low & step) continue
      const [a, b] = [x[low], x[low + step]]
      const t = `${tag}${n++}`
      lines.add(
        `const ${t} = v128.and(v128.xor(i64x2.shr_u(${a}, ${step}), ${b}), ${mask})`,
        `${b} = v128.xor(${b}, ${t})`,
        `${a} = v128.xor(${a}, i64x2.shl(${t}, ${step}))`,
      )
    }
  }
}

/** The masks of `transpose`. */
function loadMasks(lines: Lines): void {
  lines.add(
    'const m1 = v128.load(AES_MASKS)',
    'const m2 = v128.load(AES_MASKS, 16)',
    'const m4 = v128.load(AES_MASKS, 32)',
  )
}

/** q = S-box of q, bit by bit; `key` adds a round key to the result. */
function substitute(
  lines: Lines,
  circuit: readonly Gate[],
  q: readonly string[],
  tag: string,
  addKey: boolean,
): void {
  const { lines: gates, outputs } = writeCircuit(circuit, q, tag, v128Gates)
  lines.add(...gates)
  q.forEach((name, i) => {
    lines.add(`${name} = ${addKey ? `v128.xor(${outputs[i]}, v128.load(key, ${16 * i}))` : outputs[i]}`)
  })
}

const rotateRows1 = (a: string): string => `v128.shuffle<i32>(${a}, ${a}, 1, 2, 3, 0)`
const rotateRows2 = (a: string): string => `v128.shuffle<i32>(${a}, ${a}, 2, 3, 0, 1)`

/**
 * MixColumns: with r = q of the next row and u = q ^ r, the result is xtime(u) ^ r ^ (u two rows on).
 * xtime moves bit i-1 to i and adds bit 7 to bits 0, 1, 3 and 4 (x^8 = x^4 + x^3 + x + 1). `wrap` is applied
 * to each result.
 */
function mixColumns(lines: Lines, q: readonly string[], wrap: (value: string, i: number) => string): void {
  for (let i = 0; i < 8; i++) {
    lines.add(`const r${i} = ${rotateRows1(q[i])}`, `const u${i} = v128.xor(${q[i]}, r${i})`)
  }
  for (let i = 0; i < 8; i++) {
    let value = `v128.xor(v128.xor(r${i}, ${rotateRows2(`u${i}`)}), u${(i + 7) % 8})`
    if (i === 1 || i === 3 || i === 4) value = `v128.xor(${value}, u7)`
    lines.add(`${q[i]} = ${wrap(value, i)}`)
  }
}

/** The first step of InvMixColumns: q ^= 4·v with v = q ^ (q two rows on); MixColumns does the rest. */
function premixColumns(lines: Lines, q: readonly string[]): void {
  for (let i = 0; i < 8; i++) lines.add(`const v${i} = v128.xor(${q[i]}, ${rotateRows2(q[i])})`)
  lines.add('const v67 = v128.xor(v6, v7)')
  const quadruple = [['v6'], ['v67'], ['v0', 'v7'], ['v1', 'v6'], ['v2', 'v67'], ['v3', 'v7'], ['v4'], ['v5']]
  quadruple.forEach((terms, i) => {
    lines.add(`${q[i]} = ${terms.reduce((sum, term) => `v128.xor(${sum}, ${term})`, q[i])}`)
  })
}

/** Loads 8 lane addresses (of the block before the block to be worked on: the chaining value). */
function loadLanes(lines: Lines): void {
  names('p', LANES).forEach((p, i) => {
    lines.add(`let ${p} = <usize>load<u32>(lanes, ${4 * i})`)
  })
}

/** CBC encryption of `blocks` blocks in every lane. */
function encryptRun(): Lines {
  const q = names('q', LANES)
  const lines = new Lines()
  lines.add(
    '/**',
    ' * CBC-encrypts `blocks` (>= 1) blocks in place in each of 8 lanes, one message a lane.',
    ' * `lanes`: 8 u32 addresses of the block before the first; `rounds`: 10, 12 or 14; `keys`: sliced round keys.',
    ' */',
  )
  lines.block(
    'export function aesCbcEncryptRun(lanes: usize, blocks: i32, rounds: i32, keys: usize): void {',
    '}',
    () => {
      loadLanes(lines)
      loadMasks(lines)
      lines.add('const enter = v128.load(AES_ENTER_SHIFTED)', 'const shift = v128.load(AES_SHIFT_ROWS)')
      lines.add('const leave = v128.load(AES_TRANSPOSE)')
      lines.block('do {', '} while (--blocks > 0)', () => {
        q.forEach((x, i) => {
          lines.add(`let ${x} = v128.swizzle(v128.xor(v128.load(p${i}), v128.load(p${i}, 16)), enter)`)
        })
        transpose(lines, q, 'a')
        q.forEach((x, i) => {
          lines.add(`${x} = v128.xor(${x}, v128.load(keys, ${16 * i}))`)
        })
        lines.add('let key = keys', 'let round = rounds - 1')
        lines.block('do {', '} while (--round > 0)', () => {
          lines.add(`key += ${ROUND_KEY_BYTES}`)
          substitute(lines, forwardSbox, q, 'r', false)
          mixColumns(
            lines,
            q,
            (value, i) => `v128.xor(v128.swizzle(${value}, shift), v128.load(key, ${16 * i}))`,
          )
        })
        lines.add(`key += ${ROUND_KEY_BYTES}`)
        substitute(lines, forwardSbox, q, 'l', true)
        transpose(lines, q, 'b')
        q.forEach((x, i) => {
          lines.add(`v128.store(p${i}, v128.swizzle(${x}, leave), 16)`, `p${i} += 16`)
        })
      })
    },
  )
  return lines
}

/** CBC decryption of 8 blocks a step. */
function decryptRun(): Lines {
  const q = names('q', LANES)
  const lines = new Lines()
  lines.add(
    '/**',
    ' * CBC-decrypts in place, 8 blocks a step, `steps` (>= 1) steps; every lane moves back by 8 blocks a step.',
    ' * Within a step the blocks of one message stand in the lanes from last to first, so that a block is',
    ' * overwritten only after it was added to its successor.',
    ' * `lanes`: 8 u32 addresses of the block before each; `rounds`: 10, 12 or 14; `keys`: sliced round keys.',
    ' */',
  )
  lines.block(
    'export function aesCbcDecryptRun(lanes: usize, steps: i32, rounds: i32, keys: usize): void {',
    '}',
    () => {
      loadLanes(lines)
      loadMasks(lines)
      lines.add('const enter = v128.load(AES_TRANSPOSE)', 'const unshift = v128.load(AES_UNSHIFT_ROWS)')
      lines.add('const leave = v128.load(AES_LEAVE_SHIFTED)')
      lines.add(`const last = keys + <usize>rounds * ${ROUND_KEY_BYTES}`)
      lines.block('do {', '} while (--steps > 0)', () => {
        q.forEach((x, i) => {
          lines.add(`let ${x} = v128.swizzle(v128.load(p${i}, 16), enter)`)
        })
        transpose(lines, q, 'a')
        q.forEach((x, i) => {
          lines.add(`${x} = v128.xor(${x}, v128.load(last, ${16 * i}))`)
        })
        lines.add('let key = last', 'let round = rounds - 1')
        lines.block('do {', '} while (--round > 0)', () => {
          lines.add(`key -= ${ROUND_KEY_BYTES}`)
          substitute(lines, inverseSbox, q, 'r', true)
          q.forEach((x) => {
            lines.add(`${x} = v128.swizzle(${x}, unshift)`)
          })
          premixColumns(lines, q)
          mixColumns(lines, q, (value) => value)
        })
        lines.add(`key -= ${ROUND_KEY_BYTES}`)
        substitute(lines, inverseSbox, q, 'l', true)
        transpose(lines, q, 'b')
        q.forEach((x, i) => {
          lines.add(`v128.store(p${i}, v128.xor(v128.swizzle(${x}, leave), v128.load(p${i})), 16)`)
          lines.add(`p${i} -= ${16 * LANES}`)
        })
      })
    },
  )
  return lines
}

/** Slicing of 8 key schedules. */
function sliceKeys(): Lines {
  const q = names('q', LANES)
  const lines = new Lines()
  lines.add(
    '/**',
    ' * Brings the round keys of 8 lanes into bit-sliced form: 8 registers per round key, `rounds` + 1 of them.',
    ' * `schedules`: 8 u32 addresses of schedules made by aesExpandKey; lanes may share one.',
    ' */',
  )
  lines.block('export function aesSliceKeys(schedules: usize, rounds: i32, keys: usize): void {', '}', () => {
    names('p', LANES).forEach((p, i) => {
      lines.add(`let ${p} = <usize>load<u32>(schedules, ${4 * i})`)
    })
    loadMasks(lines)
    lines.block('do {', '} while (--rounds >= 0)', () => {
      q.forEach((x, i) => {
        lines.add(`let ${x} = v128.load(p${i})`)
      })
      transpose(lines, q, 'a')
      q.forEach((x, i) => {
        lines.add(`v128.store(keys, ${x}, ${16 * i})`, `p${i} += 16`)
      })
      lines.add(`keys += ${ROUND_KEY_BYTES}`)
    })
  })
  return lines
}

/** The sliced form of one schedule in all lanes. */
function spreadKey(): Lines {
  const lines = new Lines()
  lines.add(
    '/**',
    ' * The same as aesSliceKeys for 8 lanes that share one `schedule`, without the transposition: a bit of the',
    ' * key becomes a byte of ones or zeros.',
    ' */',
  )
  lines.block('export function aesSpreadKey(schedule: usize, rounds: i32, keys: usize): void {', '}', () => {
    const bits = names('bit', 8)
    bits.forEach((bit, i) => {
      lines.add(`const ${bit} = v128.load(AES_BITS, ${16 * i})`)
    })
    lines.block('do {', '} while (--rounds >= 0)', () => {
      lines.add('const key = v128.load(schedule)')
      bits.forEach((bit, i) => {
        lines.add(`v128.store(keys, i8x16.eq(v128.and(key, ${bit}), ${bit}), ${16 * i})`)
      })
      lines.add('schedule += 16', `keys += ${ROUND_KEY_BYTES}`)
    })
  })
  return lines
}

/** SubWord of the key expansion on plain integers: bit i of the four bytes in one u32. */
function subWord(): Lines {
  const lines = new Lines()
  lines.add(
    '/** SubWord of FIPS 197 §5.2 without the constant 0x63: the S-box on each byte of `word`, in constant time. */',
  )
  lines.block('export function aesSubWord(word: u32): u32 {', '}', () => {
    const q = names('q', 8)
    q.forEach((x, i) => {
      lines.add(`const ${x} = (word >> ${i}) & 0x01010101`)
    })
    const { lines: gates, outputs } = writeCircuit(forwardSbox, q, '', u32Gates)
    lines.add(...gates)
    lines.add(`return ${outputs.map((name, i) => (i === 0 ? name : `(${name} << ${i})`)).join(' | ')}`)
  })
  return lines
}

/** All AES files. */
export function aesFiles(): GeneratedFile[] {
  const constants = (list: string) => `import { ${list} } from '../constants.ts'`
  return [
    {
      name: 'aes-cbc-encrypt.ts',
      text: `${header(
        'aes.ts',
        ['AES-CBC encryption, bitsliced over 8 lanes.'],
        [constants('AES_ENTER_SHIFTED, AES_MASKS, AES_SHIFT_ROWS, AES_TRANSPOSE')],
      ).join('\n')}\n${encryptRun()}`,
    },
    {
      name: 'aes-cbc-decrypt.ts',
      text: `${header(
        'aes.ts',
        ['AES-CBC decryption, bitsliced over 8 lanes.'],
        [constants('AES_LEAVE_SHIFTED, AES_MASKS, AES_TRANSPOSE, AES_UNSHIFT_ROWS')],
      ).join('\n')}\n${decryptRun()}`,
    },
    {
      name: 'aes-keys.ts',
      text: `${header(
        'aes.ts',
        ['AES key set-up: SubWord and the slicing of round keys.'],
        [constants('AES_BITS, AES_MASKS')],
      ).join('\n')}\n${subWord()}\n${sliceKeys()}\n${spreadKey()}`,
    },
  ]
}
