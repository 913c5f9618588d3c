// Packets at the wrong ASP, and IKE: copied whole into the byte ring of whoever must have them.
//
// One ring per (giver, taker), so each has one writer and one reader. A full ring is a counted drop at the giver.
// The taker works on the packets where they lie and frees the space with inboxDone(). The ring that an ASP would have
// to itself is control's: what came to its socket and is no IKE. Such a packet may still travel on to its ASP.

import {
  AC_HANDED_OVER,
  AC_IKE,
  ASP_IN_DESCRIPTORS,
  ASP_INBOX_IN,
  ASP_INBOX_OUT,
  ASP_INBOX_PENDING,
  ASP_OUT_DESCRIPTORS,
  ASP_WAKE,
  EVENT_FAULT,
  FAMILY_INET6,
  FAULT_RING,
  HEADER_CONTROL_INBOX_OFFSET,
  HEADER_INBOX_OFFSET,
  IN_ADDRESS,
  IN_BYTES,
  IN_ENCAPSULATION,
  IN_FLAG_HANDED_OVER,
  IN_FLAGS,
  IN_LENGTH,
  IN_LOCAL,
  IN_LOCAL_PORT,
  IN_PROTOCOL,
  IN_SEGMENT,
  IN_SOURCE,
  IN_TOS,
  INBOX_DATA,
  INBOX_DATA_BYTES,
  INBOX_HEAD,
  INBOX_IKE,
  INBOX_IN,
  INBOX_OUT,
  INBOX_RECORD_BYTES,
  INBOX_RECORD_DEVICE,
  INBOX_RECORD_ENCAPSULATION,
  INBOX_RECORD_HAS_LOCAL,
  INBOX_RECORD_KIND,
  INBOX_RECORD_LENGTH,
  INBOX_RECORD_LOCAL,
  INBOX_RECORD_LOCAL_PORT,
  INBOX_RECORD_PROTOCOL,
  INBOX_RECORD_SOURCE,
  INBOX_RECORD_TOS,
  INBOX_RECORD_TOTAL,
  INBOX_RING_BYTES,
  INBOX_SKIP,
  INBOX_TAIL,
  MAX_BURST,
  OUT_ADDRESS,
  OUT_BYTES,
  OUT_DEVICE,
  OUT_FLAG_HANDED_OVER,
  OUT_FLAGS,
  OUT_LENGTH,
  SOCKADDR_BYTES,
  SOCKADDR_FAMILY,
} from './abi.ts'
import { add } from './counters.ts'
import {
  aspPackets,
  asps,
  atomicLoad,
  atomicOr,
  atomicStore,
  block,
  header,
  packets,
  self,
} from './machine.ts'
import { raise } from './ring.ts'

/** Hands a packet in clear to the ASP of its tunnel. False: its inbox is full. */
export function handOverOut(asp: u32, address: usize, length: u32, device: u32): bool {
  const ring = inboxOf(asp)
  const record = open(ring, length)
  if (record === 0) return false
  store<u32>(record + INBOX_RECORD_KIND, INBOX_OUT)
  store<u32>(record + INBOX_RECORD_DEVICE, device)
  memory.copy(record + INBOX_RECORD_BYTES, address, length)
  close(ring, record)
  add(block + AC_HANDED_OVER, 1)
  atomicOr(block + ASP_WAKE, 1 << asp)
  return true
}

/** Hands one received datagram, with what `descriptor` says of it, to the ASP of its SA. False: full. */
export function handOverIn(asp: u32, descriptor: usize, address: usize, length: u32): bool {
  if (!putReceived(inboxOf(asp), INBOX_IN, descriptor, address, length)) return false
  add(block + AC_HANDED_OVER, 1)
  atomicOr(block + ASP_WAKE, 1 << asp)
  return true
}

/** Hands an IKE message (its non-ESP marker removed) to control. False: full. */
export function handOverIke(descriptor: usize, address: usize, length: u32): bool {
  const ring = packets + header(HEADER_CONTROL_INBOX_OFFSET)
  if (!putReceived(ring, INBOX_IKE, descriptor, address, length)) return false
  add(block + AC_IKE, 1)
  atomicOr(block + ASP_WAKE, 1)
  return true
}

