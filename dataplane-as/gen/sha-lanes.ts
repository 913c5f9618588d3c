/** What the lane kernels of SHA-1 and SHA-256 share: loading blocks of several messages word by word. */
import { type Lines, names } from './text.ts'

/** The names of lane addresses p0.. for `lanes` lanes, loaded from the table at `lanes`. */
export function loadAddresses(lines: Lines, lanes: number): void {
  names('p', lanes).forEach((p, i) => {
    lines.add(`let ${p} = <usize>load<u32>(lanes, ${4 * i})`)
  })
}

/**
 * Loads one 64-byte block per lane, 4 lanes a group, turns the bytes of each word and stores word t of lane b
 * at words + t·4·lanes + 4·b; moves the addresses on.
 */
export function loadBlocks(lines: Lines, lanes: number): void {
  for (let group = 0; group < lanes; group += 4) {
    for (let chunk = 0; chunk < 4; chunk++) {
      const tag = `${group}${chunk}`
      const row = names(`x${tag}`, 4)
      row.forEach((x, i) => {
        lines.add(`const ${x} = v128.swizzle(v128.load(p${group + i}, ${16 * chunk}), swap)`)
      })
      const pairs = [
        ['0, 4, 1, 5', 0],
        ['2, 6, 3, 7', 0],
        ['0, 4, 1, 5', 2],
        ['2, 6, 3, 7', 2],
      ] as const
      pairs.forEach(([picks, from], i) => {
        lines.add(`const y${tag}${i} = v128.shuffle<i32>(${row[from]}, ${row[from + 1]}, ${picks})`)
      })
      for (let word = 0; word < 4; word++) {
        const [a, b] = word < 2 ? [0, 2] : [1, 3]
        const picks = word % 2 === 0 ? '0, 2' : '1, 3'
        const value = `v128.shuffle<i64>(y${tag}${a}, y${tag}${b}, ${picks})`
        lines.add(`v128.store(words, ${value}, ${(4 * chunk + word) * 4 * lanes + 4 * group})`)
      }
    }
  }
  for (const p of names('p', lanes)) lines.add(`${p} += 64`)
}

/** Rotation of 32-bit words to the left. */
export function rotateLeft(value: string, bits: number): string {
  return `v128.or(i32x4.shl(${value}, ${bits}), i32x4.shr_u(${value}, ${32 - bits}))`
}

/** The sum of 32-bit words, left to right. */
export function sum(...values: string[]): string {
  return values.reduce((a, b) => `i32x4.add(${a}, ${b})`)
}

/** Exclusive or, left to right. */
export function xor(...values: string[]): string {
  return values.reduce((a, b) => `v128.xor(${a}, ${b})`)
}
