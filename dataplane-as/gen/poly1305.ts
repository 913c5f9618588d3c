/**
 * Writes Poly1305 over 4 lanes (RFC 8439 §2.5), one message a lane, each under its own key.
 *
 * A number modulo 2^130 - 5 is 5 limbs of 26 bits, one vector of 4 lanes a limb. Limb i of a product is the sum
 * of h_j·r_(i-j) and, where i < j, of h_j·5·r_(i-j+5), since 2^130 = 5. The products have 64 bits, so that two
 * vectors hold them, one for the lower and one for the upper two lanes.
 *
 * For an engine that joins vectors (see aes-wide.ts) these two are the pair: they are stored at once after the
 * carries, and put together again from memory.
 */
import { type GeneratedFile, header, Lines, names } from './text.ts'
import { transposeWords } from './transpose.ts'

const LANES = 4
const LIMBS = 5
const HALVES = ['low', 'high']

/** Loads the blocks of the 4 lanes and returns their words, a vector each. */
function loadWords(lines: Lines, tag: string, address: (lane: number) => string): string[] {
  const blocks = names(`${tag}b`, LANES)
  blocks.forEach((block, lane) => {
    lines.add(`const ${block} = v128.load(${address(lane)})`)
  })
  const words = names(`${tag}w`, 4)
  transposeWords(lines, blocks, tag).forEach((value, i) => {
    lines.add(`const ${words[i]} = ${value}`)
  })
  return words
}

/** The limbs of numbers of 128 bits given as words. */
function limbsOf(words: readonly string[]): string[] {
  const joined = (i: number, right: number) =>
    `v128.and(v128.or(i32x4.shr_u(${words[i - 1]}, ${right}), i32x4.shl(${words[i]}, ${32 - right})), mask)`
  return [
    `v128.and(${words[0]}, mask)`,
    joined(1, 26),
    joined(2, 20),
    joined(3, 14),
    `i32x4.shr_u(${words[3]}, 8)`,
  ]
}

/** h += the blocks at p0 to p3 with 2^128 added, as RFC 8439 §2.5.1 does for whole blocks. */
function addBlocks(lines: Lines): void {
  const words = loadWords(lines, 't', (lane) => `p${lane}`)
  for (const p of names('p', LANES)) lines.add(`${p} += 16`)
  limbsOf(words).forEach((limb, i) => {
    lines.add(`h${i} = i32x4.add(h${i}, ${i < 4 ? limb : `v128.or(${limb}, top)`})`)
  })
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
}

/** h from the lower halves of the limbs of d. */
function narrow(lines: Lines, part: (limb: number, half: string) => string): void {
  for (let i = 0; i < LIMBS; i++) {
    lines.add(`h${i} = v128.shuffle<i32>(${part(i, 'low')}, ${part(i, 'high')}, 0, 2, 4, 6)`)
  }
}

/** The same by way of memory, for joined vectors. */
function narrowJoined(lines: Lines): void {
  const at = (limb: number, half: string) => 32 * limb + (half === 'high' ? 16 : 0)
  for (let i = 0; i < LIMBS; i++) {
    for (const half of ['high', 'low']) lines.add(`v128.store(product, d${i}${half}, ${at(i, half)})`)
  }
  narrow(lines, (limb, half) => `v128.load(product, ${at(limb, half)})`)
}

/** A whole run: the function's head, and how a product becomes the next h. */
function run(about: string[], signature: string, finish: (lines: Lines) => void): Lines {
  const lines = new Lines()
  lines.add('/**', ...about.map((line) => ` * ${line}`), ' */')
  lines.block(`export function ${signature}: void {`, '}', () => {
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
      finish(lines)
    })
    names('h', LIMBS).forEach((h, i) => {
      lines.add(`v128.store(sums, ${h}, ${16 * i})`)
    })
  })
  return lines
}

const ABOUT = [
  'h = (h + block)·r for `blocks` (>= 1) whole blocks of 16 bytes in each of 4 lanes.',
  '`lanes`: 4 u32 addresses; `sums`: the 5 limbs of h, 16 bytes each with one u32 a lane, changed in place;',
  '`keys`: the limbs of r, then of 5·r, in the same form.',
]
const PARAMETERS = 'lanes: usize, blocks: i32, sums: usize, keys: usize'

