/**
 * MD5 (RFC 1321 §3), SHA-1 and SHA-2 (FIPS 180-4 §6) and HMAC (RFC 2104 §2) as the standards tell them, with
 * constants computed from their definitions; words are bigints. Slow, for tests only.
 */

export type HashName = 'md5' | 'sha1' | 'sha256' | 'sha384' | 'sha512'

/** Arithmetic on words of one size. */
class Words {
  readonly bits: number
  private readonly mask: bigint

  constructor(bits: number) {
    this.bits = bits
    this.mask = (1n << BigInt(bits)) - 1n
  }

  add(...values: bigint[]): bigint {
    return values.reduce((a, b) => a + b) & this.mask
  }

  not(value: bigint): bigint {
    return value ^ this.mask
  }

  rotateLeft(value: bigint, count: number): bigint {
    return ((value << BigInt(count)) | (value >> BigInt(this.bits - count))) & this.mask
  }

  /** Exclusive or of rotations to the right. */
  rotations(value: bigint, counts: readonly number[]): bigint {
    return counts.reduce((sum, count) => sum ^ this.rotateLeft(value, this.bits - count), 0n)
  }

  /** The first bits of the fractional part of the `degree`-th root of `n`. */
  rootFraction(n: bigint, degree: bigint): bigint {
    return rootFloor(n << (BigInt(this.bits) * degree), degree) & this.mask
  }
}

function rootFloor(n: bigint, degree: bigint): bigint {
  let root = 0n
  for (let bit = 1n << 80n; bit > 0n; bit >>= 1n) if ((root + bit) ** degree <= n) root += bit
  return root
}

/** The first `count` primes. */
function primes(count: number): bigint[] {
  const found: bigint[] = []
  for (let n = 2n; found.length < count; n++) if (found.every((p) => n % p !== 0n)) found.push(n)
  return found
}

const short = new Words(32)
const long = new Words(64)

/** The chaining value after one block of 16 words. */
type Compress = (state: bigint[], block: bigint[]) => bigint[]

const md5Constants = Array.from({ length: 64 }, (_, i) =>
  BigInt(Math.floor(2 ** 32 * Math.abs(Math.sin(i + 1)))),
)
const md5Shifts = ['7 12 17 22', '5 9 14 20', '4 11 16 23', '6 10 15 21'].map((row) =>
  row.split(' ').map(Number),
)

const md5: Compress = (state, block) => {
  let [a, b, c, d] = state
  for (let i = 0; i < 64; i++) {
    const round = Math.floor(i / 16)
    const f = [(b & c) | (short.not(b) & d), (b & d) | (c & short.not(d)), b ^ c ^ d, c ^ (b | short.not(d))]
    const word = block[[i, 5 * i + 1, 3 * i + 5, 7 * i][round] % 16]
    const turned = short.rotateLeft(short.add(a, f[round], word, md5Constants[i]), md5Shifts[round][i % 4])
    ;[a, b, c, d] = [d, short.add(b, turned), b, c]
  }
  return [a, b, c, d]
}

/** floor(2^30 · sqrt(n)). */
const sha1Constants = [2n, 3n, 5n, 10n].map((n) => rootFloor(n << 60n, 2n))

const sha1: Compress = (state, block) => {
  const w = [...block]
  for (let t = 16; t < 80; t++) w[t] = short.rotateLeft(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1)
  let [a, b, c, d, e] = state
  for (let t = 0; t < 80; t++) {
    const section = Math.floor(t / 20)
    const parity = b ^ c ^ d
    const f = [(b & c) ^ (short.not(b) & d), parity, (b & c) ^ (b & d) ^ (c & d), parity][section]
    const next = short.add(short.rotateLeft(a, 5), f, e, sha1Constants[section], w[t])
    ;[a, b, c, d, e] = [next, a, short.rotateLeft(b, 30), c, d]
  }
  return [a, b, c, d, e]
}

/** SHA-2 with the rotations of FIPS 180-4 §4.1.2 or §4.1.3; the last count of a small sigma is a shift. */
function sha2(words: Words, rounds: number, sums: number[][], sigmas: number[][]): Compress {
  const constants = primes(rounds).map((prime) => words.rootFraction(prime, 3n))
  const sigma = (value: bigint, [first, second, shift]: number[]) =>
    words.rotations(value, [first, second]) ^ (value >> BigInt(shift))
  return (state, block) => {
    const w = [...block]
    for (let t = 16; t < rounds; t++) {
      w[t] = words.add(w[t - 16], sigma(w[t - 15], sigmas[0]), w[t - 7], sigma(w[t - 2], sigmas[1]))
    }
    let [a, b, c, d, e, f, g, h] = state
    for (let t = 0; t < rounds; t++) {
      const chosen = (e & f) ^ (words.not(e) & g)
      const first = words.add(h, words.rotations(e, sums[1]), chosen, constants[t], w[t])
      const second = words.add(words.rotations(a, sums[0]), (a & b) ^ (a & c) ^ (b & c))
      ;[a, b, c, d, e, f, g, h] = [words.add(first, second), a, b, c, words.add(d, first), e, f, g]
    }
    return [a, b, c, d, e, f, g, h]
  }
}

