/**
 * SHA-1, SHA-256 (FIPS 180-4 §6.1, §6.2) and HMAC (RFC 2104 §2) as the standards tell them, with constants
 * computed from their definitions. Slow, for tests only.
 */

type HashName = 'sha1' | 'sha256'

const rotateRight = (word: number, bits: number): number => (word >>> bits) | (word << (32 - bits))
const rotateLeft = (word: number, bits: number): number => rotateRight(word, 32 - bits)

/** The first `count` primes. */
function primes(count: number): bigint[] {
  const found: bigint[] = []
  for (let n = 2n; found.length < count; n++) if (found.every((p) => n % p !== 0n)) found.push(n)
  return found
}

/** The first 32 bits of the fractional part of the `degree`-th root of `n`. */
function rootFraction(n: bigint, degree: bigint): number {
  const target = n << (32n * degree)
  let root = 0n
  for (let bit = 1n << 40n; bit > 0n; bit >>= 1n) if ((root + bit) ** degree <= target) root += bit
  return Number(root & 0xffffffffn)
}

const sha256Constants = primes(64).map((p) => rootFraction(p, 3n))
const initial: Record<HashName, number[]> = {
  sha1: [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0],
  sha256: primes(8).map((p) => rootFraction(p, 2n)),
}

/** The four constants of SHA-1: floor(2^30 · sqrt(n)). */
const sha1Constants = [2n, 3n, 5n, 10n].map((n) => Number((rootFloor(n << 60n) & 0xffffffffn) as bigint))

function rootFloor(n: bigint): bigint {
  let root = 0n
  for (let bit = 1n << 40n; bit > 0n; bit >>= 1n) if ((root + bit) ** 2n <= n) root += bit
  return root
}

/** Padding of FIPS 180-4 §5.1.1. */
function padded(message: Uint8Array): Uint8Array {
  const blocks = Math.ceil((message.length + 9) / 64)
  const out = new Uint8Array(64 * blocks)
  out.set(message)
  out[message.length] = 0x80
  new DataView(out.buffer).setBigUint64(out.length - 8, BigInt(message.length) * 8n)
  return out
}

function sha1Block(state: number[], w: number[]): number[] {
  for (let t = 16; t < 80; t++) w[t] = rotateLeft(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1)
  let [a, b, c, d, e] = state
  for (let t = 0; t < 80; t++) {
    const section = Math.floor(t / 20)
    const f = [(b & c) ^ (~b & d), b ^ c ^ d, (b & c) ^ (b & d) ^ (c & d), b ^ c ^ d][section]
    const next = (rotateLeft(a, 5) + f + e + sha1Constants[section] + w[t]) | 0
    ;[a, b, c, d, e] = [next, a, rotateLeft(b, 30), c, d]
  }
  return [a, b, c, d, e]
}

function sha256Block(state: number[], w: number[]): number[] {
  for (let t = 16; t < 64; t++) {
    const s0 = rotateRight(w[t - 15], 7) ^ rotateRight(w[t - 15], 18) ^ (w[t - 15] >>> 3)
    const s1 = rotateRight(w[t - 2], 17) ^ rotateRight(w[t - 2], 19) ^ (w[t - 2] >>> 10)
    w[t] = (w[t - 16] + s0 + w[t - 7] + s1) | 0
  }
  let [a, b, c, d, e, f, g, h] = state
  for (let t = 0; t < 64; t++) {
    const s1 = rotateRight(e, 6) ^ rotateRight(e, 11) ^ rotateRight(e, 25)
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + sha256Constants[t] + w[t]) | 0
    const s0 = rotateRight(a, 2) ^ rotateRight(a, 13) ^ rotateRight(a, 22)
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
    ;[a, b, c, d, e, f, g, h] = [(t1 + t2) | 0, a, b, c, (d + t1) | 0, e, f, g]
  }
  return [a, b, c, d, e, f, g, h]
}

/** The digest of a message. */
export function digest(hash: HashName, message: Uint8Array): Uint8Array {
  const view = new DataView(padded(message).buffer)
  let state = initial[hash]
  for (let at = 0; at < view.byteLength; at += 64) {
    const w = Array.from({ length: 16 }, (_, i) => view.getUint32(at + 4 * i))
    const mixed = hash === 'sha1' ? sha1Block(state, w) : sha256Block(state, w)
    state = state.map((word, i) => (word + mixed[i]) | 0)
  }
  const out = new DataView(new ArrayBuffer(4 * state.length))
  state.forEach((word, i) => {
    out.setInt32(4 * i, word)
  })
  return new Uint8Array(out.buffer)
}

/** HMAC of RFC 2104 §2, untruncated. */
export function hmac(hash: HashName, key: Uint8Array, message: Uint8Array): Uint8Array {
  const block = new Uint8Array(64)
  block.set(key.length > 64 ? digest(hash, key) : key)
  const keyed = (pad: number, text: Uint8Array) =>
    digest(hash, new Uint8Array([...block.map((byte) => byte ^ pad), ...text]))
  return keyed(0x5c, keyed(0x36, message))
}
