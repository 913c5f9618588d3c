// ESP tunnel mode, inbound (RFC 4303 §3.4), a burst at a time, in place:
//
//   1 admit each datagram: SPI, SA, length, replay pre-check          admit.ts
//   2 compute all ICVs in SIMD lanes, compare each over all its bytes
//   3 move the replay window, only now
//   4 decrypt all
//   5 padding, next header, inner header, selectors, ECN; deliver
//
// Every authentic packet with a wrong inside ends in the one counter bad-content, whatever is wrong (no oracle).

import {
  AC_IN_PACKETS,
  ASP_CONSUMED,
  ASP_IN_DESCRIPTORS,
  DROP_BAD_CONTENT,
  DROP_BAD_ICV,
  DROP_DESCRIPTOR,
  DROP_DUMMY,
  DROP_ECN,
  DROP_INNER_ADDRESS,
  DROP_NONE,
  DROP_OUTER_MALFORMED,
  DROP_REPLAY,
  DROP_SELECTOR_IN,
  EVENT_PEER_ADDR_CHANGED,
  EVENT_SA_SOFT,
  EVENT_SOCKADDR,
  FAMILY_INET6,
  HEADER_ASP_BLOCKS,
  HOT_BYTES,
  HOT_FLAG_ESN,
  HOT_FLAG_IPV4,
  HOT_FLAG_IPV6,
  HOT_FLAG_SOFT_RAISED,
  HOT_FLAGS,
  HOT_ICV_BYTES,
  HOT_LAST_USED,
  HOT_PACKETS,
  HOT_SEQUENCE,
  HOT_SOFT_BYTES,
  HOT_SOFT_PACKETS,
  IN_ADDRESS,
  IN_BYTES,
  IN_ENCAPSULATION,
  IN_FLAG_HANDED_OVER,
  IN_FLAGS,
  IN_HEADROOM,
  IN_LENGTH,
  IN_LOCAL,
  IN_RAW_IPV4,
  IN_SEGMENT,
  IN_SOURCE,
  IN_TOS,
  IN_UDP,
  MAX_BURST,
  MAX_DELIVER,
  MAX_PIECES,
  SOCKADDR_BYTES,
  SOCKADDR_FAMILY,
  SOCKADDR_IPV4,
  SOCKADDR_IPV6,
  SOCKADDR_PORT,
  STAGE_ASE,
  STAGE_EGRESS,
  TC_RX_BYTES,
  TC_RX_PACKETS,
  TUNNEL_LAST_PEER_EVENT,
  TUNNEL_PEER,
} from './abi.ts'
import { admit, stripOuter, TAKEN } from './admit.ts'
import { inPacketRegion } from './classify.ts'
import { add, countDrop, NO_TUNNEL } from './counters.ts'
import { beginDelivery, deliver, delivered } from './deliver.ts'
import { block, counters, header, memoryEnd, now, tunnelRecord } from './machine.ts'
import { updateReplay } from './replay.ts'
import { openEvent, publishEvent } from './ring.ts'
import { raiseOnce } from './sa.ts'
import { selectorsAllow } from './selectors.ts'
import { endIn } from './trace.ts'
import { family, forbiddenSource, length, parseInner, tos } from './wire/inner.ts'
import { mergeEcn } from './wire/tos.ts'
import {
  addCipherJob,
  addHashJob,
  BATCH,
  beginJobs,
  cipherAll,
  entry,
  hashAll,
  icvSlot,
  W_ADDRESS,
  W_CIPHERTEXT,
  W_CIPHERTEXT_LENGTH,
  W_DESCRIPTOR,
  W_HOT,
  W_LENGTH,
  W_SA,
  W_SEQUENCE,
  W_STAGES,
  W_TUNNEL,
} from './work.ts'

const IPV4_IN_ESP: u32 = 4
const IPV6_IN_ESP: u32 = 41
const NO_NEXT_HEADER: u32 = 59
const EVENT_INTERVAL: u32 = 1000 // ms

