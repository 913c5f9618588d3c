/** HMAC key set-up (RFC 2104 §2): the chaining values behind the padded key, so that a packet does not pay for them. */
import { SHA1_INITIAL, SHA256_INITIAL } from './constants.ts'
import { sha1Block, sha256Block } from './generated/sha-one.ts'
import { HASH_SHA1, HASH_SHA256, HMAC_STATE_BYTES } from './job.ts'

const INNER_PAD: u32 = 0x36363636
const OUTER_PAD: u32 = 0x5c5c5c5c
const BLOCK = 64
/** Offset of the outer state in an HMAC state. */
const OUTER: usize = 32

/**
 * Prepares an HMAC key of any length for `hash` (HASH_SHA1 or HASH_SHA256; anything else traps): inner and
 * outer chaining value to `state` (HMAC_STATE_BYTES). A key longer than a block is hashed first.
 * `state` must not overlap the key.
 */
export function hmacPrepare(hash: i32, key: usize, keyBytes: i32, state: usize): void {
  if (hash !== HASH_SHA1 && hash !== HASH_SHA256) unreachable()
  memory.fill(state, 0, HMAC_STATE_BYTES)
  if (keyBytes > BLOCK) {
    keyBytes = digestKey(hash, key, keyBytes, state)
    key = state + OUTER
  }
  const initial = hash === HASH_SHA1 ? SHA1_INITIAL : SHA256_INITIAL
  compress(hash, initial, state, key, keyBytes, INNER_PAD, 0, 0)
  compress(hash, initial, state + OUTER, key, keyBytes, OUTER_PAD, 0, 0)
}

/** Hashes a long key to state + OUTER, as bytes; returns their number. Uses the inner state meanwhile. */
function digestKey(hash: i32, key: usize, keyBytes: i32, state: usize): i32 {
  let from = hash === HASH_SHA1 ? SHA1_INITIAL : SHA256_INITIAL
  const bits = (<u32>keyBytes) << 3
  for (; keyBytes >= BLOCK; keyBytes -= BLOCK, key += BLOCK) {
    compress(hash, from, state, key, BLOCK, 0, 0, 0)
    from = state
  }
  if (keyBytes > BLOCK - 9) {
    compress(hash, state, state, key, keyBytes, 0, 0x80, 0)
    compress(hash, state, state, key, 0, 0, 0, bits)
  } else {
    compress(hash, state, state, key, keyBytes, 0, 0x80, bits)
  }
  const words = hash === HASH_SHA1 ? 5 : 8
  for (let i = 0; i < words; i++) {
    const at = state + ((<usize>i) << 2)
    store<u32>(at, bswap<u32>(load<u32>(at)), OUTER)
  }
  return words << 2
}

/** One block of either hash. */
function compress(
  hash: i32,
  from: usize,
  to: usize,
  source: usize,
  bytes: i32,
  pad: u32,
  mark: u32,
  bits: u32,
): void {
  if (hash === HASH_SHA1) sha1Block(from, to, source, bytes, pad, mark, bits)
  else sha256Block(from, to, source, bytes, pad, mark, bits)
}
