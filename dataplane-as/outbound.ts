// Packets out, a burst at a time (RFC 4303 §3.3, RFC 4302 §3.3):
//
//   1 classify each packet and put it into the bucket of its (SA, TOS, DF)     classify.ts, buckets.ts
//   2 bucket by bucket: limits, numbers, headers, packet, trailer, laid out datagram behind datagram
//   3 encrypt all, 4 authenticate all, in SIMD lanes                           work.ts
//   5 AH around that: its ICV, then the mutable fields of the outer header     ah-out.ts
//   6 the transmit descriptors already stand: one per message of equal-sized datagrams
//
// A packet that fails in 1 or 2 is a counted drop and takes no number and no place. One of IPv4 that is too big for its
// tunnel and has no DF goes through 1 again in fragments (fragments.ts).

import {
  AC_OUT_PACKETS,
  ASP_CONSUMED,
  ASP_OUT_DESCRIPTORS,
  ASP_TX_COUNT,
  DROP_NO_ENTROPY,
  DROP_NO_SA,
  DROP_NONE,
  DROP_TOO_BIG,
  ENCAPSULATION_RAW,
  HEADER_TX_BYTES,
  HEADER_TX_OFFSET,
  HOT_CIPHER,
  HOT_ICV_BYTES,
  HOT_IV_BYTES,
  HOT_PROTOCOL,
  MAX_BURST,
  OUT_ADDRESS,
  OUT_BYTES,
  OUT_LENGTH,
  PROTOCOL_AH,
  STAGE_EGRESS,
  TC_TX_BYTES,
  TC_TX_PACKETS,
  TUNNEL_ENCAPSULATION,
  TUNNEL_MTU,
  TUNNEL_TRACE_OUT,
} from './abi.ts'
import {
  ahBytes,
  ESP_IN_AH,
  finishAh,
  hashAh,
  IPV6_HEADER,
  outerBytes,
  outerIsIpv4,
  putAh,
} from './ah-out.ts'
import { beginBuckets, bucketCount, bucketFirst, bucketInner, bucketPackets, intoBucket } from './buckets.ts'
import { beginClassify, classify, HANDED_OVER } from './classify.ts'
import { add, countStages } from './counters.ts'
import { beginDelivery } from './deliver.ts'
import { entropyHolds, entropyUnit, spendEntropy } from './entropy.ts'
import { copyPacket, espBytes, putEsp } from './esp-out.ts'
import { cutPacket, fragmentStride, fragmentsOf } from './fragments.ts'
import { answerTooBig, MAX_ANSWER_BYTES } from './icmp.ts'
import { allWithinLimits, spend, takeNumber, withinLimits } from './limits.ts'
import { block, counters, header, hotOut, packets, tunnelRecord } from './machine.ts'
import { beginMessages, closeMessage, messagesMade, putDatagram } from './messages.ts'
import { clampMss } from './mss.ts'
import { BROKEN, bundledSa } from './sa.ts'
import { isAead } from './suites.ts'
import { endOut } from './trace.ts'
import { load16 } from './wire/inner.ts'
import {
  aeadAll,
  BATCH,
  beginJobs,
  cipherAll,
  entry,
  hashAll,
  W_ADDRESS,
  W_AH_HOT,
  W_HOT,
  W_LENGTH,
  W_MSS,
  W_MSS_AT,
  W_NEXT,
  W_NEXT_HEADER,
  W_PAYLOAD,
  W_SA,
  W_STAGES,
  W_TCP,
  W_TUNNEL,
} from './work.ts'

/** outer header, AH, ESP header, IV, padding, trailer, ICV, and the gap before a new message */
const MAX_OVERHEAD: u32 = 320

let area: usize = 0 // next free byte of the transmit area
let areaEnd: usize = 0
let room: i64 = 0 // bytes that no classified packet may still need
let used: u32 = 0 // entries of packets that have passed
let ahPackets: u32 = 0

/** Protects descriptors 0..count-1; returns transmit descriptors made. See the exports for the contract. */
export function protectBurst(count: u32): u32 {
  begin()
  const given = min<u32>(count, MAX_BURST)
  const consumed = classifyAll(given)
  const buckets = bucketCount()
  for (let bucket: u32 = 0; bucket < buckets; bucket++) layOut(bucket)
  cipherAll(true)
  aeadAll(true)
  hashAll()
  if (ahPackets !== 0) authenticateOuter()
  keepRest(consumed, given)
  add(block + AC_OUT_PACKETS, consumed)
  store<u32>(block + ASP_CONSUMED, consumed)
  store<u32>(block + ASP_TX_COUNT, messagesMade())
  return messagesMade()
}