let batch: u32 = 0 // entries waiting for the kernels

/** Opens descriptors 0..count-1; returns deliver descriptors made. See the exports for the contract. */
export function openBurst(count: u32): u32 {
  const given = min<u32>(count, MAX_BURST)
  batch = 0
  beginJobs()
  beginDelivery()
  let consumed: u32 = 0
  for (; consumed < given; consumed++) {
    const descriptor = block + ASP_IN_DESCRIPTORS + consumed * IN_BYTES
    const drop = checkDescriptor(descriptor)
    if (drop !== DROP_NONE) countDrop(drop, NO_TUNNEL)
    else {
      if (delivered() + batch + pieces(descriptor) > <u32>MAX_DELIVER) break
      openMessage(descriptor)
    }
  }
  runBatch()
  const descriptors = block + ASP_IN_DESCRIPTORS
  memory.copy(descriptors, descriptors + consumed * IN_BYTES, (given - consumed) * IN_BYTES)
  store<u32>(block + ASP_CONSUMED, consumed)
  return delivered()
}

/** Every address the descriptor names is checked here, once. */
function checkDescriptor(descriptor: usize): u32 {
  const bytes = load<u32>(descriptor + IN_LENGTH)
  const segment = load<u32>(descriptor + IN_SEGMENT)
  const encapsulation = load<u8>(descriptor + IN_ENCAPSULATION)
  if (!inPacketRegion(load<u32>(descriptor + IN_ADDRESS), bytes, IN_HEADROOM)) return DROP_DESCRIPTOR
  if (encapsulation < <u8>IN_UDP || encapsulation > <u8>IN_RAW_IPV4) return DROP_DESCRIPTOR
  if ((load<u8>(descriptor + IN_FLAGS) & ~IN_FLAG_HANDED_OVER) !== 0) return DROP_DESCRIPTOR
  if (segment !== 0 && (encapsulation !== IN_UDP || pieces(descriptor) > <u32>MAX_PIECES))
    return DROP_DESCRIPTOR
  if (!besideKeys(load<u32>(descriptor + IN_SOURCE), SOCKADDR_BYTES)) return DROP_DESCRIPTOR
  if (!besideKeys(load<u32>(descriptor + IN_LOCAL), 16)) return DROP_DESCRIPTOR
  return stripOuter(descriptor) ? DROP_NONE : DROP_OUTER_MALFORMED
}

/** 0, or a record above everything that holds keys. */
function besideKeys(address: u32, bytes: u32): bool {
  return address === 0 || (address >= header(HEADER_ASP_BLOCKS) && <u64>address + bytes <= <u64>memoryEnd)
}

function pieces(descriptor: usize): u32 {
  const segment = load<u32>(descriptor + IN_SEGMENT)
  const bytes = load<u32>(descriptor + IN_LENGTH)
  if (segment === 0 || bytes <= segment) return 1
  return bytes / segment + (bytes % segment === 0 ? 0 : 1)
}

function openMessage(descriptor: usize): void {
  const count = pieces(descriptor)
  const segment = load<u32>(descriptor + IN_SEGMENT)
  let address: usize = load<u32>(descriptor + IN_ADDRESS)
  let left = load<u32>(descriptor + IN_LENGTH)
  add(block + AC_IN_PACKETS, count)
  for (let piece: u32 = 0; piece < count; piece++) {
    const bytes = segment === 0 ? left : min<u32>(segment, left)
    openDatagram(descriptor, address, bytes)
    address += bytes
    left -= bytes
  }
}

