// The card and the kernel as tunnels need them: performs the effects of the reducer, knows which tunnel lies
// in which slot of the card, and asks nothing about IKE.
//
// Fail closed: a tunnel lies in the card, its device and its routes stand, before any SA exists; the card drops
// what it cannot protect. Guards are laid first and taken last.

import { addressFamily } from '../address.ts'
import { DEFAULT_IPSEC_POLICY } from '../config/defaults.ts'
import type { Config, IpsecPolicy, TunnelConfig } from '../config/model.ts'
import { mtuCeilingOf } from '../config/resolve.ts'
import type { Address, Card, CardTunnel, Encapsulation, Endpoint, Log, Routes, TunnelRef } from '../ports.ts'
import type { ChildInstall, IkeSaId } from '../sa/contract.ts'
import { assignAsps } from './asp.ts'
import { Children, wipeKeys } from './children.ts'
import { Devices } from './devices.ts'
import { Fib } from './fib.ts'
import { type LoadedManualSa, wipeManualSas } from './manual.ts'
import { fitTunnel, ipv6Carriers, type MtuInput } from './mtu.ts'
import { type DevicePlan, deviceOf, type MachinePlan, planMachine, staticRoutes } from './plan.ts'

type Ends = { local: Address; remote: Endpoint; encapsulation: Encapsulation }
type Slot = {
  ref: TunnelRef
  config: TunnelConfig
  asp: number | null
  up: boolean
  ends: Ends
  mtu: number
  /** the MTU is more than the path carries: outer packets may be fragmented whatever the policy says */
  fragments: boolean
  /** what the path to the peer carries, bytes of the outer packet; undefined: not known yet */
  path?: number
  /** what the SA in use costs; before the first SA the dearest of what may be negotiated */
  suite: MtuInput[]
  /** what the card was told last, as text; and whether it knows the tunnel as up */
  programmed: string
  carried: boolean | null
}

/** End points of a tunnel whose peer is not known yet: the card drops everything into it. */
const NOWHERE: Ends = { local: '0.0.0.0', remote: { address: '0.0.0.0', port: 0 }, encapsulation: 'raw' }

const UNTOLD = { programmed: '', carried: null }

/** The suites a tunnel may come to use, for its MTU before the first SA. */
export type SuitesOf = (tunnel: TunnelConfig) => Pick<MtuInput, 'cipher' | 'integrity' | 'ah'>[]

export class Dataplane {
  readonly children: Children
  readonly devices: Devices
  readonly fib: Fib
  readonly #card: Card
  readonly #log: Log
  readonly #suitesOf: SuitesOf
  readonly #slots = new Map<string, Slot>()
  readonly #nameOf = new Map<TunnelRef, string>()
  #plan: MachinePlan | null = null
  #config: Config | null = null
  /** next hops of routes that go with their tunnel */
  #withdrawing: ReadonlySet<string> = new Set()
  #relay = false
  #ipv6: ReadonlySet<string> = new Set()
  readonly #dead = new Set<number>()

