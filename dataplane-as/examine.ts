// The inside of an authentic packet: what it holds, whether it may come out of its SA, and its delivery.
//
// Every authentic packet with a wrong inside ends in the one counter bad-content, whatever is wrong (no oracle).

import {
  DROP_BAD_CONTENT,
  DROP_DUMMY,
  DROP_ECN,
  DROP_INNER_ADDRESS,
  DROP_NONE,
  DROP_SELECTOR_IN,
  EVENT_PEER_ADDR_CHANGED,
  EVENT_SA_SOFT,
  EVENT_SOCKADDR,
  FAMILY_INET6,
  HOT_BYTES,
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
  IN_ENCAPSULATION,
  IN_SOURCE,
  IN_TOS,
  IN_UDP,
  SOCKADDR_BYTES,
  SOCKADDR_FAMILY,
  SOCKADDR_IPV4,
  SOCKADDR_IPV6,
  SOCKADDR_PORT,
  STAGE_EGRESS,
  TC_RX_BYTES,
  TC_RX_PACKETS,
  TUNNEL_LAST_PEER_EVENT,
  TUNNEL_PEER,
} from './abi.ts'
import { add } from './counters.ts'
import { deliver } from './deliver.ts'
import { counters, now, tunnelRecord } from './machine.ts'
import { clampMss, mssAt, mssLimit } from './mss.ts'
import { openEvent, publishEvent } from './ring.ts'
import { raiseOnce } from './sa.ts'
import { selectorsAllow } from './selectors.ts'
import { endIn } from './trace.ts'
import { family, forbiddenSource, length, parseInner, tos, upper } from './wire/inner.ts'
import { mergeEcn } from './wire/tos.ts'
import {
  STATE_AH,
  W_AH_HOT,
  W_AH_SA,
  W_CIPHERTEXT,
  W_CIPHERTEXT_LENGTH,
  W_DESCRIPTOR,
  W_HOT,
  W_LENGTH,
  W_NEXT_HEADER,
  W_SA,
  W_SEQUENCE,
  W_STAGES,
  W_STATE,
  W_TUNNEL,
} from './work.ts'

const IPV4_INSIDE: u32 = 4
const IPV6_INSIDE: u32 = 41
const NO_NEXT_HEADER: u32 = 59
const EVENT_INTERVAL: u32 = 1000 // ms

function end(at: usize, bytes: u32, drop: u32): void {
  endIn(load<u32>(at + W_TUNNEL), load<u32>(at + W_STAGES), bytes, drop)
}

/** -- authentic -> delivered, or dropped */
export function examine(at: usize): void {
  const hot = load<u32>(at + W_HOT)
  const tunnel = load<u32>(at + W_TUNNEL)
  const packet: usize = load<u32>(at + W_CIPHERTEXT)
  moved(at, hot, tunnel)
  let drop = content(at, packet, load<u32>(at + W_CIPHERTEXT_LENGTH), hot)
  const inner: u32 = drop === DROP_NONE ? length : 0
  account(load<u32>(at + W_SA), hot, inner)
  const ah = load<u32>(at + W_AH_HOT)
  if (ah !== 0) account(load<u32>(at + W_AH_SA), ah, inner)
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

/** What an authentic packet holds: the trailer of ESP, or what AH said, then the inner packet. */
function content(at: usize, packet: usize, bytes: u32, hot: usize): u32 {
  if (load<u32>(at + W_STATE) === STATE_AH)
    return innerHolds(packet, bytes, load<u32>(at + W_NEXT_HEADER), hot)
  const padding = <u32>load<u8>(packet + bytes - 2)
  if (padding + 2 > bytes) return DROP_BAD_CONTENT
  const inner = bytes - 2 - padding
  return paddingHolds(packet + inner, padding)
    ? innerHolds(packet, inner, <u32>load<u8>(packet + bytes - 1), hot)
    : DROP_BAD_CONTENT
}

/** Padding 1, 2, 3 .. (RFC 4303 §2.4). */
function paddingHolds(at: usize, padding: u32): bool {
  let wrong: u32 = 0
  for (let i: u32 = 0; i < padding; i++) wrong |= <u32>load<u8>(at + i) ^ (i + 1)
  return wrong === 0
}

/** A next header this SA admits, an inner header that holds (RFC 4303 §2.6, RFC 4302 §2.1); the rest is TFC padding. */
function innerHolds(packet: usize, bytes: u32, nextHeader: u32, hot: usize): u32 {
  if (nextHeader === NO_NEXT_HEADER) return DROP_DUMMY
  const admitted = load<u32>(hot + HOT_FLAGS) & (nextHeader === IPV4_INSIDE ? HOT_FLAG_IPV4 : HOT_FLAG_IPV6)
  if ((nextHeader !== IPV4_INSIDE && nextHeader !== IPV6_INSIDE) || admitted === 0) return DROP_BAD_CONTENT
  if (!parseInner(packet, bytes)) return DROP_BAD_CONTENT
  return family === (nextHeader === IPV4_INSIDE ? 4 : 6) ? DROP_NONE : DROP_BAD_CONTENT
}

/** May this packet come out of this SA (RFC 4301 §5.2), and what did the outer header meet on its way? */
function policy(at: usize, packet: usize, hot: usize): u32 {
  if (!selectorsAllow(hot)) return DROP_SELECTOR_IN
  if (forbiddenSource()) return DROP_INNER_ADDRESS
  const outer = load<u8>(load<u32>(at + W_DESCRIPTOR) + IN_TOS)
  const mss = mssAt(packet, load<u32>(at + W_TUNNEL))
  if (mss !== 0) clampMss(upper, packet + mss, mssLimit)
  return mergeEcn(packet, tos, outer, family) ? DROP_NONE : DROP_ECN
}

function account(sa: u32, hot: usize, inner: u32): void {
  const bytes = load<u64>(hot + HOT_BYTES) + inner
  const received = load<u64>(hot + HOT_PACKETS) + 1
  store<u64>(hot + HOT_BYTES, bytes)
  store<u64>(hot + HOT_PACKETS, received)
  store<u32>(hot + HOT_LAST_USED, now)
  const soft = bytes >= load<u64>(hot + HOT_SOFT_BYTES) || received >= load<u64>(hot + HOT_SOFT_PACKETS)
  if (soft) raiseOnce(sa, hot, HOT_FLAG_SOFT_RAISED, EVENT_SA_SOFT)
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