function begin(): void {
  beginClassify()
  beginBuckets()
  beginJobs()
  area = packets + header(HEADER_TX_OFFSET)
  areaEnd = area + header(HEADER_TX_BYTES)
  ahPackets = 0
  beginDelivery()
  beginMessages()
}

// ---- 1 classify

/** Stops where the transmit area might not hold the next packet. Returns descriptors consumed. */
function classifyAll(count: u32): u32 {
  room = <i64>(areaEnd - area)
  used = 0
  for (let i: u32 = 0; i < count; i++) {
    const descriptor = block + ASP_OUT_DESCRIPTORS + i * OUT_BYTES
    room -= min<u32>(load<u32>(descriptor + OUT_LENGTH), 65575) + MAX_OVERHEAD + MAX_ANSWER_BYTES
    if (room < 0 || used === BATCH) return i
    const at = entry(used)
    const drop = classify(descriptor, at)
    if (drop === DROP_NONE) {
      room -= load<u32>(at + W_PAYLOAD) - load<u32>(at + W_LENGTH) // TFC padding
      if (room < 0) return i
      intoBucket(used++, at)
    } else if (drop === DROP_TOO_BIG) {
      if (!inFragments(descriptor, at)) return i
    } else if (drop !== HANDED_OVER) refuse(at, drop)
  }
  return count
}

/** -- too big -> fragments that have passed, or refused. False: they have no place in this call any more. */
function inFragments(descriptor: usize, at: usize): bool {
  const mtu = load<u32>(tunnelRecord(load<u32>(at + W_TUNNEL)) + TUNNEL_MTU)
  const count = fragmentsOf(mtu)
  if (count === 0) {
    refuse(at, DROP_TOO_BIG)
    return true
  }
  const bytes = count * fragmentStride(mtu)
  room -= bytes * 2 + count * MAX_OVERHEAD // in clear, and protected
  if (room < 0 || used + count > BATCH) return false
  areaEnd = (areaEnd - bytes) & ~63
  const whole = load<u32>(at + W_LENGTH)
  cutPacket(load<u32>(at + W_ADDRESS), mtu, areaEnd)
  const drop = classifyFragments(descriptor, count, fragmentStride(mtu))
  if (drop === DROP_NONE) return true
  store<u32>(at + W_LENGTH, whole)
  refuse(at, drop)
  return true
}

/** All of them or none: the selectors of the SA must admit the first one, and one that shows no ports. */
function classifyFragments(descriptor: usize, count: u32, stride: u32): u32 {
  for (let index: u32 = 0; index < 2; index++) {
    const drop = classifyFragment(descriptor, areaEnd + index * stride)
    beginClassify() // the entry is not one to be followed
    if (drop !== DROP_NONE) return drop
  }
  for (let index: u32 = 0; index < count; index++) {
    classifyFragment(descriptor, areaEnd + index * stride)
    intoBucket(used, entry(used))
    used++
  }
  return DROP_NONE
}

/** The descriptor of the whole packet, which is consumed, tells of a fragment now. */
function classifyFragment(descriptor: usize, fragment: usize): u32 {
  store<u32>(descriptor + OUT_ADDRESS, <u32>fragment)
  store<u32>(descriptor + OUT_LENGTH, load16(fragment + 2))
  return classify(descriptor, entry(used))
}

function refuse(at: usize, drop: u32): void {
  const tunnel = load<u32>(at + W_TUNNEL)
  if (drop === DROP_TOO_BIG && answerTooBig(load<u32>(at + W_ADDRESS), tunnel, areaEnd))
    areaEnd -= MAX_ANSWER_BYTES
  endOut(tunnel, load<u32>(at + W_STAGES), load<u32>(at + W_LENGTH), drop)
}

// ---- 2 layout

/** A bucket as a whole where nothing can happen to one of its packets alone, else one by one. */
function layOut(bucket: u32): void {
  const first = bucketFirst(bucket)
  const packets = bucketPackets(bucket)
  const inner = bucketInner(bucket)
  if (mayRun(entry(first - 1), packets, inner)) run(first, packets, inner)
  else layOutSingly(first)
  closeMessage()
}

