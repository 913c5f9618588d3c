// From a packet in clear to the SA that protects it. The way of the original's boards, each stage counted:
//
//   circuit     ippa (validate, next hop: the circuit) -> eppa (class, MTU) -> loop -> ippa (next hop: the tunnel) -> ase
//   economical  ippa (validate, longest prefix: the tunnel) -> ase
//
// classify() fills a work entry and returns DROP_NONE, a drop number, or HANDED_OVER.

import {
  DEVICE_CIRCUIT,
  DEVICE_FIB,
  DEVICE_KIND,
  DEVICE_TUNNEL,
  DF_COPY,
  DF_SET,
  DROP_DESCRIPTOR,
  DROP_INBOX_FULL,
  DROP_NO_CIRCUIT,
  DROP_NO_ROUTE,
  DROP_NO_SA,
  DROP_NONE,
  DROP_NULL_ROUTE,
  DROP_PACKET_MALFORMED,
  DROP_SA_EXPIRED,
  DROP_SELECTOR_OUT,
  DROP_TOO_BIG,
  DROP_TUNNEL_DOWN,
  FIB_NO_TARGET,
  FIB_NULL0,
  FIB_TUNNEL,
  MODE_CIRCUIT,
  OUT_ADDRESS,
  OUT_DEVICE,
  OUT_FLAG_HANDED_OVER,
  OUT_FLAGS,
  OUT_LENGTH,
  SA_STATE,
  SA_VALID,
  STAGE_ASE,
  STAGE_EPPA,
  STAGE_IPPA,
  STAGE_IPPA_LOOPED,
  STAGE_LOOP,
  TUNNEL_ASP,
  TUNNEL_DF,
  TUNNEL_DSCP,
  TUNNEL_ECN,
  TUNNEL_FREE,
  TUNNEL_MODE,
  TUNNEL_MTU,
  TUNNEL_STATE,
  TUNNEL_TFC,
  TUNNEL_UP,
} from './abi.ts'
import { NO_TUNNEL } from './counters.ts'
import { lookUp } from './fib.ts'
import { handOverOut } from './inbox.ts'
import {
  asps,
  atomicLoad,
  cold,
  deviceRecord,
  devices,
  hotOut,
  memoryEnd,
  packetRegion,
  sas,
  self,
  tunnelRecord,
  tunnels,
} from './machine.ts'
import { mssAt, mssLimit } from './mss.ts'
import { selectorsAllow } from './selectors.ts'
import { acquire, sendingSa } from './tunnel.ts'
import { destination, dontFragment, family, length, parseInner, tos, upper } from './wire/inner.ts'
import { outerTos } from './wire/tos.ts'
import {
  W_ADDRESS,
  W_DF,
  W_HOT,
  W_LENGTH,
  W_MSS,
  W_MSS_AT,
  W_NEXT_HEADER,
  W_PAYLOAD,
  W_SA,
  W_STAGES,
  W_TCP,
  W_TOS,
  W_TUNNEL,
} from './work.ts'

/** another ASP has the packet now */
export const HANDED_OVER: u32 = 0xff

const IPV4_IN_ESP: u32 = 4
const IPV6_IN_ESP: u32 = 41
const ONLY_CLASS: u32 = 0

// The packet before that found its SA, for as long as a burst: the next of the same device and marks goes the same
// way, and only what the packet itself decides is looked at again. A device of the FIB has no such way.
let leader: usize = 0 // its entry, 0 = none
let leaderDevice: u32 = 0
let leaderMarks: u32 = 0
let leaderMtu: u32 = 0
let leaderPadded: u32 = 0

/** Nothing is known of the last burst's packets: commands may have changed everything. */
export function beginClassify(): void {
  leader = 0
}

/** True when [address, address + bytes) lies in the packet region. */
export function inPacketRegion(address: u32, bytes: u32, headroom: u32): bool {
  return <u64>address >= <u64>packetRegion + headroom && <u64>address + <u64>bytes <= <u64>memoryEnd
}

export function classify(descriptor: usize, entry: usize): u32 {
  store<u32>(entry + W_TUNNEL, NO_TUNNEL)
  store<u32>(entry + W_STAGES, STAGE_IPPA)
  const address = load<u32>(descriptor + OUT_ADDRESS)
  const available = load<u32>(descriptor + OUT_LENGTH)
  store<u32>(entry + W_ADDRESS, address)
  store<u32>(entry + W_LENGTH, available)
  if ((load<u32>(descriptor + OUT_FLAGS) & ~OUT_FLAG_HANDED_OVER) !== 0) return DROP_DESCRIPTOR
  if (!inPacketRegion(address, available, 0)) return DROP_DESCRIPTOR
  if (!parseInner(address, available)) return DROP_PACKET_MALFORMED
  store<u32>(entry + W_LENGTH, length)
  const device = load<u32>(descriptor + OUT_DEVICE)
  if (leader !== 0 && device === leaderDevice && marks() === leaderMarks && length <= leaderMtu)
    return follow(entry)
  const drop = nextHop(descriptor, entry)
  if (drop !== DROP_NONE) return drop
  const tunnel = load<u32>(entry + W_TUNNEL)
  if (load<u32>(tunnelRecord(tunnel) + TUNNEL_ASP) !== self) return toItsAsp(descriptor, entry, tunnel)
  const refused = protect(entry, tunnel)
  if (refused === DROP_NONE && load<u32>(deviceRecord(device) + DEVICE_KIND) === DEVICE_CIRCUIT)
    lead(entry, device, tunnel)
  return refused
}

/** All of a packet besides its length that its way depends on. */
function marks(): u32 {
  return tos | (dontFragment << 8) | (family << 16)
}

