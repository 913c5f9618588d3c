/** Writes AES-CBC and the key set-up of AES; the layout is told in aes-parts.ts. */
import {
  encryptBlocks,
  LANES,
  loadLanes,
  loadMasks,
  mixColumns,
  premixColumns,
  ROUND_KEY_BYTES,
  substitute,
  transpose,
} from './aes-parts.ts'
import { forwardSbox, inverseSbox } from './aes-sbox.ts'
import { u32Gates, writeCircuit } from './circuit.ts'
import { type GeneratedFile, header, Lines, names } from './text.ts'

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
        encryptBlocks(lines, q)
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

/** The sliced form of one schedule in all lanes, or in some of them. */
function spreadKey(some: boolean): Lines {
  const lines = new Lines()
  const about = some
    ? [
        '/**',
        ' * The same as aesSpreadKey for some of the lanes: bit b of `lanes` (0 to 255) says that lane b takes the key of',
        ' * `schedule`; the other lanes keep theirs.',
        ' */',
      ]
    : [
        '/**',
        ' * The same as aesSliceKeys for 8 lanes that share one `schedule`, without the transposition: a bit of the',
        ' * key becomes a byte of ones or zeros.',
        ' */',
      ]
  lines.add(...about)
  const signature = some
    ? 'aesSpreadLanes(schedule: usize, rounds: i32, keys: usize, lanes: i32)'
    : 'aesSpreadKey(schedule: usize, rounds: i32, keys: usize)'
  lines.block(`export function ${signature}: void {`, '}', () => {
    const bits = names('bit', 8)
    bits.forEach((bit, i) => {
      lines.add(`const ${bit} = v128.load(AES_BITS, ${16 * i})`)
    })
    if (some) lines.add('const taken = i8x16.splat(<i8>lanes)')
    lines.block('do {', '} while (--rounds >= 0)', () => {
      lines.add('const key = v128.load(schedule)')
      bits.forEach((bit, i) => {
        const spread = `i8x16.eq(v128.and(key, ${bit}), ${bit})`
        const kept = `v128.load(keys, ${16 * i})`
        lines.add(
          `v128.store(keys, ${some ? `v128.bitselect(${spread}, ${kept}, taken)` : spread}, ${16 * i})`,
        )
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
      ).join('\n')}\n${subWord()}\n${sliceKeys()}\n${spreadKey(false)}\n${spreadKey(true)}`,
    },
  ]
}
