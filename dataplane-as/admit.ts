// What a received message is, and whose: everything that is decided before any cryptography.
//
//   outer   read and stepped over; AH keeps it, for its ICV covers it           outer.ts, ah-in.ts
//   NAT-T   a keepalive ends here, IKE (4 zero bytes) goes to control (RFC 3948 §2)
//   SPI     unknown: drop; another ASP's: handed over whole
//   SA      protocol and encapsulation as agreed, alive, length possible, number not seen (RFC 4303 §3.4)

import {
  AC_KEEPALIVES,
  ASP_SPI_RAISED,
  ASP_SPI_WINDOW,
  DROP_BAD_LENGTH,
  DROP_CONTROL_INBOX_FULL,
  DROP_DATAGRAM_SHORT,
  DROP_INBOX_FULL,
  DROP_NONE,
  DROP_OUTER_MALFORMED,
  DROP_REPLAY,
  DROP_SA_EXPIRED,
  DROP_SA_MISMATCH,
  DROP_UNKNOWN_SPI,
  ENCAPSULATION_RAW,
  ENCAPSULATION_UDP,
  EVENT_SOCKADDR,
  EVENT_UNKNOWN_SPI,
  HOT_BLOCK_BYTES,
  HOT_BYTES,
  HOT_DEADLINE,
  HOT_FLAG_BUNDLED,
  HOT_FLAGS,
  HOT_HARD_BYTES,
  HOT_HARD_PACKETS,
  HOT_ICV_BYTES,
  HOT_IV_BYTES,
  HOT_PACKETS,
  HOT_PROTOCOL,
  HOT_TUNNEL,
  IN_ENCAPSULATION,
  IN_FLAG_HANDED_OVER,
  IN_FLAGS,
  IN_PROTOCOL,
  IN_SOURCE,
  IN_UDP,
  PROTOCOL_AH,
  PROTOCOL_ESP,
  SA_ASP,
  SA_EXPIRED,
  SA_STATE,
  SA_VALID,
  SOCKADDR_BYTES,
  STAGE_IPPA,
  TUNNEL_ENCAPSULATION,
  TUNNEL_FLAG_ANY_ENCAPSULATION,
  TUNNEL_FLAGS,
  TUNNEL_FREE,
  TUNNEL_STATE,
} from './abi.ts'
import { ahOffset, ahPayload, NO_AH, prepareAh } from './ah-in.ts'
import { add, NO_TUNNEL } from './counters.ts'
import { handOverIke, handOverIn } from './inbox.ts'
import { asps, atomicLoad, block, clock, cold, hotIn, now, self, tunnelRecord } from './machine.ts'
import { checkReplay, fullSequence } from './replay.ts'
import { openEvent, publishEvent } from './ring.ts'
import { expireSa } from './sa.ts'
import { findSpi, NOT_FOUND } from './spi-index.ts'
import {
  STATE_ESP,
  W_ADDRESS,
  W_AH_HOT,
  W_AH_OUTER,
  W_CIPHERTEXT,
  W_CIPHERTEXT_LENGTH,
  W_DESCRIPTOR,
  W_HOT,
  W_LENGTH,
  W_SA,
  W_SEQUENCE,
  W_STAGES,
  W_STATE,
  W_TUNNEL,
} from './work.ts'

/** the datagram was for somebody else, or a keepalive: nothing left to do, nothing dropped */
export const TAKEN: u32 = 0xff

const ESP_HEADER: u32 = 8
const AH_HEADER: u32 = 12
const KEEPALIVE: u32 = 0xff
const SMALLEST_SPI: u32 = 256
const EVENT_INTERVAL: u32 = 1000 // ms

