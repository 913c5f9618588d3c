/**
 * Writes Poly1305 over 4 lanes (RFC 8439 §2.5), one message a lane, each under its own key.
 *
 * A number modulo 2^130 - 5 is 5 limbs of 26 bits, one vector of 4 lanes a limb. Limb i of a product is the sum
 * of h_j·r_(i-j) and, where i < j, of h_j·5·r_(i-j+5), since 2^130 = 5. The products have 64 bits, so that two
 * vectors hold them, one for the lower and one for the upper two lanes.
 */
import { type GeneratedFile, header, Lines, names } from './text.ts'
import { transposeWords } from './transpose.ts'

const LANES = 4
const LIMBS = 5
const HALVES = ['low', 'high']

/** h += the blocks at p0 to p3 with 2^128 added, as RFC 8439 §2.5.1 does for whole blocks. */
function addBlocks(lines: Lines): void {
  names('b', LANES).forEach((block, i) => {
    lines.add(`const ${block} = v128.load(p${i})`, `p${i} += 16`)
  })
  const words = names('w', 4)
  transposeWords(lines, names('b', LANES), 't').forEach((value, i) => {
    lines.add(`const ${words[i]} = ${value}`)
  })
  const joined = (i: number, right: number) =>
    `v128.and(v128.or(i32x4.shr_u(w${i - 1}, ${right}), i32x4.shl(w${i}, ${32 - right})), mask)`
  lines.add(
    'h0 = i32x4.add(h0, v128.and(w0, mask))',
    `h1 = i32x4.add(h1, ${joined(1, 26)})`,
    `h2 = i32x4.add(h2, ${joined(2, 20)})`,
    `h3 = i32x4.add(h3, ${joined(3, 14)})`,
    'h4 = i32x4.add(h4, v128.or(i32x4.shr_u(w3, 8), top))',
  )
}

/** d = h·r, both halves of every limb; the limbs of r stand at \`keys\`, those of 5·r behind them. */
function multiply(lines: Lines): void {
  for (let limb = 0; limb < LIMBS; limb++) {
    for (let j = 0; j < LIMBS; j++) {
      const place = limb >= j ? limb - j : LIMBS + (limb - j + LIMBS)
      const factor = `r${limb}${j}`
      lines.add(`const ${factor} = v128.load(keys, ${16 * place})`)
      for (const half of HALVES) {
        const product = `i64x2.extmul_${half}_i32x4_u(h${j}, ${factor})`
        const d = `d${limb}${half}`
        lines.add(j === 0 ? `let ${d} = ${product}` : `${d} = i64x2.add(${d}, ${product})`)
      }
    }
  }
}

/**
 * Brings every limb back to 26 bits, limb 1 and 4 to a little more: two chains, of limbs 0, 1, 2 and of
 * 3, 4, 0, run side by side.
 */
function carry(lines: Lines): void {
  let n = 0
  for (const limb of [3, 0, 4, 1, 2, 0, 3]) {
    n++
    for (const half of HALVES) {
      const [d, c] = [`d${limb}${half}`, `c${n}${half}`]
      const next = `d${(limb + 1) % LIMBS}${half}`
      lines.add(`const ${c} = i64x2.shr_u(${d}, 26)`, `${d} = v128.and(${d}, wide)`)
      const carried = limb === 4 ? `i64x2.add(${c}, i64x2.shl(${c}, 2))` : c
      lines.add(`${next} = i64x2.add(${next}, ${carried})`)
    }
  }
  for (let i = 0; i < LIMBS; i++) lines.add(`h${i} = v128.shuffle<i32>(d${i}low, d${i}high, 0, 2, 4, 6)`)
}

/** The whole run. */
function run(): Lines {
  const lines = new Lines()
  lines.add(
    '/**',
    ' * h = (h + block)·r for `blocks` (>= 1) whole blocks of 16 bytes in each of 4 lanes.',
    ' * `lanes`: 4 u32 addresses; `sums`: the 5 limbs of h, 16 bytes each with one u32 a lane, changed in place;',
    ' * `keys`: the limbs of r, then of 5·r, in the same form.',
    ' */',
  )
  lines.block(
    'export function polyRun(lanes: usize, blocks: i32, sums: usize, keys: usize): void {',
    '}',
    () => {
      names('p', LANES).forEach((p, i) => {
        lines.add(`let ${p} = <usize>load<u32>(lanes, ${4 * i})`)
      })
      lines.add('const mask = v128.load(POLY_MASKS)', 'const wide = v128.load(POLY_MASKS, 16)')
      lines.add('const top = v128.load(POLY_MASKS, 32)')
      names('h', LIMBS).forEach((h, i) => {
        lines.add(`let ${h} = v128.load(sums, ${16 * i})`)
      })
      lines.block('do {', '} while (--blocks > 0)', () => {
        addBlocks(lines)
        multiply(lines)
        carry(lines)
      })
      names('h', LIMBS).forEach((h, i) => {
        lines.add(`v128.store(sums, ${h}, ${16 * i})`)
      })
    },
  )
  return lines
}

/** The Poly1305 file. */
export function polyFiles(): GeneratedFile[] {
  const head = header(
    'poly1305.ts',
    ['Poly1305 over 4 lanes.'],
    ["import { POLY_MASKS } from '../constants.ts'"],
  )
  return [{ name: 'poly1305-lanes.ts', text: `${head.join('\n')}\n${run()}` }]
}
