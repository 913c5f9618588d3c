// The show commands about the card, the kernel and the program itself.

import { SHARED_DEVICE } from '../config/defaults.ts'
import type { Values } from '../config/match.ts'
import type { Config, StaticRoute, TunnelConfig } from '../config/model.ts'
import { interfaceOf } from '../config/resolve.ts'
import type { Gateway } from '../gateway.ts'
import { groupOf, groupOfTunnel } from '../tunnel/asp.ts'
import { tunnelTowards } from '../tunnel/learned.ts'
import { deviceOf, staticRoutes, tunnelsOfRoutes } from '../tunnel/plan.ts'
import { sinceBaseline } from './baseline.ts'
import { CommandError } from './error.ts'
import { plainNumber } from './escape.ts'
import { tunnelsNamed } from './find.ts'

export function showVersion(gateway: Gateway) {
  const { version, node } = gateway.options
  return { version, node, abi: gateway.ports.card.abiVersion, build: gateway.ports.card.build }
}

export function showAsps(gateway: Gateway) {
  return gateway.ports.card.asps().map(({ asp, state, role, packets }) => {
    const tunnels = gateway.dataplane.tunnelsOf(asp)
    return {
      asp,
      state,
      role: aspRole(gateway, asp) ?? role,
      group: aspGroup(gateway, asp),
      tunnels,
      packets: plainNumber(packets),
    }
  })
}

function aspGroups(gateway: Gateway) {
  const named = [...gateway.config.aspGroups.keys()].map((name) => groupOf(gateway.config, name))
  const used = [...gateway.config.tunnels.values()].map((tunnel) => groupOfTunnel(gateway.config, tunnel))
  return [...named, ...used.filter(({ name }) => name === 'default').slice(0, 1)]
}

function aspGroup(gateway: Gateway, asp: number): string | null {
  const groups = aspGroups(gateway).filter(
    ({ active, standby }) => active.includes(asp) || standby.includes(asp),
  )
  return groups.length === 0 ? null : groups.map(({ name }) => name).join(' ')
}

function aspRole(gateway: Gateway, asp: number): 'active' | 'standby' | null {
  const groups = aspGroups(gateway)
  if (groups.some(({ active }) => active.includes(asp))) return 'active'
  return groups.some(({ standby }) => standby.includes(asp)) ? 'standby' : null
}

export function showCircuits(gateway: Gateway, values: Values) {
  const all = tunnelsNamed(gateway, undefined).map(({ config }) => config)
  const circuits = all.filter(({ mode }) => mode === 'circuit')
  const name = values.maybe('name')
  const chosen = circuits.filter(
    (config) => name === undefined || config.name === name || deviceOf(config) === name,
  )
  if (name !== undefined && chosen.length === 0)
    throw new CommandError('not-found', `there is no circuit ${name}: name a circuit tunnel or its interface`)
  const laidOut = gateway.machineConfig
  return chosen.flatMap((config) => circuitRow(gateway, laidOut, config))
}

function circuitRow(gateway: Gateway, laidOut: Config, config: TunnelConfig) {
  const slot = gateway.dataplane.slot(config.name)
  if (slot === undefined) return []
  const counters = gateway.ports.card.tunnelCounters(slot.ref)
  const device = gateway.dataplane.devices.view(deviceOf(config))
  const loop = gateway.ports.card.stages(slot.ref).find(({ stage }) => stage === 'loop')
  const stopped = interfaceOf(laidOut, config)?.shutdown ?? false
  return [
    {
      id: slot.ref,
      device: deviceOf(config),
      tunnel: config.name,
      state: stopped ? 'shutdown' : device?.up ? 'up' : 'dormant',
      mtu: device?.mtu ?? slot.mtu,
      rx: { packets: plainNumber(counters.rxPackets), bytes: plainNumber(counters.rxBytes) },
      tx: { packets: plainNumber(counters.txPackets), bytes: plainNumber(counters.txBytes) },
      drops: plainNumber(counters.drops),
      loopback: plainNumber(loop?.packets ?? 0n),
      queues: [],
    },
  ]
}

export function showRoutes(gateway: Gateway, values: Values) {
  const context = values.maybe('context')
  if (context !== undefined && !gateway.config.contexts.has(context))
    throw new CommandError('not-found', `there is no context ${context}`)
  const config = gateway.machineConfig
  const tunnelOf = tunnelsOfRoutes(config)
  const { devices } = gateway.dataplane
  const installed = new Set(devices.installed().map(({ prefix, metric }) => `${prefix} ${metric}`))
  const guards = new Set(devices.guards().map(({ prefix }) => prefix))
  const configured = staticRoutes(config).map((route) => ({
    ...routeRow(route, tunnelOf(route)),
    installed: installed.has(`${route.prefix} ${route.distance}`),
    guard: guards.has(route.prefix),
  }))
  const known = new Set(configured.map(({ prefix }) => prefix))
  return [...configured, ...kernelRoutes(gateway).filter(({ prefix }) => !known.has(prefix))]
}

function routeRow(route: StaticRoute, tunnel: TunnelConfig | undefined) {
  const { prefix, distance, nextHop } = route
  const kind = nextHop.kind === 'null0' ? 'null0' : nextHop.kind === 'tunnel' ? 'tunnel-direct' : 'circuit'
  const target = nextHop.kind === 'null0' ? 'null0' : nextHop.name
  const source = route.peer ? 'peer' : 'static'
  return { prefix, kind, target, source, tunnel: tunnel?.name ?? null, distance }
}

/** Routes that others (a daemon, the operator) put onto our devices; the shared one needs a gateway to tell the tunnel. */
function kernelRoutes(gateway: Gateway) {
  const devices = new Map<string, string>()
  for (const { config } of gateway.tunnels.values()) devices.set(deviceOf(config), config.name)
  return [...devices].flatMap(([device, tunnel]) => {
    if (gateway.dataplane.devices.view(device) === null) return []
    if (device === SHARED_DEVICE) return sharedRoutes(gateway)
    return gateway.ports.routes
      .listRoutes(device)
      .map(({ prefix, metric }) => foreignRow(prefix, 'circuit', device, tunnel, metric))
  })
}

function sharedRoutes(gateway: Gateway) {
  const statics = staticRoutes(gateway.machineConfig)
  return gateway.dataplane.devices.learned(SHARED_DEVICE).map(({ prefix, metric, gateway: hop }) => {
    const tunnel = hop === null ? null : tunnelTowards(hop, statics)
    return foreignRow(prefix, 'tunnel-direct', tunnel ?? SHARED_DEVICE, tunnel, metric)
  })
}

function foreignRow(prefix: string, kind: string, target: string, tunnel: string | null, distance: number) {
  return { prefix, kind, target, source: 'kernel', tunnel, distance, installed: true, guard: false }
}

/** `show counters`: per tunnel, packets and bytes both ways. */
export function showStages(gateway: Gateway) {
  return [...gateway.tunnels.keys()].flatMap((name) => {
    const slot = gateway.dataplane.slot(name)
    if (slot === undefined) return []
    const counters = Object.entries(gateway.ports.card.tunnelCounters(slot.ref))
    const since = counters.map(([key, value]) => [
      key,
      plainNumber(sinceBaseline(gateway, `${name} ${key}`, value)),
    ])
    return [{ tunnel: name, ...Object.fromEntries(since) }]
  })
}

export function showLog(gateway: Gateway, values: Values) {
  return gateway.ports.log.entries(values.maybeInt('last') ?? 50, values.maybe('name'))
}
