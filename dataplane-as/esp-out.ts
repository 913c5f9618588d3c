// ESP tunnel mode, outbound (RFC 4303 §3.3), a burst at a time:
//
//   1 classify each packet and put it into the bucket of its (SA, TOS, DF)     classify.ts
//   2 bucket by bucket: number, limits, ESP header, IV, packet, trailer, laid out datagram behind datagram
//   3 encrypt all, 4 authenticate all, in SIMD lanes                           work.ts
//   5 the transmit descriptors already stand: one per message of equal-sized datagrams
//
// A packet that fails in 1 or 2 is a counted drop and takes no number and no place.

import {
  AC_OUT_PACKETS,
  ASP_CONSUMED,
  ASP_OUT_DESCRIPTORS,
  ASP_TX_COUNT,
  ASP_WORK,
  DROP_NO_ENTROPY,
  DROP_NONE,
  DROP_SA_EXPIRED,
  DROP_SEQUENCE_EXHAUSTED,
  DROP_TOO_BIG,
  EVENT_SA_SOFT,
  EVENT_SEQ_NEAR_WRAP,
  HEADER_TX_BYTES,
  HEADER_TX_OFFSET,
  HOT_BLOCK_BYTES,
  HOT_BYTES,
  HOT_DEADLINE,
  HOT_FLAG_ESN,
  HOT_FLAG_SOFT_RAISED,
  HOT_FLAG_WRAP_RAISED,
  HOT_FLAGS,
  HOT_HARD_BYTES,
  HOT_HARD_PACKETS,
  HOT_ICV_BYTES,
  HOT_IV_BYTES,
  HOT_LAST_USED,
  HOT_NEAR_WRAP,
  HOT_PACKETS,
  HOT_SEQUENCE,
  HOT_SEQUENCE_LIMIT,
  HOT_SOFT_BYTES,
  HOT_SOFT_PACKETS,
  HOT_SPI,
  MAX_BURST,
  OUT_BYTES,
  OUT_LENGTH,
  STAGE_EGRESS,
  TC_TX_BYTES,
  TC_TX_PACKETS,
} from './abi.ts'
import { classify, HANDED_OVER } from './classify.ts'
import { add } from './counters.ts'
import { beginDelivery } from './deliver.ts'
import { spendEntropy, takeEntropy } from './entropy.ts'
import { answerTooBig, MAX_ANSWER_BYTES } from './icmp.ts'
import { block, clock, counters, header, now, packets } from './machine.ts'
import { beginMessages, closeMessage, messagesMade, putDatagram } from './messages.ts'
import { expireSa, raiseOnce } from './sa.ts'
import { endOut } from './trace.ts'
import {
  AT_BUCKET_TABLE,
  AT_BUCKETS,
  addCipherJob,
  addHashJob,
  beginJobs,
  cipherAll,
  entry,
  hashAll,
  W_ADDRESS,
  W_DF,
  W_HOT,
  W_LENGTH,
  W_NEXT,
  W_NEXT_HEADER,
  W_SA,
  W_STAGES,
  W_TOS,
  W_TUNNEL,
} from './work.ts'

const ESP_HEADER: u32 = 8
/** ESP header, IV, padding, trailer, ICV, and the gap before a new message */
const MAX_OVERHEAD: u32 = 192

// bucket record
const B_HOT = 0
const B_MARKS = 4 // tos | df << 8
const B_FIRST = 8 // entry index + 1
const B_LAST = 12
const BUCKET_BYTES = 16
const BUCKET_SLOTS: u32 = 512

let buckets: u32 = 0
let area: usize = 0 // next free byte of the transmit area
let areaEnd: usize = 0

/** Protects descriptors 0..count-1; returns transmit descriptors made. See the exports for the contract. */
export function protectBurst(count: u32): u32 {
  begin()
  const given = min<u32>(count, MAX_BURST)
  const consumed = classifyAll(given)
  for (let bucket: u32 = 0; bucket < buckets; bucket++) layOut(bucketRecord(bucket))
  cipherAll(true)
  hashAll()
  keepRest(consumed, given)
  add(block + AC_OUT_PACKETS, consumed)
  store<u32>(block + ASP_CONSUMED, consumed)
  store<u32>(block + ASP_TX_COUNT, messagesMade())
  return messagesMade()
}

function begin(): void {
  buckets = 0
  beginJobs()
  memory.fill(block + ASP_WORK + AT_BUCKET_TABLE, 0, BUCKET_SLOTS << 2)
  area = packets + header(HEADER_TX_OFFSET)
  areaEnd = area + header(HEADER_TX_BYTES)
  beginDelivery()
  beginMessages()
}

