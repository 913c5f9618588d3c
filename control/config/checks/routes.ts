// `route` and `route-recursion`: a static route leads into a tunnel that can take it, and not around in a circle.

import { addressFamily, prefixContains } from '../../address.ts'
import type { Config, Context, StaticRoute, TunnelConfig } from '../model.ts'
import type { CheckContext } from './report.ts'

export function checkRoutes(context: CheckContext) {
  for (const each of context.config.contexts.values()) {
    for (const route of each.routes) {
      checkNextHop(context, each, route)
      checkSource(context, route)
      checkRecursion(context, each, route)
    }
  }
}

function checkNextHop({ config, error }: CheckContext, { name, interfaces }: Context, route: StaticRoute) {
  const hop = route.nextHop
  const refuse = (why: string) => error(route.line, 'route', `ip route ${route.prefix}: ${why}`)
  if (hop.kind === 'tunnel') {
    const tunnel = config.tunnels.get(hop.name)
    if (tunnel?.mode === 'circuit') refuse(`tunnel ${hop.name} is in circuit mode; route to its interface`)
    if (tunnel?.kind === 'on-demand')
      refuse(`tunnel ${hop.name} is on-demand; routes to its peers come with them`)
  }
  if (hop.kind !== 'interface' || !interfaces.has(hop.name)) return
  const bound = boundTunnel(config, name, hop.name)
  if (bound?.kind === 'on-demand')
    refuse(
      `interface ${hop.name} is that of on-demand tunnel ${bound.name}; routes to its peers come with them`,
    )
  if (bound === undefined)
    refuse(
      `no circuit tunnel is bound to interface ${hop.name}; add bind interface ${hop.name} ${name} to one`,
    )
}

/** A tunnel's packets have one family on each side of a route. */
function checkSource({ error }: CheckContext, route: StaticRoute) {
  if (route.source === undefined || addressFamily(route.source) === familyOfPrefix(route.prefix)) return
  error(route.line, 'route', `ip route ${route.prefix}: source ${route.source} is of the other IP version`)
}

/** The outer packets of the tunnel would be routed into the tunnel itself, unless the host has a better route. */
function checkRecursion({ config, warn }: CheckContext, context: Context, route: StaticRoute) {
  const tunnel = tunnelOfRoute(config, context, route)
  if (tunnel?.remote === undefined || !prefixContains(route.prefix, tunnel.remote)) return
  warn(
    route.line,
    'route-recursion',
    `ip route ${route.prefix} covers ${tunnel.remote}, the end point of its own tunnel ${tunnel.name}; the host needs a more specific route to that address`,
  )
}

function tunnelOfRoute(config: Config, context: Context, { nextHop }: StaticRoute): TunnelConfig | undefined {
  if (nextHop.kind === 'tunnel') return config.tunnels.get(nextHop.name)
  return nextHop.kind === 'interface' ? boundTunnel(config, context.name, nextHop.name) : undefined
}

function boundTunnel(config: Config, context: string, device: string): TunnelConfig | undefined {
  return [...config.tunnels.values()].find(
    (tunnel) =>
      tunnel.mode === 'circuit' && tunnel.bind?.interface === device && tunnel.bind.context === context,
  )
}

function familyOfPrefix(prefix: string) {
  return addressFamily(prefix.split('/')[0])
}
