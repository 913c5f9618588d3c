// Devices and kernel routes: brings the machine from what was made before to what the plan says.
// What the kernel drops meanwhile (an operator's address went, a device was down) is put back; until then the guards
// hold the packets.
//
// Order when something appears: guards, devices, routes, so that no packet of a route finds a hole; when
// something goes: routes, devices, and a guard only when no route into a tunnel wants its prefix any more.

import type { LearnedRoute, Log, Route, Routes } from '../ports.ts'
import { type DevicePlan, type MachinePlan, routeKey } from './plan.ts'

export class Devices {
  readonly #routes: Routes
  readonly #log: Log
  readonly #devices = new Map<string, { plan: DevicePlan; mtu: number; up: boolean }>()
  #installed = new Map<string, Route>()
  #guards = new Map<string, Route>()
  /** guards and routes of the plan by key, whether the kernel took them or not */
  #wanted = { guards: new Map<string, Route>(), routes: new Map<string, Route>() }
  /** keys of those that could not be put back: said once */
  readonly #lost = new Set<string>()

  constructor(routes: Routes, log: Log) {
    this.#routes = routes
    this.#log = log
  }

  /** Makes devices, addresses, routes and guards equal to the plan. `mtuOf` gives a device's MTU in bytes. Throws only when a device cannot be made. */
  commit(plan: MachinePlan, mtuOf: (device: DevicePlan) => number) {
    const guards = byKey(plan.guards)
    const routes = byKey(plan.routes)
    this.#add(this.#guards, guards)
    this.#deleteRoutes(this.#installed, routes)
    for (const name of [...this.#devices.keys()])
      if (!sameDevice(this.#devices.get(name), plan.devices.get(name))) this.#delete(name)
    for (const device of plan.devices.values()) this.#create(device, mtuOf(device))
    this.#add(this.#installed, routes)
    this.#deleteRoutes(this.#guards, guards)
    this.#wanted = { guards, routes }
  }

  /** Puts back the guards and routes that are gone, guards first. What cannot be is said once and tried again next time. */
  repair() {
    const { guards, routes } = this.#wanted
    let missing: Route[] = []
    const what = 'compare the kernel’s routes with ours'
    this.#try(() => {
      missing = this.#routes.missing?.([...guards.values(), ...routes.values()]) ?? []
    }, what)
    for (const route of missing) this.#putBack(route)
  }

  #putBack(route: Route) {
    const key = routeKey(route)
    const known = this.#lost.has(key)
    try {
      this.#routes.addRoute(route)
      const have = this.#wanted.guards.has(key) ? this.#guards : this.#installed
      have.set(key, route)
      this.#lost.delete(key)
      this.#log.log('warning', `the kernel had lost route ${describeRoute(route)}: put back`)
    } catch (error) {
      this.#lost.add(key)
      const why = error instanceof Error ? error.message : String(error)
      const text = `the kernel has lost route ${describeRoute(route)}: ${why}`
      if (!known) this.#log.log('error', text, { reason: 'route-lost' })
    }
  }

  /** Operational state of a device: UP or DORMANT (RFC 2863). */
  carrier(name: string, up: boolean) {
    const device = this.#devices.get(name)
    if (device === undefined || device.up === up) return
    device.up = up
    this.#try(() => this.#routes.setOperational(name, up), `set ${name} ${up ? 'up' : 'dormant'}`)
  }

  setMtu(name: string, mtu: number) {
    const device = this.#devices.get(name)
    if (device === undefined || device.mtu === mtu) return
    device.mtu = mtu
    this.#try(() => this.#routes.setMtu(name, mtu), `set the MTU of ${name} to ${mtu}`)
  }

  view(name: string): { mtu: number; up: boolean } | null {
    return this.#devices.get(name) ?? null
  }

  /** Routes over a device of ours that others made; none when there is no such device. */
  learned(name: string): LearnedRoute[] {
    let routes: LearnedRoute[] = []
    if (this.#devices.has(name))
      this.#try(() => {
        routes = this.#routes.learned?.(name) ?? []
      }, `list the routes over ${name}`)
    return routes
  }

  names(): Set<string> {
    return new Set(this.#devices.keys())
  }

  /** The kernel routes in place, guards not included. */
  installed(): Route[] {
    return [...this.#installed.values()]
  }

  guards(): Route[] {
    return [...this.#guards.values()]
  }

  /** Takes away devices and routes; the guards stay, on purpose. */
  removeAll() {
    this.#wanted = { guards: new Map(), routes: new Map() }
    this.#deleteRoutes(this.#installed, new Map())
    for (const name of [...this.#devices.keys()]) this.#delete(name)
  }

  #create(plan: DevicePlan, mtu: number) {
    const known = this.#devices.get(plan.name)
    if (known !== undefined) {
      known.plan = plan
      return this.setMtu(plan.name, mtu)
    }
    this.#routes.createDevice(plan.name, { mtu, multicast: plan.multicast })
    this.#devices.set(plan.name, { plan, mtu, up: false })
    for (const address of plan.addresses)
      this.#try(() => this.#routes.addAddress(plan.name, address), `add ${address} to ${plan.name}`)
    this.#try(() => this.#routes.setOperational(plan.name, false), `set ${plan.name} dormant`)
  }

  #delete(name: string) {
    this.#devices.delete(name)
    for (const [key, route] of this.#installed) if (route.device === name) this.#installed.delete(key)
    this.#try(() => this.#routes.deleteDevice(name), `delete ${name}`)
  }

  #add(have: Map<string, Route>, want: Map<string, Route>) {
    for (const [key, route] of want) {
      if (have.has(key)) continue
      const added = this.#try(() => this.#routes.addRoute(route), `add route ${describeRoute(route)}`)
      if (added) have.set(key, route)
    }
  }

  #deleteRoutes(have: Map<string, Route>, want: Map<string, Route>) {
    for (const [key, route] of have) {
      if (want.has(key)) continue
      have.delete(key)
      this.#try(() => this.#routes.deleteRoute(route), `delete route ${describeRoute(route)}`)
    }
  }

  #try(step: () => void, what: string): boolean {
    try {
      step()
      return true
    } catch (error) {
      this.#log.log('error', `cannot ${what}: ${error instanceof Error ? error.message : String(error)}`)
      return false
    }
  }
}

function sameDevice(have: { plan: DevicePlan } | undefined, want: DevicePlan | undefined): boolean {
  if (have === undefined || want === undefined) return false
  const a = have.plan
  return a.multicast === want.multicast && a.addresses.join() === want.addresses.join()
}

function describeRoute(route: Route): string {
  const hop = route.blackhole ? 'blackhole' : `dev ${route.device}`
  return `${route.prefix} ${hop} metric ${route.metric}${route.source ? ` src ${route.source}` : ''}`
}

function byKey(routes: Route[]): Map<string, Route> {
  return new Map(routes.map((route) => [routeKey(route), route]))
}
