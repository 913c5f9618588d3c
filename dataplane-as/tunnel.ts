// Tunnels, circuits and the SA that sends for them: records of this ASP, written from commands only.

import {
  DEVICE_CIRCUIT,
  DEVICE_FIB,
  DEVICE_KIND,
  DEVICE_NONE,
  DEVICE_TUNNEL,
  DF_CLEAR,
  DIRECTION_OUT,
  DSCP_COPY,
  ECN_COMPATIBILITY,
  ENCAPSULATION_RAW,
  ENCAPSULATION_UDP,
  ERROR_ASP,
  ERROR_FIELD,
  ERROR_INDEX,
  ERROR_NONE,
  ERROR_STATE,
  EVENT_ACQUIRE,
  FAMILY_INET,
  FAMILY_INET6,
  MAX_ASPS,
  MAX_CLASSES,
  MAX_INNER_BYTES,
  MAX_MSS,
  MIN_INNER_BYTES,
  MIN_MSS,
  MODE_CIRCUIT,
  MODE_ECONOMICAL,
  MSS_AUTO,
  MSS_OFF,
  SA_ASP,
  SA_CLASS,
  SA_DIRECTION,
  SA_FREE,
  SA_STATE,
  SA_TUNNEL,
  SA_VALID,
  SOCKADDR_BYTES,
  SOCKADDR_FAMILY,
  TUNNEL_ACQUIRED,
  TUNNEL_ASP,
  TUNNEL_BYTES,
  TUNNEL_DEVICE,
  TUNNEL_DF,
  TUNNEL_DOWN,
  TUNNEL_DSCP,
  TUNNEL_ECN,
  TUNNEL_ENCAPSULATION,
  TUNNEL_FLAGS,
  TUNNEL_FLAGS_KNOWN,
  TUNNEL_FREE,
  TUNNEL_LAST_ACQUIRE,
  TUNNEL_LOCAL,
  TUNNEL_MODE,
  TUNNEL_MSS,
  TUNNEL_MTU,
  TUNNEL_OUT_SA,
  TUNNEL_PEER,
  TUNNEL_SET_ASP,
  TUNNEL_SET_DEVICE,
  TUNNEL_SET_DF,
  TUNNEL_SET_DSCP,
  TUNNEL_SET_ECN,
  TUNNEL_SET_ENCAPSULATION,
  TUNNEL_SET_FLAGS,
  TUNNEL_SET_LOCAL,
  TUNNEL_SET_MODE,
  TUNNEL_SET_MSS,
  TUNNEL_SET_MTU,
  TUNNEL_SET_PEER,
  TUNNEL_SET_TFC,
  TUNNEL_STATE,
  TUNNEL_TFC,
  TUNNEL_TRACE_IN,
  TUNNEL_TRACE_OUT,
  TUNNEL_UP,
} from './abi.ts'
import {
  atomicLoad,
  atomicStore,
  cold,
  compareAndSwap,
  deviceRecord,
  devices,
  now,
  sas,
  self,
  tunnelRecord,
  tunnels,
} from './machine.ts'
import { raise } from './ring.ts'

const ACQUIRE_INTERVAL: u32 = 1000 // ms

/** ERROR_NONE when the tunnel exists and is ours. */
export function ownTunnel(tunnel: u32): u32 {
  if (tunnel >= tunnels) return ERROR_INDEX
  const record = tunnelRecord(tunnel)
  if (load<u32>(record + TUNNEL_STATE) === TUNNEL_FREE) return ERROR_STATE
  return load<u32>(record + TUNNEL_ASP) === self ? ERROR_NONE : ERROR_ASP
}