/** ESP alone, all of it within the limits of its SA, entropy for all, no trace wanted. */
function mayRun(at: usize, packets: u32, inner: u32): bool {
  const hot = load<u32>(at + W_HOT)
  if (load<u32>(hot + HOT_PROTOCOL) === PROTOCOL_AH || !allWithinLimits(hot, packets, inner)) return false
  if (wantsEntropy(hot) && !entropyHolds(packets)) return false
  return load<u32>(tunnelRecord(load<u32>(at + W_TUNNEL)) + TUNNEL_TRACE_OUT) === 0
}

/** Lays out the `packets` packets of a bucket, `inner` bytes together, and counts them once. */
function run(first: u32, packets: u32, inner: u32): void {
  const head = entry(first - 1)
  const hot = load<u32>(head + W_HOT)
  const random = wantsEntropy(hot)
  let unit: u32 = 0
  let to = area
  for (let next = first; next !== 0; unit++) {
    const at = entry(next - 1)
    const bytes = espBytes(hot, load<u32>(at + W_PAYLOAD))
    const datagram = putDatagram(at, bytes, to)
    to = datagram + bytes
    sealEsp(at, hot, datagram, random ? entropyUnit(unit) : 0)
    next = load<u32>(at + W_NEXT)
  }
  area = to
  if (random) spendEntropy(packets)
  spend(load<u32>(head + W_SA), hot, packets, inner)
  account(load<u32>(head + W_TUNNEL), packets, inner)
  countStages(load<u32>(head + W_TUNNEL), load<u32>(head + W_STAGES) | STAGE_EGRESS, packets)
}

/** Lays out a bucket whose first packet is entry `next` - 1. */
function layOutSingly(next: u32): void {
  while (next !== 0) {
    const at = entry(next - 1)
    const drop = protect(at)
    if (drop === DROP_NONE) account(load<u32>(at + W_TUNNEL), 1, load<u32>(at + W_LENGTH))
    const stages = load<u32>(at + W_STAGES) | (drop === DROP_NONE ? STAGE_EGRESS : 0)
    endOut(load<u32>(at + W_TUNNEL), stages, load<u32>(at + W_LENGTH), drop)
    next = load<u32>(at + W_NEXT)
  }
}

function protect(at: usize): u32 {
  store<u32>(at + W_AH_HOT, 0)
  const hot = load<u32>(at + W_HOT)
  return load<u32>(hot + HOT_PROTOCOL) === PROTOCOL_AH ? protectAh(at, hot) : protectEsp(at, hot)
}

/** ESP alone. Returns a drop number. */
function protectEsp(at: usize, hot: usize): u32 {
  const inner = load<u32>(at + W_LENGTH)
  const sa = load<u32>(at + W_SA)
  const drop = withinLimits(sa, hot, inner)
  if (drop !== DROP_NONE) return drop
  const random = entropyFor(hot)
  if (random === NO_ENTROPY) return DROP_NO_ENTROPY
  const bytes = espBytes(hot, load<u32>(at + W_PAYLOAD))
  const datagram = putDatagram(at, bytes, area)
  area = datagram + bytes
  sealEsp(at, hot, datagram, random)
  if (random !== 0) spendEntropy(1)
  spend(sa, hot, 1, inner)
  return DROP_NONE
}

/** AH around the packet, or around the ESP packet of a bundle. Both SAs must be able before either takes a number. */
function protectAh(at: usize, hot: usize): u32 {
  const tunnel = load<u32>(at + W_TUNNEL)
  if (load<u32>(tunnelRecord(tunnel) + TUNNEL_ENCAPSULATION) !== ENCAPSULATION_RAW) return DROP_NO_SA
  const inside = bundledSa(hot)
  if (inside === BROKEN) return DROP_NO_SA
  const inner = load<u32>(at + W_LENGTH)
  const esp: usize = inside === 0 ? <usize>0 : hotOut(inside - 1)
  let drop = withinLimits(load<u32>(at + W_SA), hot, inner)
  if (drop === DROP_NONE && esp !== 0) drop = withinLimits(inside - 1, esp, inner)
  if (drop !== DROP_NONE) return drop
  const random: usize = esp === 0 ? <usize>0 : entropyFor(esp)
  if (random === NO_ENTROPY) return DROP_NO_ENTROPY
  placeAh(at, hot, esp, random)
  if (random !== 0) spendEntropy(1)
  spend(load<u32>(at + W_SA), hot, 1, inner)
  if (esp !== 0) spend(inside - 1, esp, 1, inner)
  ahPackets++
  return DROP_NONE
}

