// The host's kernel behind an in-process gateway: devices, addresses, routes, and the hosts of its networks.
//
// It routes by longest prefix, then lowest metric, as Linux does: packets of hosts go to a device (whose
// queue an ASP reads) or end in a blackhole; packets out of a device go to a host.
//
// Counters: noRoute, blackholed, expired (TTL), malformed, down (no ASP reads the device).

import type { Address, Route, Routes } from '../../control/ports.ts'
import { addressBytes, addressText, parsePrefix, samePrefix } from '../address.ts'
import { forwarded, parseIp } from './ip.ts'

export type HostReceiver = (packet: Uint8Array) => void
/** Takes a packet that the kernel routed to the device. */
export type DeviceReader = (packet: Uint8Array) => void

export type FakeDevice = {
  name: string
  mtu: number
  multicast: boolean
  operational: boolean
  addresses: string[]
}

const GUARD_LIMIT = 10000

export class FakeKernel implements Routes {
  readonly counters = { noRoute: 0, blackholed: 0, expired: 0, malformed: 0, down: 0 }
  readonly devices = new Map<string, FakeDevice>()
  #routes: Route[] = []
  readonly #hosts = new Map<Address, HostReceiver>()
  readonly #readers = new Map<string, DeviceReader>()

  // -- what hosts and ASPs call

  /** A host of a network behind the gateway. */
  addHost(address: Address, receiver: HostReceiver): void {
    this.#hosts.set(addressText(addressBytes(address)), receiver)
  }

  /** From a host of a local network into the gateway. */
  fromHost(packet: Uint8Array): void {
    this.#forward(packet)
  }

  /** Out of a device: what an ASP wrote to it. */
  fromDevice(packet: Uint8Array): void {
    this.#forward(packet)
  }

  /** Who reads the device, which may not exist yet. */
  setReader(name: string, reader: DeviceReader | null): void {
    if (reader === null) this.#readers.delete(name)
    else this.#readers.set(name, reader)
  }

  #forward(packet: Uint8Array): void {
    const header = parseIp(packet)
    const onward = header && forwarded(packet)
    if (header === null) this.counters.malformed++
    else if (onward === null) this.counters.expired++
    else if (this.#hosts.has(header.destination)) this.#hosts.get(header.destination)?.(onward)
    else this.#toDevice(header.destination, onward)
  }

  #toDevice(destination: Address, packet: Uint8Array): void {
    const route = this.#lookUp(addressBytes(destination))
    if (route === null) this.counters.noRoute++
    else if (route.blackhole) this.counters.blackholed++
    else {
      const reader = this.#readers.get(route.device ?? '')
      if (reader) reader(packet)
      else this.counters.down++
    }
  }

  #lookUp(destination: Uint8Array): Route | null {
    let best: Route | null = null
    let bestLength = -1
    for (const route of this.#routes) {
      const { address, length } = parsePrefix(route.prefix)
      if (!samePrefix(address, destination, length) || length < bestLength) continue
      if (length > bestLength || route.metric < (best?.metric ?? 0)) best = route
      bestLength = length
    }
    return best
  }

  // -- the Routes port

  createDevice(name: string, options: { mtu: number; multicast: boolean }): void {
    if (this.devices.has(name)) throw new Error(`cannot create TUN device ${name}: it exists`)
    this.devices.set(name, { name, ...options, operational: false, addresses: [] })
  }

  deleteDevice(name: string): void {
    this.#device(name)
    this.devices.delete(name)
    this.#routes = this.#routes.filter((route) => route.device !== name)
  }

  addAddress(device: string, prefix: string): void {
    parsePrefix(prefix)
    this.#device(device).addresses.push(prefix)
  }

  setMtu(device: string, mtu: number): void {
    this.#device(device).mtu = mtu
  }

  setOperational(device: string, up: boolean): void {
    this.#device(device).operational = up
  }

  addRoute(route: Route): void {
    if (route.device !== null) this.#device(route.device)
    parsePrefix(route.prefix)
    this.#routes = this.#routes.filter((one) => !sameRoute(one, route))
    if (this.#routes.length >= GUARD_LIMIT)
      throw new Error(`more than ${GUARD_LIMIT} routes in an in-process kernel`)
    this.#routes.push(route)
  }

  deleteRoute(route: Route): void {
    const count = this.#routes.length
    this.#routes = this.#routes.filter((one) => !sameRoute(one, route))
    if (this.#routes.length === count) throw new Error(`cannot delete route ${route.prefix}: there is none`)
  }

  listRoutes(device: string): Route[] {
    this.#device(device)
    return this.#routes.filter((route) => route.device === device && !route.blackhole)
  }

  listGuards(): Route[] {
    return this.#routes.filter((route) => route.blackhole)
  }

  hostFindings(): string[] {
    return []
  }

  removeAll(): void {
    this.devices.clear()
    this.#routes = this.#routes.filter((route) => route.blackhole)
  }

  #device(name: string): FakeDevice {
    const device = this.devices.get(name)
    if (device === undefined) throw new Error(`device ${name}: there is no such device`)
    return device
  }
}

function sameRoute(one: Route, other: Route): boolean {
  return one.prefix === other.prefix && one.metric === other.metric && !!one.blackhole === !!other.blackhole
}
