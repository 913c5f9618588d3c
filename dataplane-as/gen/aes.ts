/** Writes AES-CBC and the key set-up of AES; the layout is told in aes-parts.ts. */
import {
  cipherBlocks,
  type Groups,
  groupText,
  LANES,
  loadLanes,
  loadMasks,
  ROUND_KEY_BYTES,
  transpose,
} from './aes-parts.ts'
import { forwardSbox } from './aes-sbox.ts'
import { u32Gates, writeCircuit } from './circuit.ts'
import { type GeneratedFile, header, Lines, names } from './text.ts'

/** CBC encryption of `blocks` blocks in every lane. */
function encryptRun(groups: Groups): Lines {
  const lines = new Lines()
  const { suffix, parameters, about } = groupText(groups)
  const lanes = groups * LANES
  lines.add(
    '/**',
    ` * CBC-encrypts \`blocks\` (>= 1) blocks in place in each of ${lanes} lanes, one message a lane.`,
    ` * \`lanes\`: ${lanes} u32 addresses of the block before the first; \`rounds\`: 10, 12 or 14; \`keys\`: sliced round keys.`,
    ...about,
    ' */',
  )
  const signature = `lanes: usize, blocks: i32, rounds: i32, keys: usize${parameters}`
  lines.block(`export function aesCbcEncryptRun${suffix}(${signature}): void {`, '}', () => {
    loadLanes(lines, groups)
    loadMasks(lines)
    lines.add('const enter = v128.load(AES_ENTER_SHIFTED)', 'const shift = v128.load(AES_SHIFT_ROWS)')
    lines.add('const leave = v128.load(AES_TRANSPOSE)')
    const enter = (i: number) => `v128.swizzle(v128.xor(v128.load(p${i}), v128.load(p${i}, 16)), enter)`
    const leave = (x: string, i: number) => [
      `v128.store(p${i}, v128.swizzle(${x}, leave), 16)`,
      `p${i} += 16`,
    ]
    lines.block('do {', '} while (--blocks > 0)', () => {
      cipherBlocks(lines, groups, 'encrypt', ['keys', 'otherKeys'], enter, leave)
    })
  })
  return lines
}

/** CBC decryption of one block in every lane a step. */
function decryptRun(groups: Groups): Lines {
  const lines = new Lines()
  const { suffix, parameters, about } = groupText(groups)
  const lanes = groups * LANES
  lines.add(
    '/**',
    ` * CBC-decrypts in place, ${lanes} blocks a step, \`steps\` (>= 1) steps; every lane moves back by ${lanes} blocks a step.`,
    ' * Within a step the blocks of one message stand in the lanes from last to first, so that a block is',
    ' * overwritten only after it was added to its successor.',
    ` * \`lanes\`: ${lanes} u32 addresses of the block before each; \`rounds\`: 10, 12 or 14; \`keys\`: sliced round keys.`,
    ...about,
    ' */',
  )
  const signature = `lanes: usize, steps: i32, rounds: i32, keys: usize${parameters}`
  lines.block(`export function aesCbcDecryptRun${suffix}(${signature}): void {`, '}', () => {
    loadLanes(lines, groups)
    loadMasks(lines)
    lines.add('const enter = v128.load(AES_TRANSPOSE)', 'const unshift = v128.load(AES_UNSHIFT_ROWS)')
    lines.add('const leave = v128.load(AES_LEAVE_SHIFTED)')
    lines.add(`const last = keys + <usize>rounds * ${ROUND_KEY_BYTES}`)
    if (groups > 1) lines.add(`const otherLast = otherKeys + <usize>rounds * ${ROUND_KEY_BYTES}`)
    const enter = (i: number) => `v128.swizzle(v128.load(p${i}, 16), enter)`
    const leave = (x: string, i: number) => [
      `v128.store(p${i}, v128.xor(v128.swizzle(${x}, leave), v128.load(p${i})), 16)`,
      `p${i} -= ${16 * lanes}`,
    ]
    lines.block('do {', '} while (--steps > 0)', () => {
      cipherBlocks(lines, groups, 'decrypt', ['last', 'otherLast'], enter, leave)
    })
  })
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
        ['AES-CBC encryption, bitsliced over 8 or 16 lanes.'],
        [constants('AES_ENTER_SHIFTED, AES_MASKS, AES_SHIFT_ROWS, AES_TRANSPOSE')],
      ).join('\n')}\n${encryptRun(1)}\n${encryptRun(2)}`,
    },
    {
      name: 'aes-cbc-decrypt.ts',
      text: `${header(
        'aes.ts',
        ['AES-CBC decryption, bitsliced over 8 or 16 lanes.'],
        [constants('AES_LEAVE_SHIFTED, AES_MASKS, AES_TRANSPOSE, AES_UNSHIFT_ROWS')],
      ).join('\n')}\n${decryptRun(1)}\n${decryptRun(2)}`,
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