/** Judges one datagram and fills its entry. Returns DROP_NONE, a drop number, or TAKEN. */
export function admit(descriptor: usize, address: usize, bytes: u32, entry: usize): u32 {
  store<u32>(entry + W_TUNNEL, NO_TUNNEL)
  store<u32>(entry + W_STAGES, STAGE_IPPA)
  store<u32>(entry + W_ADDRESS, <u32>address)
  store<u32>(entry + W_LENGTH, bytes)
  store<u32>(entry + W_DESCRIPTOR, <u32>descriptor)
  store<u32>(entry + W_AH_HOT, 0)
  if (load<u8>(descriptor + IN_ENCAPSULATION) === IN_UDP) {
    if (bytes === 1 && load<u8>(address) === KEEPALIVE) {
      add(block + AC_KEEPALIVES, 1)
      return TAKEN
    }
    if (bytes < ESP_HEADER) return DROP_DATAGRAM_SHORT
    if (load<u32>(address) === 0) {
      return handOverIke(descriptor, address + 4, bytes - 4) ? TAKEN : DROP_CONTROL_INBOX_FULL
    }
    return bySpi(descriptor, entry, PROTOCOL_ESP, 0)
  }
  if (load<u8>(descriptor + IN_PROTOCOL) !== PROTOCOL_AH) {
    return bytes < ESP_HEADER ? DROP_DATAGRAM_SHORT : bySpi(descriptor, entry, PROTOCOL_ESP, 0)
  }
  const offset = ahOffset(descriptor, address, bytes)
  if (offset === NO_AH) return DROP_OUTER_MALFORMED
  store<u32>(entry + W_AH_OUTER, offset)
  return bytes < offset + AH_HEADER ? DROP_DATAGRAM_SHORT : bySpi(descriptor, entry, PROTOCOL_AH, offset + 4)
}

function bySpi(descriptor: usize, entry: usize, protocol: u32, offset: u32): u32 {
  const spi = bswap<u32>(load<u32>(load<u32>(entry + W_ADDRESS) + offset))
  const sa = spi < SMALLEST_SPI ? NOT_FOUND : findSpi(spi, protocol)
  if (sa === NOT_FOUND) {
    if (spi >= SMALLEST_SPI) raiseUnknown(spi, load<u32>(descriptor + IN_SOURCE))
    return DROP_UNKNOWN_SPI
  }
  const asp = load<u32>(cold(sa) + SA_ASP)
  if (asp !== self) return toItsAsp(descriptor, entry, asp)
  const state = atomicLoad(cold(sa) + SA_STATE)
  if (state !== SA_VALID && state !== SA_EXPIRED) return DROP_UNKNOWN_SPI
  store<u32>(entry + W_SA, sa)
  store<u32>(entry + W_HOT, <u32>hotIn(sa))
  store<u32>(entry + W_TUNNEL, load<u32>(hotIn(sa) + HOT_TUNNEL))
  if (state === SA_EXPIRED) return DROP_SA_EXPIRED
  return withSa(descriptor, entry)
}

/** One journey only, as on the way out. */
function toItsAsp(descriptor: usize, entry: usize, asp: u32): u32 {
  if (asp === 0 || asp > asps || (load<u8>(descriptor + IN_FLAGS) & IN_FLAG_HANDED_OVER) !== 0)
    return DROP_UNKNOWN_SPI
  return handOverIn(asp, descriptor, load<u32>(entry + W_ADDRESS), load<u32>(entry + W_LENGTH))
    ? TAKEN
    : DROP_INBOX_FULL
}

function withSa(descriptor: usize, entry: usize): u32 {
  const hot = load<u32>(entry + W_HOT)
  const bytes = load<u32>(entry + W_LENGTH)
  if (!encapsulationFits(load<u32>(entry + W_TUNNEL), load<u8>(descriptor + IN_ENCAPSULATION)))
    return DROP_SA_MISMATCH
  if (load<u32>(hot + HOT_PROTOCOL) === PROTOCOL_AH) return admitAh(descriptor, entry)
  if ((load<u32>(hot + HOT_FLAGS) & HOT_FLAG_BUNDLED) !== 0) return DROP_SA_MISMATCH
  return admitEsp(entry, load<u32>(entry + W_ADDRESS), bytes)
}

