/** Moves of bytes between eight vectors that the lane kernels of DES share. */
import type { Lines } from './text.ts'

/** The 16 bytes that an unpacking of the low or the high halves of two vectors takes. */
const halves = [0, 8].map((from) =>
  Array.from({ length: 16 }, (_, i) => (i >> 1) + from + 16 * (i & 1)).join(', '),
)

/**
 * Perfect shuffles of eight vectors: each turns the 7-bit address of a byte (3 bits vector, 4 bits place) to the
 * left by one. Four turns bring eight bytes of 16 messages, two messages in a vector, to one vector for each
 * byte; three turns bring them back. Returns the names of the results, which begin with `tag`.
 */
export function shuffle(
  lines: Lines,
  list: readonly string[],
  tag: string,
  turns: number,
): readonly string[] {
  let current = list
  for (let turn = 0; turn < turns; turn++) {
    const before = current
    current = before.map((_, i) => `${tag}${turn}${i}`)
    current.forEach((name, i) => {
      const [a, b] = [before[i >> 1], before[(i >> 1) + 4]]
      lines.add(`const ${name} = v128.shuffle<u8>(${a}, ${b}, ${halves[i & 1]})`)
    })
  }
  return current
}

/** The 8 bytes at `a` and at `b`, both names of addresses, in one vector. */
export function pairOf(a: string, b: string, offset: number): string {
  return `v128.load_lane<u64>(${b}, v128.load_zero<u64>(${a}, ${offset}), 1, ${offset})`
}