  constructor(card: Card, routes: Routes, log: Log, suitesOf: SuitesOf) {
    this.#card = card
    this.#log = log
    this.#suitesOf = suitesOf
    this.children = new Children(card)
    this.devices = new Devices(routes, log)
    this.fib = new Fib(card, this.devices, log, (tunnel) => this.#refOf(tunnel))
  }

  // ---- configuration

  /** Makes card, devices and routes equal to the configuration. Tunnels that go have lost their SAs before. */
  commit(config: Config) {
    this.#config = config
    this.#withdrawing = withdrawingHops(config)
    this.#relay = false
    this.#ipv6 = ipv6Carriers(config)
    const before = new Map([...this.#slots].flatMap(([name, { asp }]) => (asp === null ? [] : [[name, asp]])))
    const existing = this.#card.asps().map(({ asp }) => asp)
    const living = new Set(existing.filter((asp) => !this.#dead.has(asp)))
    const asps = assignAsps(config, before, living)
    const gone = [...this.#slots].filter(([name]) => !config.tunnels.has(name))
    for (const tunnel of config.tunnels.values()) this.#setMtu(config, tunnel, asps.get(tunnel.name) ?? null)
    this.#layOut(config)
    for (const tunnel of config.tunnels.values()) this.#carry(tunnel.name)
    for (const [name, slot] of gone) this.#forget(name, slot)
    const refs = gone.map(([, slot]) => slot.ref)
    this.fib.commit(this.#plan?.fib ?? [], staticRoutes(config), refs)
  }

  /** First pass: the slot with its MTU, so that the device plan can ask for it. Second: into the card. */
  #setMtu(config: Config, tunnel: TunnelConfig, asp: number | null) {
    const known = this.#slots.get(tunnel.name)
    const suite = known?.up ? known.suite : this.#dearest(tunnel)
    const size = this.#fit(config, tunnel, suite, known?.path)
    const slot: Slot = known ?? {
      ref: -1,
      config: tunnel,
      asp,
      up: false,
      ends: NOWHERE,
      suite,
      ...size,
      ...UNTOLD,
    }
    Object.assign(slot, { config: tunnel, asp, suite, ...size })
    this.#slots.set(tunnel.name, slot)
  }

  #fit(config: Config, tunnel: TunnelConfig, suite: MtuInput[], path: number | undefined) {
    const inputs = suite.map((one) => ({ ...one, path }))
    return fitTunnel(mtuCeilingOf(config, tunnel), inputs, this.#ipv6.has(tunnel.name))
  }

  #dearest(tunnel: TunnelConfig): MtuInput[] {
    const { natTraversal, kind } = tunnel
    const raw = natTraversal === 'off' || (kind === 'manual' && natTraversal !== 'force')
    const encapsulation = raw ? 'raw' : 'udp'
    const outerFamily = addressFamily(tunnel.remote ?? '') ?? 6 // a name may resolve to either
    return this.#suitesOf(tunnel).map((suite) => ({ ...suite, encapsulation, outerFamily }))
  }

  #layOut(config: Config) {
    const up = new Set([...this.#slots].filter(([, slot]) => slot.up).map(([name]) => name))
    this.#plan = planMachine(config, up)
    this.devices.commit(this.#plan, (device) => this.#deviceMtu(device))
    for (const [name, slot] of this.#slots) if (config.tunnels.has(name)) this.#program(slot)
  }

  #deviceMtu(device: DevicePlan): number {
    return Math.min(...device.tunnels.map((name) => this.#slots.get(name)?.mtu ?? 576))
  }

  /** Writes the slot into the card's tunnel table, if it says something new: one peer of a thousand costs one command. */
  #program(slot: Slot) {
    if (slot.asp === null) return // no ASP is left for it: the card goes on dropping
    const tunnel = this.#cardTunnel(slot)
    const programmed = JSON.stringify(tunnel)
    if (programmed === slot.programmed) return
    slot.ref = slot.ref < 0 ? this.#card.setTunnel(tunnel) : this.#card.setTunnel(tunnel, slot.ref)
    slot.programmed = programmed
    slot.carried = null // on another ASP it starts anew
    this.#nameOf.set(slot.ref, slot.config.name)
  }

  #cardTunnel(slot: Slot): CardTunnel {
    const { config, ends, mtu, asp, fragments } = slot
    const { dscp, ecn, tfcPad, ...policy } = this.#ipsecPolicy(config)
    const dfBit = fragments ? 'clear' : policy.dfBit
    const { name, mode, tcpMss } = config
    const anyEncapsulation = takesAnyEncapsulation(config)
    return {
      name,
      mode,
      asp: asp ?? 1,
      ...ends,
      device: deviceOf(config),
      mtu,
      dfBit,
      dscp,
      ecn,
      tfcPad: tfcPad ?? 0,
      tcpMss,
      anyEncapsulation,
    }
  }

  #ipsecPolicy(tunnel: TunnelConfig): Pick<IpsecPolicy, 'dfBit' | 'dscp' | 'ecn' | 'tfcPad'> {
    const policies = this.#config?.ipsecPolicies
    const policy = policies?.get(tunnel.ipsecPolicy) ?? policies?.get(DEFAULT_IPSEC_POLICY)
    return policy ?? { dfBit: 'copy', dscp: 'copy', ecn: 'normal' }
  }

  #forget(name: string, slot: Slot) {
    this.#slots.delete(name)
    this.#nameOf.delete(slot.ref)
  }

  // ---- effects of one tunnel

  setEndPoints(name: string, ends: Ends) {
    const slot = this.#slots.get(name)
    if (slot === undefined || sameEnds(slot.ends, ends)) return
    const onlyPeer = slot.ends.local === ends.local
    if (!onlyPeer || slot.ends.remote.address !== ends.remote.address) slot.path = undefined
    slot.ends = ends
    if (!onlyPeer) return this.#reprogram(slot)
    this.#card.setPeer(slot.ref, ends.remote, ends.encapsulation)
    slot.programmed = JSON.stringify(this.#cardTunnel(slot))
  }

  /**
   * A peer behind a NAT is somewhere else now (RFC 7296 §2.23): all tunnels of its IKE SA send there, in UDP. With
   * MOBIKE our own end may have moved, and the new path says the encapsulation (RFC 4555 §3.5).
   */
  moved({ ikeSa, tunnel, remote, local, encapsulation = 'udp' }: Moved) {
    for (const name of new Set([tunnel, ...this.children.tunnelsOn(ikeSa)])) {
      const slot = this.#slots.get(name)
      if (slot !== undefined)
        this.setEndPoints(name, { local: local ?? slot.ends.local, remote, encapsulation })
    }
  }

  /** Throws the card's refusal. */
  install(child: ChildInstall, now: number) {
    const slot = this.#slots.get(child.tunnel)
    if (slot === undefined || slot.ref < 0) {
      wipeKeys(child)
      throw new Error(`the card has no tunnel ${child.tunnel}`)
    }
    const { local, remote, encapsulation, cipher, integrity } = child
    this.setEndPoints(child.tunnel, { local, remote, encapsulation })
    this.children.install(child, slot.ref, now)
    const outerFamily = addressFamily(remote.address) ?? 4
    this.#suite(slot, [{ cipher, integrity, encapsulation, outerFamily }])
  }

  /** Throws the card's refusal. */
  loadManual(name: string, sas: LoadedManualSa[], now: number) {
    const slot = this.#slots.get(name)
    try {
      if (slot !== undefined) this.children.loadManual(name, slot.ref, sas, now)
    } finally {
      wipeManualSas(sas)
    }
  }

  #suite(slot: Slot, suite: MtuInput[]) {
    slot.suite = suite
    this.#resize(slot)
  }

  /** The path to the peer carries outer packets of `path` bytes (RFC 1191, RFC 8201): tunnel and device follow. */
  pathMtu(name: string, path: number) {
    const slot = this.#slots.get(name)
    if (slot === undefined || slot.path === path) return
    slot.path = path
    if (!this.#resize(slot)) return
    const text = `the path to the peer carries ${path} bytes: the tunnel's MTU is ${slot.mtu} now`
    this.#log.log('info', text, { tunnel: name })
  }

  /** Fits the tunnel and its device to suite and path; whether anything changed. */
  #resize(slot: Slot): boolean {
    if (this.#config === null) return false
    const { mtu, fragments } = this.#fit(this.#config, slot.config, slot.suite, slot.path)
    if (mtu === slot.mtu && fragments === slot.fragments) return false
    Object.assign(slot, { mtu, fragments })
    this.#reprogram(slot)
    const device = this.#plan?.devices.get(deviceOf(slot.config))
    if (device !== undefined) this.devices.setMtu(device.name, this.#deviceMtu(device))
    return true
  }

  #reprogram(slot: Slot) {
    this.#program(slot)
    this.#carry(slot.config.name)
  }

  /** Carrier of the circuit, operational state of the device, routes with `withdraw`. */
  carrier(name: string, up: boolean) {
    const slot = this.#slots.get(name)
    if (slot === undefined) return
    slot.up = up
    this.#carry(name)
    this.#relay ||= this.#hasWithdraw(name)
  }

  /** After the effects of one event: routes follow the tunnels that went up or down in it, all at once. */
  settle() {
    if (!this.#relay || this.#config === null) return
    this.#relay = false
    this.#relayRoutes(this.#config)
  }

  #carry(name: string) {
    const slot = this.#slots.get(name)
    const device = this.#plan?.devices.get(slot === undefined ? '' : deviceOf(slot.config))
    if (slot === undefined || slot.ref < 0) return
    const carried = slot.up && !device?.shutdown
    if (slot.carried !== carried) this.#card.setTunnelState(slot.ref, carried)
    slot.carried = carried
    if (device === undefined) return
    const anyUp = device.tunnels.some((tunnel) => this.#slots.get(tunnel)?.up)
    this.devices.carrier(device.name, anyUp && !device.shutdown)
  }

  #hasWithdraw(name: string): boolean {
    const device = deviceOf(this.#slots.get(name)?.config as TunnelConfig)
    return this.#withdrawing.has(name) || this.#withdrawing.has(device)
  }

  #relayRoutes(config: Config) {
    const up = new Set([...this.#slots].filter(([, slot]) => slot.up).map(([tunnel]) => tunnel))
    this.#plan = planMachine(config, up)
    this.devices.commit(this.#plan, (device) => this.#deviceMtu(device))
  }

  // ---- ASPs

  /**
   * An ASP has ended for good, or one works again. Its tunnels, whose SAs are gone, get another ASP of their group;
   * those that had none may get one. Returns the names of the tunnels that have another ASP now.
   */
  aspChanged(asp: number, works: boolean): string[] {
    if (works) this.#dead.delete(asp)
    else this.#dead.add(asp)
    if (this.#config === null) return []
    const before = new Map([...this.#slots].map(([name, slot]) => [name, slot.asp]))
    this.commit(this.#config)
    const moved = [...this.#slots].filter(
      ([name, slot]) => slot.asp !== null && slot.asp !== before.get(name),
    )
    return moved.map(([name]) => name)
  }

  // ---- questions

  nameOf(ref: TunnelRef): string | undefined {
    return this.#nameOf.get(ref)
  }

  slot(name: string): Readonly<Slot> | undefined {
    return this.#slots.get(name)
  }

  #refOf(name: string): TunnelRef | undefined {
    const ref = this.#slots.get(name)?.ref
    return ref === undefined || ref < 0 ? undefined : ref
  }

  /** The tunnels an ASP carries. */
  tunnelsOf(asp: number): string[] {
    return [...this.#slots].filter(([, slot]) => slot.asp === asp).map(([name]) => name)
  }

  /** SAs out of the card, devices and routes gone, guards left. */
  async removeAll(): Promise<void> {
    this.children.removeAll()
    this.devices.removeAll()
    await this.fib.settled()
  }
}

function withdrawingHops(config: Config): Set<string> {
  const hops = staticRoutes(config).flatMap(({ withdraw, nextHop }) =>
    withdraw && nextHop.kind !== 'null0' ? [nextHop.name] : [],
  )
  return new Set(hops)
}

/** RFC 7296 §2.23: who supports NAT traversal accepts ESP in UDP and native ESP at any time, NAT or not. */
function takesAnyEncapsulation({ kind, natTraversal }: TunnelConfig): boolean {
  return kind !== 'manual' && natTraversal !== 'off'
}

type Moved = {
  ikeSa: IkeSaId
  tunnel: string
  remote: Endpoint
  local?: Address
  encapsulation?: Encapsulation
}

function sameEnds(a: Ends, b: Ends): boolean {
  const sameRemote = a.remote.address === b.remote.address && a.remote.port === b.remote.port
  return a.local === b.local && sameRemote && a.encapsulation === b.encapsulation
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
