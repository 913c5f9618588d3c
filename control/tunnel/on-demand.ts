// On-demand tunnels: one template, many peers that are told apart by the identity they have proven.
//
// An accepted peer becomes a member: a tunnel of its own named TEMPLATE-N, with a device INTERFACE-N of the multibind
// interface where the template is in circuit mode. The networks it negotiated become routes into that tunnel, for as
// long as the tunnel is up. To the machine (devices, routes, card) a template does not exist and its members are
// tunnels like any other: machineConfig() writes them into a copy of the configuration.

import { formatPrefix, rangePrefixes } from '../address.ts'
import { LOCAL_CONTEXT, newContext } from '../config/defaults.ts'
import type { Config, Context, Identity, Interface, StaticRoute, TunnelConfig } from '../config/model.ts'
import type { Endpoint, TrafficSelector } from '../ports.ts'
import type { IkeSaId } from '../sa/contract.ts'

/** Members of a template that names no max-tunnels. */
export const DEFAULT_MAX_TUNNELS = 8

/** One accepted peer. */
export type Member = {
  template: string
  /** 1 .. max-tunnels, unique in the template */
  number: number
  identity: Identity
  local: Endpoint
  remote: Endpoint
  /** prefixes of what it negotiated, canonical text */
  networks: string[]
  /** its IKE SAs: with the last of them it goes */
  ikeSas: Set<IkeSaId>
}

/** `cpe-3`, `od-3`. */
export function memberName(base: string, number: number): string {
  return `${base}-${number}`
}

/** Whether two proven identities are the same peer. Names are compared without case (RFC 4343). */
export function sameIdentity(a: Identity, b: Identity): boolean {
  return a.kind === b.kind && a.value.toLowerCase() === b.value.toLowerCase()
}

/** The lowest number that no member has. */
export function freeNumber(members: Iterable<Member>): number {
  const taken = new Set([...members].map(({ number }) => number))
  let number = 1
  while (taken.has(number)) number += 1
  return number
}

/** The tunnel of a member, as if it had been configured. */
export function memberTunnel(template: TunnelConfig, { number, remote }: Member): TunnelConfig {
  const bind = template.bind && { ...template.bind, interface: memberName(template.bind.interface, number) }
  return { ...template, name: memberName(template.name, number), bind, remote: remote.address }
}

/** Prefixes that cover exactly what the selectors name, protocols and ports left out; without repetitions. */
export function networksOf(selectors: TrafficSelector[]): string[] {
  return [...new Set(selectors.flatMap((selector) => rangePrefixes(selector).map(formatPrefix)))]
}

/** The configuration that the machine is laid out for: members in the place of their templates. */
export function machineConfig(config: Config, members: ReadonlyMap<string, Member>): Config {
  const tunnels = new Map([...config.tunnels].filter(([, { kind }]) => kind !== 'on-demand'))
  const contexts = new Map([...config.contexts].map(([name, context]) => [name, copyOf(context)]))
  for (const member of members.values()) {
    const template = config.tunnels.get(member.template)
    if (template === undefined) continue
    const tunnel = memberTunnel(template, member)
    tunnels.set(tunnel.name, tunnel)
    const name = tunnel.bind?.context ?? LOCAL_CONTEXT
    const context = contexts.get(name) ?? newContext(name, 0)
    contexts.set(name, context)
    addMember(context, template, tunnel, member)
  }
  return { ...config, tunnels, contexts }
}

function copyOf(context: Context): Context {
  return { ...context, interfaces: new Map(context.interfaces), routes: [...context.routes] }
}

/** The member's device and the routes to its networks. */
function addMember(context: Context, template: TunnelConfig, tunnel: TunnelConfig, member: Member) {
  const base = template.bind && context.interfaces.get(template.bind.interface)
  if (base !== undefined && tunnel.bind !== undefined)
    context.interfaces.set(tunnel.bind.interface, deviceOfMember(base, tunnel.bind.interface))
  context.routes.push(...memberRoutes(tunnel, member))
}

function deviceOfMember(base: Interface, name: string): Interface {
  return { ...base, name, multibind: false }
}

/** They go with the tunnel: a guard for a peer that may never come back would be a hole for ever. */
function memberRoutes(tunnel: TunnelConfig, { networks }: Member): StaticRoute[] {
  const nextHop =
    tunnel.bind === undefined
      ? { kind: 'tunnel' as const, name: tunnel.name }
      : { kind: 'interface' as const, name: tunnel.bind.interface }
  return networks.map((prefix) => ({
    line: tunnel.line,
    prefix,
    nextHop,
    distance: 1,
    withdraw: true,
    peer: true,
  }))
}