/** Makes a tunnel, or changes all but its ASP; a new one is down. */
export function setTunnel(tunnel: u32, command: usize): u32 {
  if (tunnel >= tunnels) return ERROR_INDEX
  if (load<u32>(command + TUNNEL_SET_ASP) !== self) return ERROR_ASP
  const record = tunnelRecord(tunnel)
  const state = load<u32>(record + TUNNEL_STATE)
  if (state !== TUNNEL_FREE && load<u32>(record + TUNNEL_ASP) !== self) return ERROR_ASP
  if (!fieldsHold(command)) return ERROR_FIELD
  store<u32>(record + TUNNEL_MODE, load<u32>(command + TUNNEL_SET_MODE))
  store<u32>(record + TUNNEL_ENCAPSULATION, load<u32>(command + TUNNEL_SET_ENCAPSULATION))
  store<u32>(record + TUNNEL_DEVICE, load<u32>(command + TUNNEL_SET_DEVICE))
  store<u32>(record + TUNNEL_MTU, load<u32>(command + TUNNEL_SET_MTU))
  store<u32>(record + TUNNEL_DF, load<u32>(command + TUNNEL_SET_DF))
  store<u32>(record + TUNNEL_DSCP, load<u32>(command + TUNNEL_SET_DSCP))
  store<u32>(record + TUNNEL_ECN, load<u32>(command + TUNNEL_SET_ECN))
  store<u32>(record + TUNNEL_FLAGS, load<u32>(command + TUNNEL_SET_FLAGS))
  store<u32>(record + TUNNEL_TFC, load<u32>(command + TUNNEL_SET_TFC))
  store<u32>(record + TUNNEL_MSS, load<u32>(command + TUNNEL_SET_MSS))
  memory.copy(record + TUNNEL_PEER, command + TUNNEL_SET_PEER, SOCKADDR_BYTES)
  memory.copy(record + TUNNEL_LOCAL, command + TUNNEL_SET_LOCAL, SOCKADDR_BYTES)
  atomicStore(record + TUNNEL_ASP, self)
  if (state === TUNNEL_FREE) atomicStore(record + TUNNEL_STATE, TUNNEL_DOWN)
  return ERROR_NONE
}

function fieldsHold(command: usize): bool {
  const mode = load<u32>(command + TUNNEL_SET_MODE)
  const mtu = load<u32>(command + TUNNEL_SET_MTU)
  return (
    (mode === MODE_CIRCUIT || mode === MODE_ECONOMICAL) &&
    encapsulationHolds(load<u32>(command + TUNNEL_SET_ENCAPSULATION)) &&
    load<u32>(command + TUNNEL_SET_DEVICE) < devices &&
    mtu >= <u32>MIN_INNER_BYTES &&
    mtu <= <u32>MAX_INNER_BYTES &&
    load<u32>(command + TUNNEL_SET_DF) <= <u32>DF_CLEAR &&
    load<u32>(command + TUNNEL_SET_DSCP) <= <u32>DSCP_COPY &&
    load<u32>(command + TUNNEL_SET_ECN) <= <u32>ECN_COMPATIBILITY &&
    (load<u32>(command + TUNNEL_SET_FLAGS) & ~TUNNEL_FLAGS_KNOWN) === 0 &&
    load<u32>(command + TUNNEL_SET_TFC) <= <u32>MAX_INNER_BYTES &&
    mssHolds(load<u32>(command + TUNNEL_SET_MSS)) &&
    sockaddrHolds(command + TUNNEL_SET_PEER) &&
    sockaddrHolds(command + TUNNEL_SET_LOCAL)
  )
}

function mssHolds(mss: u32): bool {
  return mss === MSS_OFF || mss === MSS_AUTO || (mss >= <u32>MIN_MSS && mss <= <u32>MAX_MSS)
}

function encapsulationHolds(value: u32): bool {
  return value === ENCAPSULATION_UDP || value === ENCAPSULATION_RAW
}

function sockaddrHolds(sockaddr: usize): bool {
  const family = load<u16>(sockaddr + SOCKADDR_FAMILY)
  return family === FAMILY_INET || family === FAMILY_INET6
}

/** Refused while an SA points to it. */
export function deleteTunnel(tunnel: u32): u32 {
  const error = ownTunnel(tunnel)
  if (error !== ERROR_NONE) return error
  for (let sa: u32 = 0; sa < sas; sa++) {
    if (load<u32>(cold(sa) + SA_STATE) !== SA_FREE && load<u32>(cold(sa) + SA_TUNNEL) === tunnel)
      return ERROR_STATE
  }
  for (let device: u32 = 0; device < devices; device++) {
    const record = deviceRecord(device)
    const bound =
      load<u32>(record + DEVICE_KIND) === DEVICE_CIRCUIT && load<u32>(record + DEVICE_TUNNEL) === tunnel
    if (bound) atomicStore(record + DEVICE_KIND, DEVICE_NONE)
  }
  const record = tunnelRecord(tunnel)
  atomicStore(record + TUNNEL_STATE, TUNNEL_FREE)
  memory.fill(record + 4, 0, TUNNEL_BYTES - 4)
  return ERROR_NONE
}

