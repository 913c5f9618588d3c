// What the machine must look like for a configuration: devices, kernel routes, guards, FIB. Pure data; the
// data plane compares it with what it made before and does the difference.
//
//   circuit tunnel     its own TUN device, kernel routes onto it
//   economical tunnel  the shared device ase0, kernel routes onto it, the same prefixes in the card's FIB
//   guard              a blackhole of the worst metric under each route into a tunnel, and under the networks of
//                      its device's own addresses: it keeps the traffic from leaving in clear when the device or
//                      an address of it is gone, and so it outlives the process

import { formatAddress, networkOf, parsePrefix, prefixContains } from '../address.ts'
import { SHARED_DEVICE } from '../config/defaults.ts'
import type { Config, StaticRoute, TunnelConfig } from '../config/model.ts'
import { interfaceOf } from '../config/resolve.ts'
import type { Route } from '../ports.ts'

/** Metric of guards but those of default routes: the largest the kernel takes, so that any other route wins. */
export const GUARD_METRIC = 0xffffffff

const DEFAULT_PREFIXES = ['0.0.0.0/0', '::/0']

/** RFC 4291 §2.5.6: on every device, never routed. */
const LINK_LOCAL = 'fe80::/10'

export type DevicePlan = {
  name: string
  tunnels: string[]
  multicast: boolean
  addresses: string[]
  shutdown: boolean
}
export type FibPlan = { prefix: string; target: { tunnel: string } | 'null0' }
export type MachinePlan = {
  devices: Map<string, DevicePlan>
  guards: Route[]
  routes: Route[]
  fib: FibPlan[]
}

/** The plan for `config`; `up` names the tunnels that carry traffic now (routes with `withdraw` need it). */
export function planMachine(config: Config, up: ReadonlySet<string>): MachinePlan {
  const routes = staticRoutes(config)
  const tunnelOf = tunnelsOfRoutes(config)
  const devices = planDevices(config)
  const prefixes = [...routes.filter(guarded).map(({ prefix }) => prefix), ...connected(devices)]
  return {
    devices,
    guards: uniqueRoutes(prefixes.map((prefix) => guardOf(prefix, routes))),
    routes: uniqueRoutes(routes.flatMap((route) => kernelRoute(tunnelOf, route, up))),
    fib: routes.flatMap(fibEntry),
  }
}

/** Static routes of all contexts in the order of the file. */
export function staticRoutes(config: Config): StaticRoute[] {
  return [...config.contexts.values()].flatMap((context) => context.routes)
}

/** The device that carries a tunnel's inner packets. */
export function deviceOf(tunnel: TunnelConfig): string {
  return tunnel.mode === 'economical' ? SHARED_DEVICE : (tunnel.bind?.interface ?? '')
}

/** The tunnel that a static route leads into, if any. */
export type TunnelOf = (route: StaticRoute) => TunnelConfig | undefined

/** Answers for every route of a configuration: a thousand peers bring a thousand routes and devices. */
export function tunnelsOfRoutes(config: Config): TunnelOf {
  const byDevice = new Map([...config.tunnels.values()].reverse().map((tunnel) => [deviceOf(tunnel), tunnel]))
  return ({ nextHop }) => {
    if (nextHop.kind === 'tunnel') return config.tunnels.get(nextHop.name)
    return nextHop.kind === 'interface' ? byDevice.get(nextHop.name) : undefined
  }
}

function planDevices(config: Config): Map<string, DevicePlan> {
  const devices = new Map<string, DevicePlan>()
  for (const tunnel of config.tunnels.values()) {
    const name = deviceOf(tunnel)
    if (name === '') continue
    const device = devices.get(name) ?? newDevice(config, tunnel, name)
    device.tunnels.push(tunnel.name)
    devices.set(name, device)
  }
  return devices
}

function newDevice(config: Config, tunnel: TunnelConfig, name: string): DevicePlan {
  const bound = tunnel.mode === 'circuit' ? interfaceOf(config, tunnel) : undefined
  return {
    name,
    tunnels: [],
    multicast: tunnel.mode === 'circuit',
    addresses: bound?.addresses ?? [],
    shutdown: bound?.shutdown ?? false,
  }
}

function guarded(route: StaticRoute): boolean {
  return route.nextHop.kind !== 'null0' && !route.withdraw
}

/** Every host has another default route, which would win over the worst metric: the guard of ours comes next to it. */
function guardOf(prefix: string, routes: StaticRoute[]): Route {
  const guard = { prefix, device: null, blackhole: true }
  if (!DEFAULT_PREFIXES.includes(prefix)) return { ...guard, metric: GUARD_METRIC }
  const ours = routes.filter((route) => guarded(route) && route.prefix === prefix)
  return { ...guard, metric: 1 + Math.max(...ours.map(({ distance }) => distance)) }
}

/** The networks that the kernel routes to a device for its addresses: the neighbours of a routing daemon are there. */
function connected(devices: ReadonlyMap<string, DevicePlan>): string[] {
  const addresses = [...devices.values()].flatMap((device) => device.addresses)
  return addresses.flatMap((text) => {
    const prefix = parsePrefix(text)
    const network = networkOf(text)
    if (prefix === null || network === null) return []
    const isAlone = prefix.length === prefix.address.length * 8
    return isAlone || prefixContains(LINK_LOCAL, formatAddress(prefix.address)) ? [] : [network]
  })
}

function kernelRoute(tunnelOf: TunnelOf, route: StaticRoute, up: ReadonlySet<string>): Route[] {
  const { prefix, distance: metric, source } = route
  if (route.nextHop.kind === 'null0') return [{ prefix, device: null, metric, blackhole: true }]
  const tunnel = tunnelOf(route)
  if (tunnel === undefined || (route.withdraw && !up.has(tunnel.name))) return []
  return [{ prefix, device: deviceOf(tunnel), metric, ...(source === undefined ? {} : { source }) }]
}

// The kernel owns null0 for what it routes; the card's FIB needs the entry too, or a shorter prefix of a
// tunnel would win there.
function fibEntry(route: StaticRoute): FibPlan[] {
  const { prefix, nextHop } = route
  if (nextHop.kind === 'tunnel') return [{ prefix, target: { tunnel: nextHop.name } }]
  return nextHop.kind === 'null0' ? [{ prefix, target: 'null0' }] : []
}

/** Identity of a kernel route: what the kernel itself compares. */
export function routeKey(route: Route): string {
  return `${route.prefix} ${route.device ?? (route.blackhole ? 'blackhole' : '')} ${route.metric} ${route.source ?? ''}`
}

function uniqueRoutes(routes: Route[]): Route[] {
  return [...new Map(routes.map((route) => [routeKey(route), route])).values()]
}
