// The tunnel table and the device table, from control's side.
//
// A tunnel belongs to one ASP. Moved to another, it is deleted at the old one first; what control asks meanwhile
// waits for that acknowledgement. Device names are numbered here, and whoever attaches devices asks for the number.

import type { CardTunnel, Encapsulation, Endpoint, TunnelRef } from '../control/ports.ts'
import {
  COMMAND_PAYLOAD,
  DEVICE_CIRCUIT,
  DEVICE_FIB,
  DF_CLEAR,
  DF_COPY,
  DF_SET,
  DSCP_COPY,
  ECN_COMPATIBILITY,
  ECN_NORMAL,
  ENCAPSULATION_RAW,
  ENCAPSULATION_UDP,
  MAX_INNER_BYTES,
  MAX_MSS,
  MIN_INNER_BYTES,
  MIN_MSS,
  MODE_CIRCUIT,
  MODE_ECONOMICAL,
  MSS_AUTO,
  MSS_OFF,
  OP_CIRCUIT_DOWN,
  OP_CIRCUIT_SET,
  OP_CIRCUIT_UP,
  OP_PEER_ADDR_UPDATE,
  OP_TRACE,
  OP_TUNNEL_DEL,
  OP_TUNNEL_SET,
  TUNNEL_BYTES,
  TUNNEL_FLAG_ANY_ENCAPSULATION,
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
} from '../dataplane-as/abi.ts'
import { CardError } from './card-error.ts'
import type { CardLink } from './card-link.ts'
import type { CardMemory } from './memory.ts'
import { Slots } from './slots.ts'
import { sockaddrBytes } from './sockaddr.ts'

const ENCAPSULATIONS = { udp: ENCAPSULATION_UDP, raw: ENCAPSULATION_RAW }
const MODES = { circuit: MODE_CIRCUIT, economical: MODE_ECONOMICAL }
const DF_BITS = { copy: DF_COPY, set: DF_SET, clear: DF_CLEAR }
const ECNS = { normal: ECN_NORMAL, compatibility: ECN_COMPATIBILITY }
const SET_BYTES = TUNNEL_SET_LOCAL + 32 - COMMAND_PAYLOAD

type Entry = { tunnel: CardTunnel; moving: boolean; waiting: (() => void)[] }

export class TunnelTable {
  readonly #memory: CardMemory
  readonly #link: CardLink
  readonly #slots: Slots
  readonly #entries = new Map<TunnelRef, Entry>()
  readonly #devices: (string | null)[]

  constructor(memory: CardMemory, link: CardLink, sizes: { tunnels: number; devices: number }) {
    this.#memory = memory
    this.#link = link
    this.#slots = new Slots(sizes.tunnels)
    this.#devices = Array.from({ length: sizes.devices }, () => null)
  }

  // ---- devices

  /** Number of a device name in the card's device table, given out at the first question. Throws CardError when full. */
  deviceNumber(name: string): number {
    const known = this.#devices.indexOf(name)
    if (known >= 0) return known
    const free = this.#devices.indexOf(null)
    if (free < 0)
      throw new CardError(`the device table of the card is full (${this.#devices.length}) at ${name}`)
    this.#devices[free] = name
    return free
  }

  /** The device is gone; its number may be given to another. */
  releaseDevice(name: string): void {
    const number = this.#devices.indexOf(name)
    if (number < 0) return
    this.#devices[number] = null
    const asp = this.#link.living()[0]
    if (asp !== undefined) this.#link.send(asp, { opcode: OP_CIRCUIT_SET, index: number })
  }

  // ---- tunnels

  get(ref: TunnelRef): CardTunnel {
    return this.#entry(ref).tunnel
  }

  has(ref: TunnelRef): boolean {
    return this.#entries.has(ref)
  }

