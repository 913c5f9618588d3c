/**
 * Writes the constants of MD5, SHA-384 and SHA-512 from their definitions: sines (RFC 1321 §3.4) and the
 * fractional parts of roots of primes (FIPS 180-4 §4.2.3, §5.3.4, §5.3.5); and the masks of padded blocks.
 */
import { type GeneratedFile, header, Lines } from './text.ts'

/** The first `count` primes. */
function primes(count: number): bigint[] {
  const found: bigint[] = []
  for (let n = 2n; found.length < count; n++) if (found.every((prime) => n % prime !== 0n)) found.push(n)
  return found
}

/** The first 64 bits of the fractional part of the `degree`-th root of `n`. */
function rootFraction(n: bigint, degree: bigint): bigint {
  const target = n << (64n * degree)
  let root = 0n
  for (let bit = 1n << 72n; bit > 0n; bit >>= 1n) if ((root + bit) ** degree <= target) root += bit
  return root & 0xffffffffffffffffn
}

/** floor(2^32 · |sin(t + 1)|); less one in the steps 48 to 63 (see md5.ts). */
function md5Constant(t: number): bigint {
  return BigInt(Math.floor(2 ** 32 * Math.abs(Math.sin(t + 1)))) - (t < 48 ? 0n : 1n)
}

/** One table in memory. */
function table(lines: Lines, name: string, about: string, bits: 32 | 64, values: readonly bigint[]): void {
  const digits = bits / 4
  const perLine = bits === 32 ? 8 : 4
  lines.add('', `/** ${about} */`)
  lines.block(`export const ${name} = memory.data<u${bits}>(`, ')', () => {
    lines.block('[', '],', () => {
      for (let i = 0; i < values.length; i += perLine) {
        const row = values
          .slice(i, i + perLine)
          .map((value) => `0x${value.toString(16).padStart(digits, '0')}`)
        lines.add(`${row.join(', ')},`)
      }
    })
    lines.add('16,')
  })
}

/** Bytes kept, bytes cut, no mark, a mark: a window of two such blocks slides over them (see `xxxLast`). */
function lastBlockMasks(blockBytes: number): number[] {
  const block = (first: number, rest: number) => [first, ...Array<number>(blockBytes - 1).fill(rest)]
  return [block(255, 255), block(0, 0), block(0, 0), block(0x80, 0)].flat()
}

/** The file of constants. */
export function hashConstantFiles(): GeneratedFile[] {
  const lines = new Lines()
  lines.add(
    ...header('hash-constants.ts', [
      'Constants of MD5, SHA-384 and SHA-512, and of the padding of all hashes, in memory.',
    ]).slice(0, -1),
  )
  const steps = Array.from({ length: 64 }, (_, t) => md5Constant(t))
  const cubic = primes(80).map((prime) => rootFraction(prime, 3n))
  const square = primes(16).map((prime) => rootFraction(prime, 2n))
  const initial = [0x67452301n, 0xefcdab89n, 0x98badcfen, 0x10325476n]
  table(lines, 'MD5_K', 'MD5: constants of the 64 steps, those of the last 16 less one.', 32, steps)
  table(lines, 'MD5_INITIAL', 'MD5: initial chaining value (RFC 1321 §3.3).', 32, initial)
  table(lines, 'SHA512_K', 'SHA-512: constants of the 80 rounds (FIPS 180-4 §4.2.3).', 64, cubic)
  table(lines, 'SHA384_INITIAL', 'SHA-384: initial chaining value (FIPS 180-4 §5.3.4).', 64, square.slice(8))
  table(
    lines,
    'SHA512_INITIAL',
    'SHA-512: initial chaining value (FIPS 180-4 §5.3.5).',
    64,
    square.slice(0, 8),
  )
  for (const blockBytes of [64, 128]) {
    const about = `Masks of last blocks of ${blockBytes} bytes, and the marks 0x80 behind them.`
    const bytes = lastBlockMasks(blockBytes).map(BigInt)
    const words = Array.from({ length: bytes.length / 4 }, (_, i) =>
      bytes.slice(4 * i, 4 * i + 4).reduceRight((word, byte) => (word << 8n) | byte, 0n),
    )
    table(lines, `LAST_BLOCKS_${blockBytes}`, about, 32, words)
  }
  return [{ name: 'hash-constants.ts', text: lines.toString() }]
}