export function setTunnelState(tunnel: u32, up: bool): u32 {
  const error = ownTunnel(tunnel)
  if (error !== ERROR_NONE) return error
  atomicStore(tunnelRecord(tunnel) + TUNNEL_STATE, up ? TUNNEL_UP : TUNNEL_DOWN)
  return ERROR_NONE
}

export function setPeer(tunnel: u32, encapsulation: u32, sockaddr: usize): u32 {
  const error = ownTunnel(tunnel)
  if (error !== ERROR_NONE) return error
  if (!encapsulationHolds(encapsulation) || !sockaddrHolds(sockaddr)) return ERROR_FIELD
  memory.copy(tunnelRecord(tunnel) + TUNNEL_PEER, sockaddr, SOCKADDR_BYTES)
  store<u32>(tunnelRecord(tunnel) + TUNNEL_ENCAPSULATION, encapsulation)
  return ERROR_NONE
}

/** What packets read from a device mean. A circuit is bound by the ASP of its tunnel. */
export function setDevice(device: u32, kind: u32, tunnel: u32): u32 {
  if (device >= devices) return ERROR_INDEX
  if (kind > <u32>DEVICE_FIB) return ERROR_FIELD
  if (kind === DEVICE_CIRCUIT) {
    const error = ownTunnel(tunnel)
    if (error !== ERROR_NONE) return error
  }
  const record = deviceRecord(device)
  atomicStore(record + DEVICE_KIND, DEVICE_NONE)
  store<u32>(record + DEVICE_TUNNEL, kind === DEVICE_CIRCUIT ? tunnel : 0)
  atomicStore(record + DEVICE_KIND, kind)
  return ERROR_NONE
}

export function traceTunnel(tunnel: u32, count: u32): u32 {
  const error = ownTunnel(tunnel)
  if (error !== ERROR_NONE) return error
  store<u32>(tunnelRecord(tunnel) + TUNNEL_TRACE_OUT, count)
  store<u32>(tunnelRecord(tunnel) + TUNNEL_TRACE_IN, count)
  return ERROR_NONE
}

/** Word that names the SA sending for (class, this ASP). */
function sender(tunnel: u32, qosClass: u32): usize {
  return tunnelRecord(tunnel) + TUNNEL_OUT_SA + ((qosClass * MAX_ASPS + self - 1) << 2)
}

/** Index + 1 of the SA that sends for the tunnel's class; 0 = none. */
export function sendingSa(tunnel: u32, qosClass: u32): u32 {
  return atomicLoad(sender(tunnel, qosClass))
}

/** One atomic store: the packets before it use the old SA, those after it the new one. */
export function activateOutbound(sa: u32): u32 {
  if (sa >= sas) return ERROR_INDEX
  const record = cold(sa)
  if (atomicLoad(record + SA_STATE) !== SA_VALID) return ERROR_STATE
  if (load<u32>(record + SA_DIRECTION) !== DIRECTION_OUT) return ERROR_STATE
  if (load<u32>(record + SA_ASP) !== self) return ERROR_ASP
  atomicStore(sender(load<u32>(record + SA_TUNNEL), load<u32>(record + SA_CLASS)), sa + 1)
  return ERROR_NONE
}

/** An SA about to be deleted sends no more. */
export function unlinkOutbound(tunnel: u32, sa: u32): void {
  if (tunnel >= tunnels) return
  for (let qosClass: u32 = 0; qosClass < <u32>MAX_CLASSES; qosClass++)
    compareAndSwap(sender(tunnel, qosClass), sa + 1, 0)
}

/** A packet found no SA: tell control, at most once a second a tunnel. */
export function acquire(tunnel: u32): void {
  const record = tunnelRecord(tunnel)
  const raised = load<u32>(record + TUNNEL_ACQUIRED)
  if (raised !== 0 && now - load<u32>(record + TUNNEL_LAST_ACQUIRE) < ACQUIRE_INTERVAL) return
  store<u32>(record + TUNNEL_ACQUIRED, 1)
  store<u32>(record + TUNNEL_LAST_ACQUIRE, now)
  raise(EVENT_ACQUIRE, tunnel, 0, 0)
}