function openDatagram(descriptor: usize, address: usize, bytes: u32): void {
  if (batch === BATCH) runBatch()
  const at = entry(batch)
  const drop = admit(descriptor, address, bytes, at)
  if (drop === TAKEN) return
  if (drop !== DROP_NONE) {
    end(at, bytes, drop)
    return
  }
  const hot = load<u32>(at + W_HOT)
  store<u32>(at + W_STAGES, load<u32>(at + W_STAGES) | STAGE_ASE)
  const esn = (load<u32>(hot + HOT_FLAGS) & HOT_FLAG_ESN) !== 0
  const covered = bytes - load<u32>(hot + HOT_ICV_BYTES)
  addHashJob(hot, address, covered, icvSlot(batch), esn, load<u64>(at + W_SEQUENCE))
  batch++
}

function end(at: usize, bytes: u32, drop: u32): void {
  endIn(load<u32>(at + W_TUNNEL), load<u32>(at + W_STAGES), bytes, drop)
}

// ---- 2 to 5

function runBatch(): void {
  hashAll()
  for (let i: u32 = 0; i < batch; i++) authenticate(i, entry(i))
  cipherAll(false)
  for (let i: u32 = 0; i < batch; i++) if (load<u32>(entry(i) + W_CIPHERTEXT_LENGTH) !== 0) examine(entry(i))
  batch = 0
}

function authenticate(index: u32, at: usize): void {
  const hot = load<u32>(at + W_HOT)
  const bytes = load<u32>(at + W_LENGTH)
  const icvBytes = load<u32>(hot + HOT_ICV_BYTES)
  let drop: u32 = DROP_NONE
  if (!sameIcv(load<u32>(at + W_ADDRESS) + bytes - icvBytes, icvSlot(index), icvBytes)) drop = DROP_BAD_ICV
  else if (!updateReplay(hot, load<u64>(at + W_SEQUENCE))) drop = DROP_REPLAY
  if (drop === DROP_NONE) {
    addCipherJob(hot, load<u32>(at + W_CIPHERTEXT), load<u32>(at + W_CIPHERTEXT_LENGTH))
    return
  }
  store<u32>(at + W_CIPHERTEXT_LENGTH, 0)
  end(at, bytes, drop)
}

/** All bytes, whatever the first ones say. The length is a multiple of 4. */
function sameIcv(received: usize, computed: usize, bytes: u32): bool {
  let difference: u32 = 0
  for (let i: u32 = 0; i < bytes; i += 4) difference |= load<u32>(received + i) ^ load<u32>(computed + i)
  return difference === 0
}

/** -- authentic -> delivered, or dropped */
function examine(at: usize): void {
  const hot = load<u32>(at + W_HOT)
  const tunnel = load<u32>(at + W_TUNNEL)
  const packet: usize = load<u32>(at + W_CIPHERTEXT)
  moved(at, hot, tunnel)
  let drop = content(packet, load<u32>(at + W_CIPHERTEXT_LENGTH), hot)
  account(at, hot, drop === DROP_NONE ? length : 0)
  if (drop === DROP_NONE) drop = policy(at, packet, hot)
  if (drop !== DROP_NONE) {
    end(at, load<u32>(at + W_LENGTH), drop)
    return
  }
  store<u32>(at + W_STAGES, load<u32>(at + W_STAGES) | STAGE_EGRESS)
  add(counters(tunnel) + TC_RX_PACKETS, 1)
  add(counters(tunnel) + TC_RX_BYTES, length)
  deliver(tunnel, packet, length)
  end(at, length, DROP_NONE)
}

/** Padding 1, 2, 3 .., a next header this SA admits, an inner header that holds (RFC 4303 §2.4 to §2.6). */
function content(packet: usize, bytes: u32, hot: usize): u32 {
  const padding = <u32>load<u8>(packet + bytes - 2)
  const nextHeader = <u32>load<u8>(packet + bytes - 1)
  if (padding + 2 > bytes) return DROP_BAD_CONTENT
  const inner = bytes - 2 - padding
  let wrong: u32 = 0
  for (let i: u32 = 0; i < padding; i++) wrong |= <u32>load<u8>(packet + inner + i) ^ (i + 1)
  if (wrong !== 0) return DROP_BAD_CONTENT
  if (nextHeader === NO_NEXT_HEADER) return DROP_DUMMY
  const admitted = load<u32>(hot + HOT_FLAGS) & (nextHeader === IPV4_IN_ESP ? HOT_FLAG_IPV4 : HOT_FLAG_IPV6)
  if ((nextHeader !== IPV4_IN_ESP && nextHeader !== IPV6_IN_ESP) || admitted === 0) return DROP_BAD_CONTENT
  if (!parseInner(packet, inner)) return DROP_BAD_CONTENT
  return family === (nextHeader === IPV4_IN_ESP ? 4 : 6) ? DROP_NONE : DROP_BAD_CONTENT
}

