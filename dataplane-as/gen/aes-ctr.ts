/** Writes AES in counter mode (NIST SP 800-38A §6.5, SP 800-38D §6.5); the layout is told in aes-parts.ts. */
import { cipherBlocks, type Groups, groupText, LANES, loadLanes, loadMasks } from './aes-parts.ts'
import { type GeneratedFile, header, Lines } from './text.ts'

/** Offsets in the table of counters: the numbers, and the numbers in network order. */
const NUMBERS = 256
const TURNED = 320

/** Counter mode over one block in every lane a step. */
function ctrRun(groups: Groups): Lines {
  const lines = new Lines()
  const { suffix, parameters, about } = groupText(groups)
  const lanes = groups * LANES
  lines.add(
    '/**',
    ` * Adds the encrypted counter blocks to the data in place, ${lanes} blocks a step, \`steps\` (>= 1) steps; every lane`,
    ` * moves on by ${lanes} blocks a step.`,
    ` * \`lanes\`: ${lanes} u32 addresses of the data; \`counters\`: room for 16 blocks of which the first 12 bytes are the`,
    ` * nonces, then for 16 u32 numbers of their blocks, which grow by ${lanes} a step, then 64 bytes to work in;`,
    ' * `rounds`: 10, 12 or 14; `keys`: sliced round keys.',
    ...about,
    ' */',
  )
  lines.add(`export function aesCtrRun${suffix}(`)
  const signature = `lanes: usize, counters: usize, steps: i32, rounds: i32, keys: usize${parameters}`
  lines.add(...signature.split(', ').map((parameter) => `  ${parameter},`))
  lines.block('): void {', '}', () => {
    loadLanes(lines, groups)
    loadMasks(lines)
    lines.add('const enter = v128.load(AES_ENTER_SHIFTED)', 'const shift = v128.load(AES_SHIFT_ROWS)')
    lines.add('const leave = v128.load(AES_TRANSPOSE)')
    const enter = (i: number) => {
      const nonce = `v128.load(counters, ${16 * i})`
      return `v128.swizzle(v128.load_lane<u32>(counters, ${nonce}, 3, ${TURNED + 4 * i}), enter)`
    }
    const leave = (x: string, i: number) => [
      `v128.store(p${i}, v128.xor(v128.swizzle(${x}, leave), v128.load(p${i})))`,
      `p${i} += ${16 * lanes}`,
    ]
    lines.block('do {', '} while (--steps > 0)', () => {
      for (let at = 0; at < 4 * lanes; at += 16) {
        const numbers = `v128.load(counters, ${NUMBERS + at})`
        lines.add(`v128.store(counters, v128.swizzle(${numbers}, v128.load(SHA_BYTE_SWAP)), ${TURNED + at})`)
        lines.add(`v128.store(counters, i32x4.add(${numbers}, i32x4.splat(${lanes})), ${NUMBERS + at})`)
      }
      cipherBlocks(lines, groups, 'encrypt', ['keys', 'otherKeys'], enter, leave)
    })
  })
  return lines
}

/** The counter mode file. */
export function aesCtrFiles(): GeneratedFile[] {
  const head = header(
    'aes-ctr.ts',
    ['AES in counter mode, bitsliced over 8 or 16 lanes.'],
    [
      "import { AES_ENTER_SHIFTED, AES_MASKS, AES_SHIFT_ROWS, AES_TRANSPOSE, SHA_BYTE_SWAP } from '../constants.ts'",
    ],
  )
  return [{ name: 'aes-ctr.ts', text: `${head.join('\n')}\n${ctrRun(1)}\n${ctrRun(2)}` }]
}