const sha256Sums = [
  [2, 13, 22],
  [6, 11, 25],
]
const sha256Sigmas = [
  [7, 18, 3],
  [17, 19, 10],
]
const sha512Sums = [
  [28, 34, 39],
  [14, 18, 41],
]
const sha512Sigmas = [
  [1, 8, 7],
  [19, 61, 6],
]

type Hash = {
  words: Words
  littleEndian: boolean
  initial: bigint[]
  compress: Compress
  digestBytes: number
}

const md5Initial = [0x67452301n, 0xefcdab89n, 0x98badcfen, 0x10325476n]
const roots = (words: Words, from: number) =>
  primes(from + 8)
    .slice(from)
    .map((p) => words.rootFraction(p, 2n))
const sha512 = sha2(long, 80, sha512Sums, sha512Sigmas)
const sha256 = sha2(short, 64, sha256Sums, sha256Sigmas)

const hashes: Record<HashName, Hash> = {
  md5: { words: short, littleEndian: true, initial: md5Initial, compress: md5, digestBytes: 16 },
  sha1: {
    words: short,
    littleEndian: false,
    initial: [...md5Initial, 0xc3d2e1f0n],
    compress: sha1,
    digestBytes: 20,
  },
  sha256: { words: short, littleEndian: false, initial: roots(short, 0), compress: sha256, digestBytes: 32 },
  sha384: { words: long, littleEndian: false, initial: roots(long, 8), compress: sha512, digestBytes: 48 },
  sha512: { words: long, littleEndian: false, initial: roots(long, 0), compress: sha512, digestBytes: 64 },
}

const blockBytes = (hash: Hash): number => (16 * hash.words.bits) / 8

/** Padding of FIPS 180-4 §5.1 and RFC 1321 §3.1, §3.2. */
function padded(hash: Hash, message: Uint8Array): Uint8Array {
  const block = blockBytes(hash)
  const out = new Uint8Array(block * Math.ceil((message.length + 1 + block / 8) / block))
  out.set(message)
  out[message.length] = 0x80
  new DataView(out.buffer).setBigUint64(out.length - 8, BigInt(message.length) * 8n, hash.littleEndian)
  return out
}

/** The words of a byte string, and back. */
function toWords({ words, littleEndian }: Hash, bytes: Uint8Array): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return Array.from({ length: (bytes.length * 8) / words.bits }, (_, i) =>
    words.bits === 64 ? view.getBigUint64(8 * i) : BigInt(view.getUint32(4 * i, littleEndian)),
  )
}

function toBytes({ words, littleEndian }: Hash, values: bigint[]): Uint8Array {
  const view = new DataView(new ArrayBuffer((values.length * words.bits) / 8))
  values.forEach((value, i) => {
    if (words.bits === 64) view.setBigUint64(8 * i, value)
    else view.setUint32(4 * i, Number(value), littleEndian)
  })
  return new Uint8Array(view.buffer)
}

/** The digest of a message. */
export function digest(name: HashName, message: Uint8Array): Uint8Array {
  const hash = hashes[name]
  const all = toWords(hash, padded(hash, message))
  let state = hash.initial
  for (let at = 0; at < all.length; at += 16) {
    const mixed = hash.compress(state, all.slice(at, at + 16))
    state = state.map((word, i) => hash.words.add(word, mixed[i]))
  }
  return toBytes(hash, state).subarray(0, hash.digestBytes)
}

/** HMAC of RFC 2104 §2, untruncated. */
export function hmac(name: HashName, key: Uint8Array, message: Uint8Array): Uint8Array {
  const block = new Uint8Array(blockBytes(hashes[name]))
  block.set(key.length > block.length ? digest(name, key) : key)
  const keyed = (pad: number, text: Uint8Array) =>
    digest(name, new Uint8Array([...block.map((byte) => byte ^ pad), ...text]))
  return keyed(0x5c, keyed(0x36, message))
}
