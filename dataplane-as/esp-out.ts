// ESP, outbound: the layout of one packet (RFC 4303 §2): SPI, number, IV, inner packet, TFC padding, trailer, ICV.
//
// The bytes are put in place in clear; cipher and ICV are jobs for the kernels, which run once a burst.

import {
  HOT_BLOCK_BYTES,
  HOT_CIPHER,
  HOT_FLAG_ESN,
  HOT_FLAGS,
  HOT_ICV_BYTES,
  HOT_IV_BYTES,
  HOT_SPI,
} from './abi.ts'
import { isAead } from './suites.ts'
import { addAeadJob, addCipherJob, addHashJob } from './work.ts'

const ESP_HEADER: u32 = 8
const TRAILER: u32 = 2 // pad length and next header
const PADDING = memory.data<u8>([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], 16)

/** Bytes of the ESP packet around a payload of `payload` bytes. */
export function espBytes(hot: usize, payload: u32): u32 {
  return (
    ESP_HEADER +
    load<u32>(hot + HOT_IV_BYTES) +
    ciphertextBytes(hot, payload) +
    load<u32>(hot + HOT_ICV_BYTES)
  )
}

function ciphertextBytes(hot: usize, payload: u32): u32 {
  const unit = load<u32>(hot + HOT_BLOCK_BYTES)
  return (payload + TRAILER + unit - 1) & ~(unit - 1)
}

/**
 * Puts the packet at `to`. `payload` >= `inner` bytes: the rest is TFC padding (RFC 4303 §2.7). `random`: 16 fresh
 * bytes for the IV; 0 when the cipher needs none. Returns the address of the copy of the inner packet.
 */
export function putEsp(
  hot: usize,
  to: usize,
  packet: usize,
  inner: u32,
  payload: u32,
  nextHeader: u32,
  sequence: u64,
  random: usize,
): usize {
  const ivBytes = load<u32>(hot + HOT_IV_BYTES)
  const ciphertext = ciphertextBytes(hot, payload)
  store<u32>(to, load<u32>(hot + HOT_SPI))
  store<u32>(to + 4, bswap<u32>(<u32>sequence))
  if (random !== 0) v128.store(to + ESP_HEADER, v128.load(random)) // with a shorter IV the payload covers the rest
  const start = to + ESP_HEADER + ivBytes
  copyPacket(start, packet, inner)
  if (payload !== inner) memory.fill(start + inner, 0, payload - inner)
  putTrailer(start + payload, ciphertext - payload, nextHeader)
  const esn = (load<u32>(hot + HOT_FLAGS) & HOT_FLAG_ESN) !== 0
  if (isAead(load<u32>(hot + HOT_CIPHER))) {
    store<u64>(to + ESP_HEADER, bswap<u64>(sequence)) // unique under the key, as the number is (RFC 4106 §3.1)
    addAeadJob(hot, to, ciphertext, esn, sequence)
    return start
  }
  addCipherJob(hot, start, ciphertext)
  const covered = ESP_HEADER + ivBytes + ciphertext
  addHashJob(hot, to, covered, to + covered, esn, sequence)
  return start
}

/** 16 bytes at a time; the last step overlaps the one before, so nothing behind either end is touched. */
export function copyPacket(to: usize, from: usize, bytes: u32): void {
  let offset: u32 = 0
  for (; offset + 16 <= bytes; offset += 16) v128.store(to + offset, v128.load(from + offset))
  if (offset !== bytes) v128.store(to + bytes - 16, v128.load(from + bytes - 16))
}

/**
 * Padding 1, 2, 3 .., its length, the next header (RFC 4303 §2.4): `bytes` bytes, 2 to 17. 16 are written whatever
 * is wanted: what follows is written later, or is slack of the transmit area.
 */
function putTrailer(at: usize, bytes: u32, nextHeader: u32): void {
  const padding = bytes - TRAILER
  v128.store(at, v128.load(PADDING))
  store<u16>(at + padding, <u16>(padding | (nextHeader << 8)))
}
