// Packets in, a burst at a time, in place (RFC 4303 §3.4, RFC 4302 §3.4):
//
//   1 admit each datagram: outer header, SPI, SA, length, replay pre-check    outer.ts, admit.ts, ah-in.ts
//   2 compute all ICVs in SIMD lanes, compare each over all its bytes
//   3 move the replay window, only now; ESP inside AH goes through 1 to 3 again
//   4 decrypt all
//   5 padding, next header, inner header, selectors, ECN; deliver             examine.ts
//
// Every authentic packet with a wrong inside ends in the one counter bad-content, whatever is wrong (no oracle).

import {
  AC_IN_PACKETS,
  ASP_CONSUMED,
  ASP_IN_DESCRIPTORS,
  DROP_BAD_ICV,
  DROP_DATAGRAM_SHORT,
  DROP_DESCRIPTOR,
  DROP_NONE,
  DROP_REPLAY,
  DROP_SA_MISMATCH,
  HEADER_ASP_BLOCKS,
  HOT_CIPHER,
  HOT_FLAG_ESN,
  HOT_FLAGS,
  HOT_ICV_BYTES,
  HOT_SPI,
  IN_ADDRESS,
  IN_BYTES,
  IN_ENCAPSULATION,
  IN_FLAG_HANDED_OVER,
  IN_FLAGS,
  IN_HEADROOM,
  IN_LENGTH,
  IN_LOCAL,
  IN_RAW_IPV6,
  IN_SEGMENT,
  IN_SOURCE,
  IN_UDP,
  MAX_BURST,
  MAX_DELIVER,
  MAX_PIECES,
  PROTOCOL_ESP,
  SOCKADDR_BYTES,
  STAGE_ASE,
} from './abi.ts'
import { admit, admitEsp, TAKEN } from './admit.ts'
import { ahAreaHolds, beginAhArea } from './ah-in.ts'
import { inPacketRegion } from './classify.ts'
import { add, countDrop, NO_TUNNEL } from './counters.ts'
import { beginDelivery, delivered } from './deliver.ts'
import { examine } from './examine.ts'
import { block, header, hotIn, memoryEnd } from './machine.ts'
import { readOuter } from './outer.ts'
import { updateReplay } from './replay.ts'
import { BROKEN, bundledSa } from './sa.ts'
import { isAead } from './suites.ts'
import { endIn } from './trace.ts'
import {
  addAeadJob,
  addCipherJob,
  addHashJob,
  aeadAll,
  aeadHolds,
  BATCH,
  beginJobs,
  cipherAll,
  entry,
  hashAll,
  icvSlot,
  receivedSlot,
  STATE_AH,
  STATE_DROPPED,
  STATE_ESP_IN_AH,
  W_ADDRESS,
  W_AH_BYTES,
  W_AH_HOT,
  W_AH_SA,
  W_CIPHERTEXT,
  W_CIPHERTEXT_LENGTH,
  W_HOT,
  W_INDEX,
  W_JOB,
  W_LENGTH,
  W_NEXT_HEADER,
  W_SA,
  W_SEQUENCE,
  W_STAGES,
  W_STATE,
  W_TUNNEL,
} from './work.ts'

let batch: u32 = 0 // entries waiting for the kernels