// ---- 1 classify

/** Stops where the transmit area might not hold the next packet. Returns descriptors consumed. */
function classifyAll(count: u32): u32 {
  let room = <i64>(areaEnd - area)
  for (let i: u32 = 0; i < count; i++) {
    const descriptor = block + ASP_OUT_DESCRIPTORS + i * OUT_BYTES
    room -= min<u32>(load<u32>(descriptor + OUT_LENGTH), 65575) + MAX_OVERHEAD + MAX_ANSWER_BYTES
    if (room < 0) return i
    const at = entry(i)
    const drop = classify(descriptor, at)
    if (drop === DROP_NONE) intoBucket(i, at)
    else if (drop !== HANDED_OVER) refuse(at, drop)
  }
  return count
}

function refuse(at: usize, drop: u32): void {
  const tunnel = load<u32>(at + W_TUNNEL)
  if (drop === DROP_TOO_BIG && answerTooBig(load<u32>(at + W_ADDRESS), tunnel, areaEnd))
    areaEnd -= MAX_ANSWER_BYTES
  endOut(tunnel, load<u32>(at + W_STAGES), load<u32>(at + W_LENGTH), drop)
}

function bucketRecord(bucket: u32): usize {
  return block + ASP_WORK + AT_BUCKETS + bucket * BUCKET_BYTES
}

/** Appends the packet to the bucket of its SA and marks: messages stay whole, order within a flow is kept. */
function intoBucket(index: u32, at: usize): void {
  const hot = load<u32>(at + W_HOT)
  const marks = load<u32>(at + W_TOS) | (load<u32>(at + W_DF) << 8)
  const bucket = bucketFor(hot, marks)
  store<u32>(at + W_NEXT, 0)
  const last = load<u32>(bucket + B_LAST)
  if (last === 0) store<u32>(bucket + B_FIRST, index + 1)
  else store<u32>(entry(last - 1) + W_NEXT, index + 1)
  store<u32>(bucket + B_LAST, index + 1)
}

/** The table is twice as large as a burst, so a free slot always comes. */
function bucketFor(hot: u32, marks: u32): usize {
  const table = block + ASP_WORK + AT_BUCKET_TABLE
  let slot = ((hot >> 6) ^ (marks * 0x9e5)) & (BUCKET_SLOTS - 1)
  for (;;) {
    const found = load<u32>(table + (slot << 2))
    if (found === 0) break
    const bucket = bucketRecord(found - 1)
    if (load<u32>(bucket + B_HOT) === hot && load<u32>(bucket + B_MARKS) === marks) return bucket
    slot = (slot + 1) & (BUCKET_SLOTS - 1)
  }
  store<u32>(table + (slot << 2), buckets + 1)
  const bucket = bucketRecord(buckets++)
  store<u32>(bucket + B_HOT, hot)
  store<u32>(bucket + B_MARKS, marks)
  store<u32>(bucket + B_FIRST, 0)
  store<u32>(bucket + B_LAST, 0)
  return bucket
}

// ---- 2 layout

function layOut(bucket: usize): void {
  let next = load<u32>(bucket + B_FIRST)
  while (next !== 0) {
    const at = entry(next - 1)
    const drop = encapsulate(at)
    const stages = load<u32>(at + W_STAGES) | (drop === DROP_NONE ? STAGE_EGRESS : 0)
    endOut(load<u32>(at + W_TUNNEL), stages, load<u32>(at + W_LENGTH), drop)
    next = load<u32>(at + W_NEXT)
  }
  closeMessage()
}