function inboxOf(asp: u32): usize {
  return aspPackets(asp) + header(HEADER_INBOX_OFFSET) + (self - 1) * INBOX_RING_BYTES
}

function putReceived(ring: usize, kind: u32, descriptor: usize, address: usize, length: u32): bool {
  const record = open(ring, length)
  if (record === 0) return false
  store<u32>(record + INBOX_RECORD_KIND, kind)
  store<u16>(record + INBOX_RECORD_LOCAL_PORT, load<u16>(descriptor + IN_LOCAL_PORT))
  store<u8>(record + INBOX_RECORD_ENCAPSULATION, load<u8>(descriptor + IN_ENCAPSULATION))
  store<u8>(record + INBOX_RECORD_TOS, load<u8>(descriptor + IN_TOS))
  store<u8>(record + INBOX_RECORD_PROTOCOL, load<u8>(descriptor + IN_PROTOCOL))
  const source = load<u32>(descriptor + IN_SOURCE)
  if (source !== 0) memory.copy(record + INBOX_RECORD_SOURCE, source, SOCKADDR_BYTES)
  const local = load<u32>(descriptor + IN_LOCAL)
  if (local !== 0 && source !== 0) {
    store<u32>(record + INBOX_RECORD_HAS_LOCAL, 1)
    const bytes = load<u16>(source + SOCKADDR_FAMILY) === FAMILY_INET6 ? 16 : 4
    memory.copy(record + INBOX_RECORD_LOCAL, local, bytes)
  }
  memory.copy(record + INBOX_RECORD_BYTES, address, length)
  close(ring, record)
  return true
}

/** Space for a record, its header zeroed; 0 when the ring is full. Fills the end with a skip where it must. */
function open(ring: usize, length: u32): usize {
  const total = (INBOX_RECORD_BYTES + length + 63) & ~63
  let head = load<u32>(ring + INBOX_HEAD)
  const used = head - atomicLoad(ring + INBOX_TAIL)
  const offset = head & (INBOX_DATA_BYTES - 1)
  const toEnd = INBOX_DATA_BYTES - offset
  const skip = total > toEnd ? toEnd : 0
  if (used > <u32>INBOX_DATA_BYTES || total + skip > INBOX_DATA_BYTES - used) return 0
  if (skip !== 0) {
    const filler = ring + INBOX_DATA + offset
    store<u32>(filler + INBOX_RECORD_TOTAL, skip)
    store<u32>(filler + INBOX_RECORD_KIND, INBOX_SKIP)
    head += skip
    atomicStore(ring + INBOX_HEAD, head)
  }
  const record = ring + INBOX_DATA + (head & (INBOX_DATA_BYTES - 1))
  memory.fill(record, 0, INBOX_RECORD_BYTES)
  store<u32>(record + INBOX_RECORD_TOTAL, total)
  store<u32>(record + INBOX_RECORD_LENGTH, length)
  return record
}

function close(ring: usize, record: usize): void {
  atomicStore(ring + INBOX_HEAD, load<u32>(ring + INBOX_HEAD) + load<u32>(record + INBOX_RECORD_TOTAL))
}

/** Fills descriptors with what the other ASPs and control handed over. Returns how many, both directions together. */
export function takeInbox(): u32 {
  store<u32>(block + ASP_INBOX_OUT, 0)
  store<u32>(block + ASP_INBOX_IN, 0)
  for (let from: u32 = 1; from <= asps; from++) takeRing(from)
  return load<u32>(block + ASP_INBOX_OUT) + load<u32>(block + ASP_INBOX_IN)
}

/** Frees what takeInbox() handed out, be it to an instance that trapped over it. */
export function releaseInbox(): void {
  for (let from: u32 = 1; from <= asps; from++)
    atomicStore(ownRing(from) + INBOX_TAIL, load<u32>(pending(from)))
}

function ownRing(from: u32): usize {
  return packets + header(HEADER_INBOX_OFFSET) + (from - 1) * INBOX_RING_BYTES
}