/** Opens descriptors 0..count-1; returns deliver descriptors made. See the exports for the contract. */
export function openBurst(count: u32): u32 {
  const given = min<u32>(count, MAX_BURST)
  batch = 0
  beginJobs()
  beginAhArea()
  beginDelivery()
  let consumed: u32 = 0
  for (; consumed < given; consumed++) {
    const descriptor = block + ASP_IN_DESCRIPTORS + consumed * IN_BYTES
    const drop = checkDescriptor(descriptor)
    if (drop !== DROP_NONE) countDrop(drop, NO_TUNNEL)
    else {
      if (delivered() + batch + pieces(descriptor) > <u32>MAX_DELIVER || !ahAreaHolds(descriptor)) break
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
  if (encapsulation < <u8>IN_UDP || encapsulation > <u8>IN_RAW_IPV6) return DROP_DESCRIPTOR
  if ((load<u8>(descriptor + IN_FLAGS) & ~IN_FLAG_HANDED_OVER) !== 0) return DROP_DESCRIPTOR
  if (segment !== 0 && (encapsulation !== IN_UDP || pieces(descriptor) > <u32>MAX_PIECES))
    return DROP_DESCRIPTOR
  if (!besideKeys(load<u32>(descriptor + IN_SOURCE), SOCKADDR_BYTES)) return DROP_DESCRIPTOR
  if (!besideKeys(load<u32>(descriptor + IN_LOCAL), 16)) return DROP_DESCRIPTOR
  return readOuter(descriptor)
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
  store<u32>(at + W_INDEX, batch)
  const drop = admit(descriptor, address, bytes, at)
  if (drop === TAKEN) return
  if (drop !== DROP_NONE) {
    end(at, bytes, drop)
    return
  }
  store<u32>(at + W_STAGES, load<u32>(at + W_STAGES) | STAGE_ASE)
  addIcvJob(at)
  batch++
}

/** The ICV of an admitted entry: an AEAD makes its own, AH covers all from the outer header on, ESP all but the ICV itself. */
function addIcvJob(at: usize): void {
  const hot = load<u32>(at + W_HOT)
  const esn = (load<u32>(hot + HOT_FLAGS) & HOT_FLAG_ESN) !== 0
  const ah = load<u32>(at + W_STATE) === STATE_AH
  if (isAead(load<u32>(hot + HOT_CIPHER))) {
    const bytes = load<u32>(at + W_CIPHERTEXT_LENGTH)
    store<u32>(
      at + W_JOB,
      <u32>addAeadJob(hot, load<u32>(at + W_ADDRESS), bytes, esn, load<u64>(at + W_SEQUENCE)),
    )
    return
  }
  const covered = ah ? load<u32>(at + W_AH_BYTES) : load<u32>(at + W_LENGTH) - load<u32>(hot + HOT_ICV_BYTES)
  const slot = icvSlot(load<u32>(at + W_INDEX))
  addHashJob(hot, load<u32>(at + W_ADDRESS), covered, slot, esn, load<u64>(at + W_SEQUENCE))
}

function end(at: usize, bytes: u32, drop: u32): void {
  endIn(load<u32>(at + W_TUNNEL), load<u32>(at + W_STAGES), bytes, drop)
}

// ---- 2 to 5

function runBatch(): void {
  verifyAll()
  let inside = false
  for (let i: u32 = 0; i < batch; i++) if (authenticate(entry(i))) inside = true
  if (inside) {
    verifyAll()
    for (let i: u32 = 0; i < batch; i++)
      if (load<u32>(entry(i) + W_STATE) === STATE_ESP_IN_AH) authenticate(entry(i))
  }
  cipherAll(false)
  for (let i: u32 = 0; i < batch; i++) if (load<u32>(entry(i) + W_STATE) !== STATE_DROPPED) examine(entry(i))
  batch = 0
}

/** AEADs decrypt what is authentic in the same run. */
function verifyAll(): void {
  hashAll()
  aeadAll(false)
}

/** ICV and replay window. True: it was AH, and the ESP packet inside has its ICV job now. */
function authenticate(at: usize): bool {
  const hot = load<u32>(at + W_HOT)
  const ah = load<u32>(at + W_STATE) === STATE_AH
  const aead = isAead(load<u32>(hot + HOT_CIPHER))
  let drop: u32 = DROP_NONE
  if (!icvHolds(at, hot, ah, aead)) drop = DROP_BAD_ICV
  else if (!updateReplay(hot, load<u64>(at + W_SEQUENCE))) drop = DROP_REPLAY
  else if (ah) drop = enterAh(at, hot)
  else if (!aead) addCipherJob(hot, load<u32>(at + W_CIPHERTEXT), load<u32>(at + W_CIPHERTEXT_LENGTH))
  if (drop === DROP_NONE) return load<u32>(at + W_STATE) === STATE_ESP_IN_AH && ah
  store<u32>(at + W_STATE, STATE_DROPPED)
  end(at, load<u32>(at + W_LENGTH), drop)
  return false
}

/** AH keeps the received ICV beside the packet, ESP at its end. */
function icvHolds(at: usize, hot: usize, ah: bool, aead: bool): bool {
  if (aead) return aeadHolds(load<u32>(at + W_JOB))
  const icvBytes = load<u32>(hot + HOT_ICV_BYTES)
  const index = load<u32>(at + W_INDEX)
  const end: usize = load<u32>(at + W_ADDRESS) + load<u32>(at + W_LENGTH)
  return sameIcv(ah ? receivedSlot(index) : end - icvBytes, icvSlot(index), icvBytes)
}

/** -- AH authentic -> its inner packet, or the ESP packet of its bundle and nothing else */
function enterAh(at: usize, hot: usize): u32 {
  const inside = bundledSa(hot)
  const esp = load<u32>(at + W_NEXT_HEADER) === PROTOCOL_ESP
  if (inside === BROKEN || esp !== (inside !== 0)) return DROP_SA_MISMATCH
  if (!esp) return DROP_NONE
  const packet: usize = load<u32>(at + W_CIPHERTEXT)
  const bytes = load<u32>(at + W_CIPHERTEXT_LENGTH)
  const espHot = hotIn(inside - 1)
  if (bytes < 8) return DROP_DATAGRAM_SHORT
  if (load<u32>(packet) !== load<u32>(espHot + HOT_SPI)) return DROP_SA_MISMATCH
  store<u32>(at + W_AH_HOT, <u32>hot)
  store<u32>(at + W_AH_SA, load<u32>(at + W_SA))
  store<u32>(at + W_HOT, <u32>espHot)
  store<u32>(at + W_SA, inside - 1)
  const drop = admitEsp(at, packet, bytes)
  if (drop !== DROP_NONE) return drop
  store<u32>(at + W_STATE, STATE_ESP_IN_AH)
  addIcvJob(at)
  return DROP_NONE
}

/** All bytes, whatever the first ones say. The length is a multiple of 4. */
function sameIcv(received: usize, computed: usize, bytes: u32): bool {
  let difference: u32 = 0
  for (let i: u32 = 0; i < bytes; i += 4) difference |= load<u32>(received + i) ^ load<u32>(computed + i)
  return difference === 0
}
