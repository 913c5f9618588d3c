// What a received message is, and whose: everything that is decided before any cryptography.
//
//   outer   raw IPv4: the outer header is read and stepped over
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
  HOT_HARD_BYTES,
  HOT_HARD_PACKETS,
  HOT_ICV_BYTES,
  HOT_IV_BYTES,
  HOT_PACKETS,
  HOT_TUNNEL,
  IN_ADDRESS,
  IN_ENCAPSULATION,
  IN_FLAG_HANDED_OVER,
  IN_FLAGS,
  IN_LENGTH,
  IN_PROTOCOL,
  IN_RAW,
  IN_RAW_IPV4,
  IN_SOURCE,
  IN_TOS,
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
import { add, NO_TUNNEL } from './counters.ts'
import { handOverIke, handOverIn } from './inbox.ts'
import { asps, atomicLoad, block, clock, cold, hotIn, now, self, tunnelRecord } from './machine.ts'
import { checkReplay, fullSequence } from './replay.ts'
import { openEvent, publishEvent } from './ring.ts'
import { expireSa } from './sa.ts'
import { findSpi, NOT_FOUND } from './spi-index.ts'
import { load16 } from './wire/inner.ts'
import {
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

/** the datagram was for somebody else, or a keepalive: nothing left to do, nothing dropped */
export const TAKEN: u32 = 0xff

const ESP_HEADER: u32 = 8
const AH_HEADER: u32 = 12
const KEEPALIVE: u32 = 0xff
const SMALLEST_SPI: u32 = 256
const EVENT_INTERVAL: u32 = 1000 // ms

/**
 * Steps over the outer IPv4 header of a raw socket: afterwards the descriptor is one of kind IN_RAW with TOS and
 * protocol filled in. False: not an IPv4 packet that carries ESP or AH whole.
 */
export function stripOuter(descriptor: usize): bool {
  if (load<u8>(descriptor + IN_ENCAPSULATION) !== IN_RAW_IPV4) return true
  const header = load<u32>(descriptor + IN_ADDRESS)
  const bytes = load<u32>(descriptor + IN_LENGTH)
  if (bytes < 20 || load<u8>(header) >> 4 !== 4) return false
  const headerBytes = (<u32>load<u8>(header) & 15) << 2
  const total = load16(header + 2)
  const protocol = load<u8>(header + 9)
  if (headerBytes < 20 || total < headerBytes || total > bytes) return false
  if ((load16(header + 6) & 0x3fff) !== 0) return false // the kernel reassembles; a fragment is no packet
  if (protocol !== PROTOCOL_ESP && protocol !== PROTOCOL_AH) return false
  store<u32>(descriptor + IN_ADDRESS, header + headerBytes)
  store<u32>(descriptor + IN_LENGTH, total - headerBytes)
  store<u8>(descriptor + IN_ENCAPSULATION, IN_RAW)
  store<u8>(descriptor + IN_PROTOCOL, protocol)
  store<u8>(descriptor + IN_TOS, load<u8>(header + 1))
  return true
}

/** Judges one datagram and fills its entry. Returns DROP_NONE, a drop number, or TAKEN. */
export function admit(descriptor: usize, address: usize, bytes: u32, entry: usize): u32 {
  store<u32>(entry + W_TUNNEL, NO_TUNNEL)
  store<u32>(entry + W_STAGES, STAGE_IPPA)
  store<u32>(entry + W_ADDRESS, <u32>address)
  store<u32>(entry + W_LENGTH, bytes)
  store<u32>(entry + W_DESCRIPTOR, <u32>descriptor)
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
  const ah = load<u8>(descriptor + IN_PROTOCOL) === PROTOCOL_AH
  const least = ah ? AH_HEADER : ESP_HEADER
  if (bytes < least) return DROP_DATAGRAM_SHORT
  return bySpi(descriptor, entry, ah ? PROTOCOL_AH : PROTOCOL_ESP, ah ? 4 : 0)
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
  const around = ESP_HEADER + load<u32>(hot + HOT_IV_BYTES) + load<u32>(hot + HOT_ICV_BYTES)
  const unit = load<u32>(hot + HOT_BLOCK_BYTES)
  if (bytes < around + unit || ((bytes - around) & (unit - 1)) !== 0) return DROP_BAD_LENGTH
  if (spent(hot)) {
    expireSa(load<u32>(entry + W_SA), hot)
    return DROP_SA_EXPIRED
  }
  const address = load<u32>(entry + W_ADDRESS)
  const sequence = fullSequence(hot, bswap<u32>(load<u32>(address + 4)))
  if (!checkReplay(hot, sequence)) return DROP_REPLAY
  store<u64>(entry + W_SEQUENCE, sequence)
  store<u32>(entry + W_CIPHERTEXT, address + ESP_HEADER + load<u32>(hot + HOT_IV_BYTES))
  store<u32>(entry + W_CIPHERTEXT_LENGTH, bytes - around)
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
