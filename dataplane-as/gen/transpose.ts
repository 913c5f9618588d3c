/** Transposition of 4 vectors as rows of 4 32-bit words. */
import type { Lines } from './text.ts'

/**
 * Adds the lines that bring `rows` together and returns the expressions of the columns: column t has word t of
 * every row. `tag` keeps the names of several copies apart.
 */
export function transposeWords(lines: Lines, rows: readonly string[], tag: string): string[] {
  const pairs = [
    ['0, 4, 1, 5', 0],
    ['2, 6, 3, 7', 0],
    ['0, 4, 1, 5', 2],
    ['2, 6, 3, 7', 2],
  ] as const
  pairs.forEach(([picks, from], i) => {
    lines.add(`const y${tag}${i} = v128.shuffle<i32>(${rows[from]}, ${rows[from + 1]}, ${picks})`)
  })
  return [0, 1, 2, 3].map((word) => {
    const [a, b] = word < 2 ? [0, 2] : [1, 3]
    return `v128.shuffle<i64>(y${tag}${a}, y${tag}${b}, ${word % 2 === 0 ? '0, 2' : '1, 3'})`
  })
}
