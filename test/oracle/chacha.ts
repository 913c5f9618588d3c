/** ChaCha20-Poly1305 as the standard tells it (RFC 8439 §2). Slow, for tests only. */

/** §2.1, on four places of the state. */
function quarterRound(state: Uint32Array, a: number, b: number, c: number, d: number): void {
  const step = (to: number, from: number, turned: number, bits: number) => {
    state[to] += state[from]
    const mixed = state[turned] ^ state[to]
    state[turned] = (mixed << bits) | (mixed >>> (32 - bits))
  }
  step(a, b, d, 16)
  step(c, d, b, 12)
  step(a, b, d, 8)
  step(c, d, b, 7)
}

/** §2.3: one block of key stream. */
export function chachaBlock(key: Uint8Array, counter: number, nonce: Uint8Array): Uint8Array {
  const words = new DataView(new ArrayBuffer(64))
  const bytes = new Uint8Array(words.buffer)
  bytes.set(Buffer.from('expand 32-byte k'))
  bytes.set(key, 16)
  words.setUint32(48, counter, true)
  bytes.set(nonce, 52)
  const start = Uint32Array.from({ length: 16 }, (_, i) => words.getUint32(4 * i, true))
  const state = start.slice()
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 4; i++) quarterRound(state, i, 4 + i, 8 + i, 12 + i)
    for (let i = 0; i < 4; i++)
      quarterRound(state, i, 4 + ((i + 1) % 4), 8 + ((i + 2) % 4), 12 + ((i + 3) % 4))
  }
  state.forEach((word, i) => {
    words.setUint32(4 * i, word + start[i], true)
  })
  return bytes
}

/** Bytes as a number, the first byte the least significant. */
const toNumber = (bytes: Uint8Array): bigint =>
  BigInt(`0x0${Buffer.from(Uint8Array.from(bytes).reverse()).toString('hex')}`)

/** §2.5: the tag of a message under a one-time key of 32 bytes. */
export function poly1305(key: Uint8Array, message: Uint8Array): Uint8Array {
  const r = toNumber(key.subarray(0, 16)) & 0x0ffffffc0ffffffc0ffffffc0fffffffn
  const prime = (1n << 130n) - 5n
  let sum = 0n
  for (let at = 0; at < message.length; at += 16) {
    const block = message.subarray(at, at + 16)
    sum = ((sum + toNumber(block) + (1n << BigInt(8 * block.length))) * r) % prime
  }
  const tag = (sum + toNumber(key.subarray(16))) & ((1n << 128n) - 1n)
  return Buffer.from(tag.toString(16).padStart(32, '0'), 'hex').reverse()
}

/** §2.8: ciphertext and tag. */
export function chachaSeal(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  data: Uint8Array,
): { data: Uint8Array; tag: Uint8Array } {
  const out = Uint8Array.from(data)
  for (let at = 0; at < data.length; at += 64) {
    chachaBlock(key, 1 + at / 64, nonce).forEach((byte, i) => {
      if (at + i < data.length) out[at + i] ^= byte
    })
  }
  const lengths = new DataView(new ArrayBuffer(16))
  lengths.setUint32(0, aad.length, true)
  lengths.setUint32(8, out.length, true)
  const gap = (length: number) => new Uint8Array((16 - (length % 16)) % 16)
  const covered = [aad, gap(aad.length), out, gap(out.length), new Uint8Array(lengths.buffer)]
  return { data: out, tag: poly1305(chachaBlock(key, 0, nonce).subarray(0, 32), Buffer.concat(covered)) }
}