/** One packet: limits, number, header, IV, copy, trailer, jobs. Returns a drop number. */
function encapsulate(at: usize): u32 {
  const hot = load<u32>(at + W_HOT)
  const inner = load<u32>(at + W_LENGTH)
  const drop = withinLimits(load<u32>(at + W_SA), hot, inner)
  if (drop !== DROP_NONE) return drop
  const ivBytes = load<u32>(hot + HOT_IV_BYTES)
  const random: usize = ivBytes === 0 ? <usize>0 : takeEntropy()
  if (ivBytes !== 0 && random === 0) return DROP_NO_ENTROPY

  const sequence = load<u64>(hot + HOT_SEQUENCE) + 1
  store<u64>(hot + HOT_SEQUENCE, sequence)
  const ciphertext =
    (inner + 2 + load<u32>(hot + HOT_BLOCK_BYTES) - 1) & ~(load<u32>(hot + HOT_BLOCK_BYTES) - 1)
  const authenticated = ESP_HEADER + ivBytes + ciphertext
  const datagram = putDatagram(at, authenticated + load<u32>(hot + HOT_ICV_BYTES), area)
  area = datagram + authenticated + load<u32>(hot + HOT_ICV_BYTES)
  store<u32>(datagram, load<u32>(hot + HOT_SPI))
  store<u32>(datagram + 4, bswap<u32>(<u32>sequence))
  if (random !== 0) {
    v128.store(datagram + ESP_HEADER, v128.load(random))
    spendEntropy()
  }
  const payload = datagram + ESP_HEADER + ivBytes
  copyPacket(payload, load<u32>(at + W_ADDRESS), inner)
  putTrailer(payload + inner, ciphertext - inner, load<u32>(at + W_NEXT_HEADER))
  addCipherJob(hot, payload, ciphertext)
  const esn = (load<u32>(hot + HOT_FLAGS) & HOT_FLAG_ESN) !== 0
  addHashJob(hot, datagram, authenticated, datagram + authenticated, esn, sequence)
  account(at, hot, inner, sequence)
  return DROP_NONE
}

/** Numbers never wrap (RFC 4303 §2.2); time, bytes and packets end at their hard limit. */
function withinLimits(sa: u32, hot: usize, inner: u32): u32 {
  if (load<u64>(hot + HOT_SEQUENCE) >= load<u64>(hot + HOT_SEQUENCE_LIMIT)) {
    expireSa(sa, hot)
    return DROP_SEQUENCE_EXHAUSTED
  }
  const bytes = load<u64>(hot + HOT_BYTES) + inner
  const spent =
    clock >= load<u64>(hot + HOT_DEADLINE) ||
    bytes > load<u64>(hot + HOT_HARD_BYTES) ||
    load<u64>(hot + HOT_PACKETS) >= load<u64>(hot + HOT_HARD_PACKETS)
  if (!spent) return DROP_NONE
  expireSa(sa, hot)
  return DROP_SA_EXPIRED
}

/** 16 bytes at a time; the last step overlaps the one before, so nothing behind either end is touched. */
function copyPacket(to: usize, from: usize, bytes: u32): void {
  let offset: u32 = 0
  for (; offset + 16 <= bytes; offset += 16) v128.store(to + offset, v128.load(from + offset))
  if (offset !== bytes) v128.store(to + bytes - 16, v128.load(from + bytes - 16))
}

/** Padding 1, 2, 3 .., its length, the next header (RFC 4303 §2.4): `bytes` bytes, at least 2. */
function putTrailer(at: usize, bytes: u32, nextHeader: u32): void {
  const padding = bytes - 2
  for (let i: u32 = 0; i < padding; i++) store<u8>(at + i, <u8>(i + 1))
  store<u8>(at + padding, <u8>padding)
  store<u8>(at + padding + 1, <u8>nextHeader)
}

function account(at: usize, hot: usize, inner: u32, sequence: u64): void {
  const bytes = load<u64>(hot + HOT_BYTES) + inner
  const sent = load<u64>(hot + HOT_PACKETS) + 1
  store<u64>(hot + HOT_BYTES, bytes)
  store<u64>(hot + HOT_PACKETS, sent)
  store<u32>(hot + HOT_LAST_USED, now)
  const tunnel = counters(load<u32>(at + W_TUNNEL))
  add(tunnel + TC_TX_PACKETS, 1)
  add(tunnel + TC_TX_BYTES, inner)
  const soft = bytes >= load<u64>(hot + HOT_SOFT_BYTES) || sent >= load<u64>(hot + HOT_SOFT_PACKETS)
  if (soft) raiseOnce(load<u32>(at + W_SA), hot, HOT_FLAG_SOFT_RAISED, EVENT_SA_SOFT)
  if (sequence >= load<u64>(hot + HOT_NEAR_WRAP)) {
    raiseOnce(load<u32>(at + W_SA), hot, HOT_FLAG_WRAP_RAISED, EVENT_SEQ_NEAR_WRAP)
  }
}

/** What was not consumed moves to the front for the next call. */
function keepRest(consumed: u32, given: u32): void {
  const descriptors = block + ASP_OUT_DESCRIPTORS
  memory.copy(descriptors, descriptors + consumed * OUT_BYTES, (given - consumed) * OUT_BYTES)
}