function pending(from: u32): usize {
  return block + ASP_INBOX_PENDING + ((from - 1) << 2)
}

function takeRing(from: u32): void {
  const ring = ownRing(from)
  const head = atomicLoad(ring + INBOX_HEAD)
  let tail = load<u32>(ring + INBOX_TAIL)
  while (head !== tail && roomForMore()) {
    const offset = tail & (INBOX_DATA_BYTES - 1)
    const record = ring + INBOX_DATA + offset
    const total = load<u32>(record + INBOX_RECORD_TOTAL)
    if (!recordFits(record, total, head - tail, offset)) {
      raise(EVENT_FAULT, 0, FAULT_RING, from)
      tail = head
      break
    }
    const kind = load<u32>(record + INBOX_RECORD_KIND)
    if (kind === INBOX_OUT) describeOut(record)
    else if (kind === INBOX_IN) describeIn(record, from)
    tail += total
  }
  store<u32>(pending(from), tail)
}

function roomForMore(): bool {
  return load<u32>(block + ASP_INBOX_OUT) < <u32>MAX_BURST && load<u32>(block + ASP_INBOX_IN) < <u32>MAX_BURST
}

function recordFits(record: usize, total: u32, used: u32, offset: u32): bool {
  if (total < 64 || (total & 63) !== 0 || total > used || total > <u32>INBOX_DATA_BYTES - offset) return false
  if (load<u32>(record + INBOX_RECORD_KIND) === INBOX_SKIP) return true
  return (
    total >= <u32>INBOX_RECORD_BYTES && load<u32>(record + INBOX_RECORD_LENGTH) <= total - INBOX_RECORD_BYTES
  )
}

function describeOut(record: usize): void {
  const index = load<u32>(block + ASP_INBOX_OUT)
  const descriptor = block + ASP_OUT_DESCRIPTORS + index * OUT_BYTES
  store<u32>(descriptor + OUT_ADDRESS, <u32>(record + INBOX_RECORD_BYTES))
  store<u32>(descriptor + OUT_LENGTH, load<u32>(record + INBOX_RECORD_LENGTH))
  store<u32>(descriptor + OUT_DEVICE, load<u32>(record + INBOX_RECORD_DEVICE))
  store<u32>(descriptor + OUT_FLAGS, OUT_FLAG_HANDED_OVER)
  store<u32>(block + ASP_INBOX_OUT, index + 1)
}

function describeIn(record: usize, from: u32): void {
  const index = load<u32>(block + ASP_INBOX_IN)
  const descriptor = block + ASP_IN_DESCRIPTORS + index * IN_BYTES
  const source = load<u16>(record + INBOX_RECORD_SOURCE + SOCKADDR_FAMILY) !== 0
  const local = load<u32>(record + INBOX_RECORD_HAS_LOCAL) !== 0
  store<u32>(descriptor + IN_ADDRESS, <u32>(record + INBOX_RECORD_BYTES))
  store<u32>(descriptor + IN_LENGTH, load<u32>(record + INBOX_RECORD_LENGTH))
  store<u32>(descriptor + IN_SEGMENT, 0)
  store<u32>(descriptor + IN_SOURCE, source ? <u32>(record + INBOX_RECORD_SOURCE) : 0)
  store<u32>(descriptor + IN_LOCAL, local ? <u32>(record + INBOX_RECORD_LOCAL) : 0)
  store<u16>(descriptor + IN_LOCAL_PORT, load<u16>(record + INBOX_RECORD_LOCAL_PORT))
  store<u8>(descriptor + IN_ENCAPSULATION, load<u8>(record + INBOX_RECORD_ENCAPSULATION))
  store<u8>(descriptor + IN_TOS, load<u8>(record + INBOX_RECORD_TOS))
  store<u8>(descriptor + IN_PROTOCOL, load<u8>(record + INBOX_RECORD_PROTOCOL))
  store<u8>(descriptor + IN_FLAGS, from === self ? 0 : IN_FLAG_HANDED_OVER)
  store<u32>(block + ASP_INBOX_IN, index + 1)
}
