// The Routes port on Linux: TUN devices, their addresses and states, kernel routes; and what to undo at the end.

import type { Address, LearnedRoute, Route, Routes } from '../../control/ports.ts'
import { Links } from './links.ts'
import { Netlink } from './netlink.ts'
import { RouteTable } from './route-table.ts'
import { RouteWatch } from './route-watch.ts'
import { hostFindings } from './sysctl.ts'

/** Who holds the descriptors of the devices: the machine, which lends them to the ASPs. */
export type DeviceOwner = {
  /** opens the queues of a new TUN device; shared: one queue per ASP */
  open(name: string, shared: boolean): void
  /** closes them: the device vanishes */
  close(name: string): void
}

export class LinuxRoutes implements Routes {
  readonly #netlink = new Netlink()
  readonly #links = new Links(this.#netlink)
  readonly #table = new RouteTable(this.#netlink, this.#links)
  readonly #owner: DeviceOwner
  readonly #devices = new Set<string>()
  readonly #addresses = new Map<string, { device: string; prefix: string }>()
  readonly #routes = new Map<string, Route>()
  #watch: RouteWatch | null = null
  #handler: (() => void) | null = null
  /** the shared device, whose routes others may make */
  #learning: { device: string; watch: RouteWatch } | null = null

  constructor(owner: DeviceOwner) {
    this.#owner = owner
  }

  /** A device without multicast (ase0) is shared by all ASPs. It is up at once, its state dormant. */
  createDevice(name: string, options: { mtu: number; multicast: boolean }): void {
    this.#owner.open(name, !options.multicast)
    try {
      this.#links.configure(name, options)
      this.#links.setUp(name)
      this.#links.setOperational(name, false)
      this.#devices.add(name)
      if (!options.multicast) this.#learnOver(name)
    } catch (error) {
      this.#owner.close(name)
      throw error
    }
  }

  /** Closing its descriptors removes the device and with it its addresses and routes. */
  deleteDevice(name: string): void {
    if (!this.#devices.delete(name)) throw new Error(`device ${name} was not made here`)
    if (this.#learning?.device === name) this.#endLearning()
    this.#owner.close(name)
    for (const [key, { device }] of this.#addresses) if (device === name) this.#addresses.delete(key)
    for (const [key, { device }] of this.#routes) if (device === name) this.#routes.delete(key)
  }

  addAddress(device: string, prefix: string): void {
    this.#links.addAddress(device, prefix)
    this.#addresses.set(`${device} ${prefix}`, { device, prefix })
  }

  setMtu(device: string, mtu: number): void {
    this.#links.setMtu(device, mtu)
  }

  setOperational(device: string, up: boolean): void {
    this.#links.setOperational(device, up)
  }

  /** A blackhole guards its prefix beyond the life of this process: only deleteRoute removes it. */
  addRoute(route: Route): void {
    this.#table.add(route)
    if (!route.blackhole) this.#routes.set(keyOf(route), route)
  }

  deleteRoute(route: Route): void {
    this.#table.delete(route)
    this.#routes.delete(keyOf(route))
  }

  listRoutes(device: string): Route[] {
    return this.#table.list(device)
  }

  listGuards(): Route[] {
    return this.#table.guards()
  }

  learned(device: string): LearnedRoute[] {
    return this.#table.learned(device)
  }

  missing(routes: Route[]): Route[] {
    return this.#table.missing(routes)
  }

  onChange(handler: () => void): void {
    this.#watch?.close()
    this.#handler = handler
    this.#watch = new RouteWatch(handler)
  }

  #learnOver(device: string): void {
    this.#endLearning()
    const { index } = this.#links.find(device)
    this.#learning = { device, watch: RouteWatch.over(index, () => this.#handler?.()) }
  }

  #endLearning(): void {
    this.#learning?.watch.close()
    this.#learning = null
  }

  hostFindings(): string[] {
    return hostFindings()
  }

  /** Removes routes, addresses and devices; what somebody else removed before is no error. */
  removeAll(): void {
    for (const route of this.#routes.values()) ignoreGone(() => this.#table.delete(route))
    this.#routes.clear()
    for (const { device, prefix } of this.#addresses.values())
      if (!this.#devices.has(device)) ignoreGone(() => this.#links.removeAddress(device, prefix))
    this.#addresses.clear()
    this.#endLearning()
    for (const device of this.#devices) this.#owner.close(device)
    this.#devices.clear()
  }

  sourceFor(remote: Address): Address | null {
    return this.#table.sourceFor(remote)
  }

  leadsInto(remote: Address, device: string): boolean {
    return this.#devices.has(device) && this.#table.interfaceFor(remote) === this.#links.find(device).index
  }

  /** Closes the routing sockets; removeAll comes first. */
  close(): void {
    this.#watch?.close()
    this.#watch = null
    this.#endLearning()
    this.#netlink.close()
  }
}

const keyOf = (route: Route): string => `${route.prefix} ${route.device} ${route.metric} ${!!route.blackhole}`

function ignoreGone(remove: () => void): void {
  try {
    remove()
  } catch {
    // already gone, which is what was wanted
  }
}