/** ESP of `bytes` bytes at `address` under the entry's SA, on its own or inside AH. */
export function admitEsp(entry: usize, address: usize, bytes: u32): u32 {
  const hot = load<u32>(entry + W_HOT)
  const around = ESP_HEADER + load<u32>(hot + HOT_IV_BYTES) + load<u32>(hot + HOT_ICV_BYTES)
  const unit = load<u32>(hot + HOT_BLOCK_BYTES)
  if (bytes < around + unit || ((bytes - around) & (unit - 1)) !== 0) return DROP_BAD_LENGTH
  const drop = admitNumber(entry, bswap<u32>(load<u32>(address + 4)))
  if (drop !== DROP_NONE) return drop
  store<u32>(entry + W_STATE, STATE_ESP)
  store<u32>(entry + W_ADDRESS, <u32>address)
  store<u32>(entry + W_LENGTH, bytes)
  store<u32>(entry + W_CIPHERTEXT, <u32>address + ESP_HEADER + load<u32>(hot + HOT_IV_BYTES))
  store<u32>(entry + W_CIPHERTEXT_LENGTH, bytes - around)
  return DROP_NONE
}

function admitAh(descriptor: usize, entry: usize): u32 {
  const hot = load<u32>(entry + W_HOT)
  const offset = load<u32>(entry + W_AH_OUTER)
  const header: usize = load<u32>(entry + W_ADDRESS) + offset
  const payload = ahPayload(
    descriptor,
    header,
    load<u32>(entry + W_LENGTH) - offset,
    load<u32>(hot + HOT_ICV_BYTES),
  )
  if (payload === 0) return DROP_BAD_LENGTH
  const drop = admitNumber(entry, bswap<u32>(load<u32>(header + 8)))
  if (drop !== DROP_NONE) return drop
  return prepareAh(descriptor, entry, offset, payload) ? DROP_NONE : DROP_OUTER_MALFORMED
}

/** Alive, and a number that was not seen. */
function admitNumber(entry: usize, low: u32): u32 {
  const hot = load<u32>(entry + W_HOT)
  if (spent(hot)) {
    expireSa(load<u32>(entry + W_SA), hot)
    return DROP_SA_EXPIRED
  }
  const sequence = fullSequence(hot, low)
  if (!checkReplay(hot, sequence)) return DROP_REPLAY
  store<u64>(entry + W_SEQUENCE, sequence)
  return DROP_NONE
}

function encapsulationFits(tunnel: u32, received: u32): bool {
  const record = tunnelRecord(tunnel)
  if (load<u32>(record + TUNNEL_STATE) === TUNNEL_FREE) return false
  if ((load<u32>(record + TUNNEL_FLAGS) & TUNNEL_FLAG_ANY_ENCAPSULATION) !== 0) return true
  return (
    load<u32>(record + TUNNEL_ENCAPSULATION) === (received === IN_UDP ? ENCAPSULATION_UDP : ENCAPSULATION_RAW)
  )
}

function spent(hot: usize): bool {
  return (
    clock >= load<u64>(hot + HOT_DEADLINE) ||
    load<u64>(hot + HOT_BYTES) >= load<u64>(hot + HOT_HARD_BYTES) ||
    load<u64>(hot + HOT_PACKETS) >= load<u64>(hot + HOT_HARD_PACKETS)
  )
}

/** UNKNOWN_SPI at most once a second an ASP. */
function raiseUnknown(spi: u32, source: usize): void {
  const raised = load<u32>(block + ASP_SPI_RAISED)
  if (raised !== 0 && now - load<u32>(block + ASP_SPI_WINDOW) < EVENT_INTERVAL) return
  store<u32>(block + ASP_SPI_RAISED, 1)
  store<u32>(block + ASP_SPI_WINDOW, now)
  const event = openEvent(EVENT_UNKNOWN_SPI, 0, spi, 0)
  if (event === 0) return
  if (source !== 0) memory.copy(event + EVENT_SOCKADDR, source, SOCKADDR_BYTES)
  publishEvent()
}