/** A message of its own: the outer header of IPv6 stands before the datagram, that of IPv4 begins it. */
function placeAh(at: usize, hot: usize, esp: usize, random: usize): void {
  const ipv4 = outerIsIpv4(load<u32>(at + W_TUNNEL))
  const ah = ahBytes(load<u32>(hot + HOT_ICV_BYTES), ipv4)
  const payload = esp === 0 ? load<u32>(at + W_LENGTH) : espBytes(esp, load<u32>(at + W_PAYLOAD))
  const ownHeader: u32 = ipv4 ? outerBytes(true) : 0
  const bytes = ownHeader + ah + payload
  const datagram = putDatagram(at, bytes, ipv4 ? area : area + IPV6_HEADER)
  closeMessage()
  area = datagram + bytes
  const head = datagram + ownHeader
  if (esp === 0) {
    copyPacket(head + ah, load<u32>(at + W_ADDRESS), payload)
    lowerMss(at, head + ah)
  } else sealEsp(at, esp, head + ah, random)
  const next = esp === 0 ? load<u32>(at + W_NEXT_HEADER) : ESP_IN_AH
  putAh(at, hot, head, next, payload, takeNumber(hot))
}

function sealEsp(at: usize, hot: usize, to: usize, random: usize): void {
  const inner = load<u32>(at + W_LENGTH)
  const payload = load<u32>(at + W_PAYLOAD)
  const next = load<u32>(at + W_NEXT_HEADER)
  const start = putEsp(hot, to, load<u32>(at + W_ADDRESS), inner, payload, next, takeNumber(hot), random)
  lowerMss(at, start)
}

/** In the copy: the packet itself is not ours. */
function lowerMss(at: usize, copy: usize): void {
  const mss = load<u32>(at + W_MSS_AT)
  if (mss !== 0) clampMss(copy + load<u32>(at + W_TCP), copy + mss, load<u32>(at + W_MSS))
}

const NO_ENTROPY: usize = 1

/** 16 fresh bytes for the IV, 0 when the cipher needs none, NO_ENTROPY when the pool is empty. */
function entropyFor(hot: usize): usize {
  if (!wantsEntropy(hot)) return 0
  return entropyHolds(1) ? entropyUnit(0) : NO_ENTROPY
}

function wantsEntropy(hot: usize): bool {
  return load<u32>(hot + HOT_IV_BYTES) !== 0 && !isAead(load<u32>(hot + HOT_CIPHER))
}

function account(tunnel: u32, packets: u32, inner: u32): void {
  const at = counters(tunnel)
  add(at + TC_TX_PACKETS, packets)
  add(at + TC_TX_BYTES, inner)
}

// ---- 5 AH

/** Covers what is complete now, ICVs of ESP included; then the outer headers get what routers may change. */
function authenticateOuter(): void {
  const buckets = bucketCount()
  for (let pass: u32 = 0; pass < 2; pass++) {
    for (let bucket: u32 = 0; bucket < buckets; bucket++) {
      const hot = load<u32>(entry(bucketFirst(bucket) - 1) + W_HOT)
      if (load<u32>(hot + HOT_PROTOCOL) !== PROTOCOL_AH) continue
      for (let next = bucketFirst(bucket); next !== 0; next = load<u32>(entry(next - 1) + W_NEXT)) {
        const at = entry(next - 1)
        if (load<u32>(at + W_AH_HOT) === 0) continue
        if (pass === 0) hashAh(at)
        else finishAh(at)
      }
    }
    if (pass === 0) hashAll()
  }
}

/** What was not consumed moves to the front for the next call. */
function keepRest(consumed: u32, given: u32): void {
  const descriptors = block + ASP_OUT_DESCRIPTORS
  memory.copy(descriptors, descriptors + consumed * OUT_BYTES, (given - consumed) * OUT_BYTES)
}