function lead(entry: usize, device: u32, tunnel: u32): void {
  const record = tunnelRecord(tunnel)
  leader = entry
  leaderDevice = device
  leaderMarks = marks()
  leaderMtu = load<u32>(record + TUNNEL_MTU)
  leaderPadded = paddedTo(record)
}

/** The way of the leader; selectors and MSS are the packet's own. */
function follow(entry: usize): u32 {
  v128.store(entry + W_HOT, v128.load(leader + W_HOT)) // and SA, tunnel, stages
  v128.store(entry + W_TOS, v128.load(leader + W_TOS)) // and DF, next header
  if (!selectorsAllow(load<u32>(leader + W_HOT))) return DROP_SELECTOR_OUT
  store<u32>(entry + W_PAYLOAD, max<u32>(length, leaderPadded))
  noteMss(entry, load<u32>(leader + W_TUNNEL))
  return DROP_NONE
}

/** Padding beyond the MTU would make the datagram too big for the path. */
function paddedTo(record: usize): u32 {
  return min<u32>(load<u32>(record + TUNNEL_TFC), load<u32>(record + TUNNEL_MTU))
}

/** ippa: the device names a circuit, or the FIB of the economical mode a tunnel. */
function nextHop(descriptor: usize, entry: usize): u32 {
  const device = load<u32>(descriptor + OUT_DEVICE)
  if (device >= devices) return DROP_NO_CIRCUIT
  const record = deviceRecord(device)
  const kind = atomicLoad(record + DEVICE_KIND)
  let tunnel: u32 = 0
  if (kind === DEVICE_CIRCUIT) {
    tunnel = load<u32>(record + DEVICE_TUNNEL)
  } else if (kind === DEVICE_FIB) {
    const target = lookUp(destination, family)
    if (target === FIB_NO_TARGET) return DROP_NO_ROUTE
    if (target === FIB_NULL0) return DROP_NULL_ROUTE
    tunnel = target - FIB_TUNNEL
  } else return DROP_NO_CIRCUIT
  if (tunnel >= tunnels || atomicLoad(tunnelRecord(tunnel) + TUNNEL_STATE) === TUNNEL_FREE)
    return DROP_NO_ROUTE
  store<u32>(entry + W_TUNNEL, tunnel)
  return DROP_NONE
}

/** Once only: a packet handed over before has no second journey, or two ASPs could play it back and forth. */
function toItsAsp(descriptor: usize, entry: usize, tunnel: u32): u32 {
  const asp = load<u32>(tunnelRecord(tunnel) + TUNNEL_ASP)
  store<u32>(entry + W_TUNNEL, NO_TUNNEL) // its counters belong to that ASP
  const flags = load<u32>(descriptor + OUT_FLAGS)
  if (asp === 0 || asp > asps || (flags & OUT_FLAG_HANDED_OVER) !== 0) return DROP_NO_ROUTE
  const given = handOverOut(asp, load<u32>(entry + W_ADDRESS), length, load<u32>(descriptor + OUT_DEVICE))
  return given ? HANDED_OVER : DROP_INBOX_FULL
}

/** (eppa, loop, ippa,) ase: the tunnel is up, the packet fits, an SA sends for it, its selectors agree. */
function protect(entry: usize, tunnel: u32): u32 {
  const record = tunnelRecord(tunnel)
  const circuit = load<u32>(record + TUNNEL_MODE) === MODE_CIRCUIT
  if (circuit) mark(entry, STAGE_EPPA)
  if (atomicLoad(record + TUNNEL_STATE) !== TUNNEL_UP) {
    acquire(tunnel)
    return DROP_TUNNEL_DOWN
  }
  if (length > load<u32>(record + TUNNEL_MTU)) return DROP_TOO_BIG
  if (circuit) mark(entry, STAGE_LOOP | STAGE_IPPA_LOOPED)
  const sender = sendingSa(tunnel, ONLY_CLASS)
  if (sender === 0 || sender > sas) {
    acquire(tunnel)
    return DROP_NO_SA
  }
  const sa = sender - 1
  if (atomicLoad(cold(sa) + SA_STATE) !== SA_VALID) {
    acquire(tunnel)
    return DROP_SA_EXPIRED
  }
  mark(entry, STAGE_ASE)
  if (!selectorsAllow(hotOut(sa))) return DROP_SELECTOR_OUT
  store<u32>(entry + W_SA, sa)
  store<u32>(entry + W_HOT, <u32>hotOut(sa))
  store<u32>(entry + W_NEXT_HEADER, family === 4 ? IPV4_IN_ESP : IPV6_IN_ESP)
  store<u32>(entry + W_PAYLOAD, max<u32>(length, paddedTo(record)))
  noteMss(entry, tunnel)
  store<u32>(entry + W_TOS, outerTos(tos, load<u32>(record + TUNNEL_DSCP), load<u32>(record + TUNNEL_ECN)))
  store<u32>(entry + W_DF, outerDf(load<u32>(record + TUNNEL_DF)))
  return DROP_NONE
}

function noteMss(entry: usize, tunnel: u32): void {
  const packet: usize = load<u32>(entry + W_ADDRESS)
  const at = mssAt(packet, tunnel)
  store<u32>(entry + W_MSS_AT, at)
  if (at === 0) return
  store<u32>(entry + W_MSS, mssLimit)
  store<u32>(entry + W_TCP, <u32>(upper - packet))
}

function outerDf(setting: u32): u32 {
  if (setting === DF_COPY) return dontFragment
  return setting === DF_SET ? 1 : 0
}

function mark(entry: usize, stages: u32): void {
  store<u32>(entry + W_STAGES, load<u32>(entry + W_STAGES) | stages)
}