  #entry(ref: TunnelRef): Entry {
    const entry = this.#entries.get(ref)
    if (entry === undefined) throw new CardError(`the card has no tunnel ${ref}`)
    return entry
  }

  /** A new tunnel, down until setState(); its number. */
  add(tunnel: CardTunnel): TunnelRef {
    if (this.#slots.left === 0) throw new CardError(`the tunnel table of the card is full at ${tunnel.name}`)
    const payload = this.#prepare(tunnel)
    const ref = this.#slots.take()
    this.#entries.set(ref, { tunnel, moving: false, waiting: [] })
    this.#program(ref, tunnel, payload)
    return ref
  }

  /** Changes a tunnel; the caller has deleted its SAs when the ASP is another. */
  change(ref: TunnelRef, tunnel: CardTunnel): void {
    const entry = this.#entry(ref)
    const payload = this.#prepare(tunnel)
    const before = entry.tunnel
    entry.tunnel = tunnel
    if (before.asp !== tunnel.asp) this.#move(ref, entry, before.asp)
    this.#program(ref, tunnel, payload)
  }

  #move(ref: TunnelRef, entry: Entry, from: number): void {
    entry.moving = true
    this.#link.send(from, { opcode: OP_TUNNEL_DEL, index: ref }, () => {
      if (!this.#link.alive(from)) this.#clearRecord(ref)
      entry.moving = false
      for (const run of entry.waiting.splice(0)) run()
    })
  }

  #clearRecord(ref: TunnelRef): void {
    const record = this.#memory.tunnel(ref)
    this.#memory.bytes.fill(0, record, record + TUNNEL_BYTES)
  }

  /** Runs now, or when the tunnel has arrived at its new ASP. */
  when(ref: TunnelRef, run: () => void): void {
    const entry = this.#entry(ref)
    if (entry.moving) entry.waiting.push(run)
    else run()
  }

  #check(tunnel: CardTunnel): void {
    const fail = (text: string): never => {
      throw new CardError(`tunnel ${tunnel.name}: ${text}`)
    }
    if (!this.#link.alive(tunnel.asp))
      fail(`ASP ${tunnel.asp} is not running; the card has ${this.#link.asps}`)
    if (!(tunnel.mtu >= MIN_INNER_BYTES && tunnel.mtu <= MAX_INNER_BYTES)) {
      fail(`an MTU is ${MIN_INNER_BYTES} to ${MAX_INNER_BYTES}, not ${tunnel.mtu}`)
    }
    const { dscp } = tunnel
    if (dscp !== 'copy' && !(Number.isInteger(dscp) && dscp >= 0 && dscp < DSCP_COPY))
      fail('a DSCP is 0 to 63')
    const mss = mssOf(tunnel)
    const named = typeof tunnel.tcpMss === 'number'
    if (named && !(Number.isInteger(mss) && mss >= MIN_MSS && mss <= MAX_MSS))
      fail(`an MSS is ${MIN_MSS} to ${MAX_MSS}, not ${mss}`)
    if (!(Number.isInteger(tunnel.tfcPad ?? 0) && (tunnel.tfcPad ?? 0) >= 0))
      fail('TFC padding is a whole number of bytes')
  }

  /** Everything that can be refused is, before anything is taken; the device gets its number last. */
  #prepare(tunnel: CardTunnel): Uint8Array {
    this.#check(tunnel)
    const payload = setPayload(tunnel)
    const device = new DataView(payload.buffer)
    device.setUint32(TUNNEL_SET_DEVICE - COMMAND_PAYLOAD, this.deviceNumber(tunnel.device), true)
    return payload
  }

  #program(ref: TunnelRef, tunnel: CardTunnel, payload: Uint8Array): void {
    this.when(ref, () => {
      this.#link.send(tunnel.asp, { opcode: OP_TUNNEL_SET, index: ref, payload })
      if (tunnel.device !== '') this.#bind(ref, tunnel)
    })
  }

  #bind(ref: TunnelRef, tunnel: CardTunnel): void {
    const device = this.deviceNumber(tunnel.device)
    const kind = tunnel.mode === 'circuit' ? DEVICE_CIRCUIT : DEVICE_FIB
    const payload = new Uint8Array(new Uint32Array([ref]).buffer)
    this.#link.send(tunnel.asp, { opcode: OP_CIRCUIT_SET, index: device, argument: kind, payload })
  }

  /** The caller has deleted its SAs. The number is free again once the ASP has agreed. */
  delete(ref: TunnelRef): void {
    const { tunnel } = this.#entry(ref)
    this.when(ref, () => {
      this.#entries.delete(ref)
      this.#link.send(tunnel.asp, { opcode: OP_TUNNEL_DEL, index: ref }, () => {
        if (!this.#link.alive(tunnel.asp)) this.#clearRecord(ref)
        this.#slots.give(ref)
      })
    })
  }

  setState(ref: TunnelRef, up: boolean): void {
    const { tunnel } = this.#entry(ref)
    this.when(ref, () =>
      this.#link.send(tunnel.asp, { opcode: up ? OP_CIRCUIT_UP : OP_CIRCUIT_DOWN, index: ref }),
    )
  }

  setPeer(ref: TunnelRef, remote: Endpoint, encapsulation: Encapsulation): void {
    const entry = this.#entry(ref)
    const payload = sockaddr(remote, entry.tunnel.name)
    entry.tunnel = { ...entry.tunnel, remote, encapsulation }
    const command = {
      opcode: OP_PEER_ADDR_UPDATE,
      index: ref,
      argument: ENCAPSULATIONS[encapsulation],
      payload,
    }
    this.when(ref, () => this.#link.send(entry.tunnel.asp, command))
  }

  trace(ref: TunnelRef, count: number): void {
    const { tunnel } = this.#entry(ref)
    this.when(ref, () => this.#link.send(tunnel.asp, { opcode: OP_TRACE, index: ref, argument: count }))
  }

  /** Numbers of the tunnels of an ASP. */
  ofAsp(asp: number): TunnelRef[] {
    return [...this.#entries].filter(([, { tunnel }]) => tunnel.asp === asp).map(([ref]) => ref)
  }
}

function setPayload(tunnel: CardTunnel): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SET_BYTES)
  const view = new DataView(bytes.buffer)
  const fields: [number, number][] = [
    [TUNNEL_SET_ASP, tunnel.asp],
    [TUNNEL_SET_MODE, MODES[tunnel.mode]],
    [TUNNEL_SET_ENCAPSULATION, ENCAPSULATIONS[tunnel.encapsulation]],
    [TUNNEL_SET_MTU, tunnel.mtu],
    [TUNNEL_SET_DF, DF_BITS[tunnel.dfBit]],
    [TUNNEL_SET_DSCP, tunnel.dscp === 'copy' ? DSCP_COPY : tunnel.dscp],
    [TUNNEL_SET_ECN, ECNS[tunnel.ecn]],
    [TUNNEL_SET_TFC, Math.min(tunnel.tfcPad ?? 0, MAX_INNER_BYTES)],
    [TUNNEL_SET_MSS, mssOf(tunnel)],
    [TUNNEL_SET_FLAGS, tunnel.anyEncapsulation === true ? TUNNEL_FLAG_ANY_ENCAPSULATION : 0],
  ]
  for (const [field, value] of fields) view.setUint32(field - COMMAND_PAYLOAD, value, true)
  bytes.set(sockaddr(tunnel.remote, tunnel.name), TUNNEL_SET_PEER - COMMAND_PAYLOAD)
  bytes.set(sockaddr({ address: tunnel.local, port: 0 }, tunnel.name), TUNNEL_SET_LOCAL - COMMAND_PAYLOAD)
  return bytes
}

function mssOf({ tcpMss }: CardTunnel): number {
  if (tcpMss === undefined || tcpMss === 'off') return MSS_OFF
  return tcpMss === 'auto' ? MSS_AUTO : tcpMss
}

function sockaddr(endpoint: Endpoint, tunnel: string): Uint8Array {
  try {
    return sockaddrBytes(endpoint)
  } catch {
    throw new CardError(`tunnel ${tunnel}: '${endpoint.address}' is no IP address`)
  }
}