/** May this packet come out of this SA (RFC 4301 §5.2), and what did the outer header meet on its way? */
function policy(at: usize, packet: usize, hot: usize): u32 {
  if (!selectorsAllow(hot)) return DROP_SELECTOR_IN
  if (forbiddenSource()) return DROP_INNER_ADDRESS
  const outer = load<u8>(load<u32>(at + W_DESCRIPTOR) + IN_TOS)
  return mergeEcn(packet, tos, outer, family) ? DROP_NONE : DROP_ECN
}

function account(at: usize, hot: usize, inner: u32): void {
  const bytes = load<u64>(hot + HOT_BYTES) + inner
  const received = load<u64>(hot + HOT_PACKETS) + 1
  store<u64>(hot + HOT_BYTES, bytes)
  store<u64>(hot + HOT_PACKETS, received)
  store<u32>(hot + HOT_LAST_USED, now)
  const soft = bytes >= load<u64>(hot + HOT_SOFT_BYTES) || received >= load<u64>(hot + HOT_SOFT_PACKETS)
  if (soft) raiseOnce(load<u32>(at + W_SA), hot, HOT_FLAG_SOFT_RAISED, EVENT_SA_SOFT)
}

/**
 * The newest authentic packet came from another address than the tunnel sends to: control decides whether the peer
 * has moved behind its NAT (RFC 7296 §2.23). At most once a second a tunnel.
 */
function moved(at: usize, hot: usize, tunnel: u32): void {
  const descriptor = load<u32>(at + W_DESCRIPTOR)
  const source = load<u32>(descriptor + IN_SOURCE)
  if (source === 0 || load<u8>(descriptor + IN_ENCAPSULATION) !== IN_UDP) return
  if (load<u32>(hot + HOT_ICV_BYTES) === 0) return // nothing proves who sent it
  if (load<u64>(at + W_SEQUENCE) !== load<u64>(hot + HOT_SEQUENCE)) return
  const record = tunnelRecord(tunnel)
  if (sameEndpoint(source, record + TUNNEL_PEER)) return
  const last = load<u32>(record + TUNNEL_LAST_PEER_EVENT)
  if (last !== 0 && now - last < EVENT_INTERVAL) return
  store<u32>(record + TUNNEL_LAST_PEER_EVENT, now | 1)
  const event = openEvent(EVENT_PEER_ADDR_CHANGED, tunnel, 0, 0)
  if (event === 0) return
  memory.copy(event + EVENT_SOCKADDR, source, SOCKADDR_BYTES)
  publishEvent()
}

function sameEndpoint(left: usize, right: usize): bool {
  const leftFamily = load<u16>(left + SOCKADDR_FAMILY)
  if (leftFamily !== load<u16>(right + SOCKADDR_FAMILY)) return false
  if (load<u16>(left + SOCKADDR_PORT) !== load<u16>(right + SOCKADDR_PORT)) return false
  if (leftFamily !== FAMILY_INET6) return load<u32>(left + SOCKADDR_IPV4) === load<u32>(right + SOCKADDR_IPV4)
  const a = left + SOCKADDR_IPV6
  const b = right + SOCKADDR_IPV6
  return load<u64>(a) === load<u64>(b) && load<u64>(a + 8) === load<u64>(b + 8)
}
