/** Writes AES in counter mode (NIST SP 800-38A §6.5, SP 800-38D §6.5); the layout is told in aes-parts.ts. */
import { encryptBlocks, LANES, loadLanes, loadMasks } from './aes-parts.ts'
import { type GeneratedFile, header, Lines, names } from './text.ts'

/** Offsets in the table of counters: the numbers, and the numbers in network order. */
const NUMBERS = 16 * LANES
const TURNED = NUMBERS + 4 * LANES

/** Counter mode over 8 blocks a step. */
function ctrRun(): Lines {
  const q = names('q', LANES)
  const lines = new Lines()
  lines.add(
    '/**',
    ' * Adds the encrypted counter blocks to the data in place, 8 blocks a step, `steps` (>= 1) steps; every lane',
    ' * moves on by 8 blocks a step.',
    ' * `lanes`: 8 u32 addresses of the data; `counters`: 8 blocks of which the first 12 bytes are the nonces, then the',
    ' * 8 u32 numbers of their blocks, which grow by 8 a step, then 32 bytes to work in; `rounds`: 10, 12 or 14;',
    ' * `keys`: sliced round keys.',
    ' */',
  )
  lines.block(
    'export function aesCtrRun(lanes: usize, counters: usize, steps: i32, rounds: i32, keys: usize): void {',
    '}',
    () => {
      loadLanes(lines)
      loadMasks(lines)
      lines.add('const enter = v128.load(AES_ENTER_SHIFTED)', 'const shift = v128.load(AES_SHIFT_ROWS)')
      lines.add('const leave = v128.load(AES_TRANSPOSE)')
      lines.block('do {', '} while (--steps > 0)', () => {
        // the numbers in network order, then each behind its nonce
        for (const half of [0, 16]) {
          const numbers = `v128.load(counters, ${NUMBERS + half})`
          lines.add(
            `v128.store(counters, v128.swizzle(${numbers}, v128.load(SHA_BYTE_SWAP)), ${TURNED + half})`,
          )
          lines.add(`v128.store(counters, i32x4.add(${numbers}, i32x4.splat(${LANES})), ${NUMBERS + half})`)
        }
        q.forEach((x, i) => {
          const nonce = `v128.load(counters, ${16 * i})`
          lines.add(
            `let ${x} = v128.swizzle(v128.load_lane<u32>(counters, ${nonce}, 3, ${TURNED + 4 * i}), enter)`,
          )
        })
        encryptBlocks(lines, q)
        q.forEach((x, i) => {
          lines.add(`v128.store(p${i}, v128.xor(v128.swizzle(${x}, leave), v128.load(p${i})))`)
          lines.add(`p${i} += ${16 * LANES}`)
        })
      })
    },
  )
  return lines
}

/** The counter mode file. */
export function aesCtrFiles(): GeneratedFile[] {
  const head = header(
    'aes-ctr.ts',
    ['AES in counter mode, bitsliced over 8 lanes.'],
    [
      "import { AES_ENTER_SHIFTED, AES_MASKS, AES_SHIFT_ROWS, AES_TRANSPOSE, SHA_BYTE_SWAP } from '../constants.ts'",
    ],
  )
  return [{ name: 'aes-ctr.ts', text: `${head.join('\n')}\n${ctrRun()}` }]
}