/** Keys of 4 lanes from their one-time keys (RFC 8439 §2.5.1: some bits of r are cleared). */
function start(): Lines {
  const lines = new Lines()
  lines.add(
    '/** h = 0 and r of 4 one-time keys that stand 64 bytes apart, `sums` and `keys` as in polyRun. */',
  )
  lines.block('export function polyStart(oneTime: usize, sums: usize, keys: usize): void {', '}', () => {
    lines.add('const mask = v128.load(POLY_MASKS)')
    const clamped = loadWords(lines, 't', (lane) => `oneTime, ${64 * lane}`).map((word, i) => {
      lines.add(`const k${i} = v128.and(${word}, i32x4.splat(${i === 0 ? '0x0fffffff' : '0x0ffffffc'}))`)
      return `k${i}`
    })
    limbsOf(clamped).forEach((limb, i) => {
      lines.add(`const r${i} = ${limb}`, `v128.store(keys, r${i}, ${16 * i})`)
      lines.add(`v128.store(keys, i32x4.add(r${i}, i32x4.shl(r${i}, 2)), ${16 * (LIMBS + i)})`)
      lines.add(`v128.store(sums, i32x4.splat(0), ${16 * i})`)
    })
  })
  return lines
}

/** Carries from limb `from` into the next, 5 times over out of the top one. */
function carryLimb(lines: Lines, from: number): void {
  const to = (from + 1) % LIMBS
  const name = to === 0 ? 'over' : `i32x4.shr_u(h${from}, 26)`
  if (to === 0) lines.add(`over = i32x4.shr_u(h${from}, 26)`, 'over = i32x4.add(over, i32x4.shl(over, 2))')
  lines.add(`h${to} = i32x4.add(h${to}, ${name})`, `h${from} = v128.and(h${from}, mask)`)
}

/** The tags of 4 lanes: h modulo 2^130 - 5, plus the second halves of their keys modulo 2^128. */
function finish(): Lines {
  const lines = new Lines()
  lines.add('/** Puts the tags of 4 lanes over the first halves of their one-time keys, 64 bytes apart. */')
  lines.block('export function polyFinish(oneTime: usize, sums: usize): void {', '}', () => {
    lines.add('const mask = v128.load(POLY_MASKS)', 'let over: v128')
    names('h', LIMBS).forEach((h, i) => {
      lines.add(`let ${h} = v128.load(sums, ${16 * i})`)
    })
    lines.add('// twice around, since the first carry out of the top may ripple through again')
    for (const from of [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0]) carryLimb(lines, from)
    lines.add(
      '// h + 5 - 2^130 if that is not negative, chosen without a branch; leaving out bit 130 is the subtraction',
    )
    lines.add('let c = i32x4.shr_u(i32x4.add(h0, i32x4.splat(5)), 26)')
    for (let i = 1; i < LIMBS; i++) lines.add(`c = i32x4.shr_u(i32x4.add(h${i}, c), 26)`)
    lines.add('h0 = i32x4.add(h0, i32x4.add(c, i32x4.shl(c, 2)))')
    limbsOf(loadWords(lines, 's', (lane) => `oneTime, ${64 * lane + 16}`)).forEach((limb, i) => {
      lines.add(`h${i} = i32x4.add(h${i}, ${limb})`)
    })
    for (const from of [0, 1, 2, 3]) carryLimb(lines, from)
    const words = names('w', 4)
    const low = (i: number) => (i === 0 ? 'h0' : `i32x4.shr_u(h${i}, ${6 * i})`)
    const both = (i: number) => `v128.or(${low(i)}, i32x4.shl(h${i + 1}, ${26 - 6 * i}))`
    words.forEach((word, i) => {
      lines.add(`const ${word} = ${both(i)}`)
    })
    transposeWords(lines, words, 'o').forEach((value, lane) => {
      lines.add(`v128.store(oneTime, ${value}, ${64 * lane})`)
    })
  })
  return lines
}

/** The Poly1305 file. */
export function polyFiles(): GeneratedFile[] {
  const head = header(
    'poly1305.ts',
    ['Poly1305 over 4 lanes.'],
    ["import { POLY_MASKS } from '../constants.ts'"],
  )
  const plain = run(ABOUT, `polyRun(${PARAMETERS})`, (lines) =>
    narrow(lines, (limb, half) => `d${limb}${half}`),
  )
  const joined = run(
    ['The same for joined vectors. `product`: 160 bytes.'],
    `polyWideRun(${PARAMETERS}, product: usize)`,
    narrowJoined,
  )
  return [{ name: 'poly1305-lanes.ts', text: [head.join('\n'), plain, joined, start(), finish()].join('\n') }]
}
