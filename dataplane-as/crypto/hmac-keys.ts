/** HMAC key set-up (RFC 2104 §2): the chaining values behind the padded key, so that a packet does not pay for them. */
import { md5Block, sha1Block, sha256Block, sha512Block } from './generated/hash-one.ts'
import { blockShift, digestWords, initialState, isHash, isWide, outerState } from './hash-shape.ts'
import { HASH_MD5, HASH_SHA1, HASH_SHA256, HMAC_STATE_BYTES } from './job.ts'

const INNER_PAD: u32 = 0x36363636
const OUTER_PAD: u32 = 0x5c5c5c5c

/**
 * Prepares an HMAC key of any length for `hash` (HASH_*; anything else traps): inner and outer chaining value
 * to `state` (HMAC_STATE_BYTES). A key longer than a block is hashed first. `state` must not overlap the key.
 */
export function hmacPrepare(hash: i32, key: usize, keyBytes: i32, state: usize): void {
  if (!isHash(hash)) unreachable()
  memory.fill(state, 0, HMAC_STATE_BYTES)
  const outer = state + outerState(hash)
  if (keyBytes > 1 << blockShift(hash)) {
    keyBytes = digestKey(hash, key, keyBytes, state)
    key = outer
  }
  compress(hash, initialState(hash), state, key, keyBytes, INNER_PAD, 0, 0)
  compress(hash, initialState(hash), outer, key, keyBytes, OUTER_PAD, 0, 0)
}

/** Hashes a long key to the place of the outer state, as bytes; returns their number. Uses the inner state meanwhile. */
function digestKey(hash: i32, key: usize, keyBytes: i32, state: usize): i32 {
  const block = 1 << blockShift(hash)
  const bits = (<u32>keyBytes) << 3
  let from = initialState(hash)
  for (; keyBytes >= block; keyBytes -= block, key += block) {
    compress(hash, from, state, key, block, 0, 0, 0)
    from = state
  }
  if (keyBytes + 1 + (block >> 3) > block) {
    compress(hash, state, state, key, keyBytes, 0, 0x80, 0)
    compress(hash, state, state, key, 0, 0, 0, bits)
  } else {
    compress(hash, state, state, key, keyBytes, 0, 0x80, bits)
  }
  return writeDigest(hash, state, state + outerState(hash))
}

/** Writes the digest of a chaining value as bytes; returns their number. */
function writeDigest(hash: i32, state: usize, to: usize): i32 {
  const words = digestWords(hash)
  for (let i: usize = 0; i < <usize>words; i++) {
    if (isWide(hash)) store<u64>(to + (i << 3), bswap<u64>(load<u64>(state + (i << 3))))
    else if (hash === HASH_MD5) store<u32>(to + (i << 2), load<u32>(state + (i << 2)))
    else store<u32>(to + (i << 2), bswap<u32>(load<u32>(state + (i << 2))))
  }
  return words << (isWide(hash) ? 3 : 2)
}

/** One block of any hash. */
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
  if (hash === HASH_MD5) md5Block(from, to, source, bytes, pad, mark, bits)
  else if (hash === HASH_SHA1) sha1Block(from, to, source, bytes, pad, mark, bits)
  else if (hash === HASH_SHA256) sha256Block(from, to, source, bytes, pad, mark, bits)
  else sha512Block(from, to, source, bytes, ((<u64>pad) << 32) | <u64>pad, mark, bits)
}
