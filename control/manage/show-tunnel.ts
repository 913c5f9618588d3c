// `show tunnel ipsec`: wanted and actual state of every tunnel; with `detail` everything that explains it.

import { describeSelector } from '../address.ts'
import type { Values } from '../config/match.ts'
import type { Identity, TunnelConfig } from '../config/model.ts'
import { selectorsOf } from '../config/selectors.ts'
import { REASONS, renderEndpoint, reportData } from '../explain.ts'
import type { Gateway } from '../gateway.ts'
import type { IkeSaView } from '../sa/contract.ts'
import type { SaEntry } from '../tunnel/children.ts'
import { DEFAULT_MAX_TUNNELS } from '../tunnel/on-demand.ts'
import { deviceOf, staticRoutes, tunnelsOfRoutes } from '../tunnel/plan.ts'
import { causeOf, type KeptReport, stateOf, type Tunnel, type TunnelState } from '../tunnel/record.ts'
import { escapeText, plainNumber, safeValue } from './escape.ts'
import { tunnelsNamed } from './find.ts'
import { childGates, ikeGates } from './gates.ts'
import { ipsecSaRow } from './show-sa.ts'

export function showTunnels(gateway: Gateway, values: Values) {
  const tunnels = tunnelsNamed(gateway, values.maybe('name'))
  const sas = sasByTunnel(gateway)
  return tunnels.map((tunnel) =>
    values.has('detail') ? detailRow(gateway, tunnel, sas) : tunnelRow(gateway, tunnel, sas),
  )
}

/** SAs by the tunnel they belong to: asked once, for a thousand tunnels. */
type Sas = { ike: Map<string, IkeSaView[]>; ipsec: Map<string, SaEntry[]> }

function sasByTunnel(gateway: Gateway): Sas {
  return {
    ike: Map.groupBy(gateway.ikeSas(), ({ tunnel }) => tunnel ?? ''),
    ipsec: Map.groupBy(gateway.dataplane.children.entries(), ({ tunnel }) => tunnel),
  }
}

function tunnelRow(gateway: Gateway, tunnel: Tunnel, sas: Sas) {
  const { config } = tunnel
  const slot = gateway.dataplane.slot(config.name)
  return {
    name: config.name,
    kind: config.kind,
    mode: config.mode,
    state: shownState(gateway, tunnel),
    reason: tunnel.reason,
    local: tunnel.local ?? config.local ?? null,
    remote: (slot?.up ? slot.ends.remote.address : tunnel.remote) ?? config.remote ?? null,
    remoteId: remoteId(gateway, config, sas),
    interface: deviceOf(config),
    asp: slot?.asp ?? null,
    gate: tunnelGates(config.name, sas),
  }
}

/** An on-demand tunnel is up as long as one of its peers is. */
function shownState(gateway: Gateway, tunnel: Tunnel): TunnelState {
  const state = stateOf(tunnel)
  const isTemplate = tunnel.config.kind === 'on-demand' && tunnel.member === null
  if (!isTemplate || state === 'shutdown') return state
  return membersOf(gateway, tunnel).some((each) => stateOf(each) === 'up') ? 'up' : 'down'
}

/** The accepted peers of an on-demand tunnel. */
function membersOf(gateway: Gateway, { config }: Tunnel): Tunnel[] {
  return [...gateway.tunnels.values()].filter(({ member }) => member?.template === config.name)
}

/** The identity the peer proved; before that the one it must prove. */
function remoteId(gateway: Gateway, config: TunnelConfig, sas: Sas): string | null {
  const proven = sas.ike.get(config.name)?.find(({ remoteId: id }) => id !== null)
  if (proven?.remoteId) return escapeText(proven.remoteId)
  const wanted = gateway.config.ikePolicies.get(config.ikePolicy ?? '')?.remoteId
  return wanted === undefined ? null : identityText(wanted)
}

function identityText(id: Identity | 'any'): string {
  return id === 'any' ? 'any' : `${id.kind} ${id.value}`
}

function tunnelGates(name: string, sas: Sas): string[] {
  const entries = sas.ipsec.get(name) ?? []
  const ike = sas.ike.get(name) ?? []
  return [...new Set([...ike.flatMap(ikeGates), ...entries.flatMap(childGates)])]
}

/** What each mode is and costs (features: circuit-based and economical path). */
const COST = {
  circuit:
    'seven stages (ippa eppa loop ippa ase egress port); a device, counters and an MTU of its own; any routing protocol',
  economical:
    'four stages (ippa ase egress port); no device of its own, shares ase0; static routes and BGP only',
} as const

function detailRow(gateway: Gateway, tunnel: Tunnel, sas: Sas) {
  const { config } = tunnel
  const { local, remote } = selectorsOf(gateway.config, config)
  const now = gateway.now()
  return {
    ...tunnelRow(gateway, tunnel, sas),
    ...onDemandSide(gateway, tunnel),
    description: config.description === undefined ? null : escapeText(config.description),
    meaning: tunnel.reason === null ? null : REASONS[tunnel.reason].meaning,
    cause: safeValue(causeOf(tunnel)),
    advice: tunnel.reason === null ? null : REASONS[tunnel.reason].advice,
    phase: tunnel.phase,
    inPhase: Math.round((now - tunnel.since) / 1000),
    failures: tunnel.failures,
    retryIn: tunnel.phase === 'waiting' ? Math.max(0, Math.round((tunnel.retryAt - now) / 1000)) : null,
    path: COST[config.mode],
    ...machineSide(gateway, config),
    selectors: { local: local.map(describeSelector), remote: remote.map(describeSelector) },
    routes: routesInto(gateway, config),
    sas: (sas.ipsec.get(config.name) ?? []).map((entry) => ipsecSaRow(gateway, entry)),
    deaths: tunnel.deaths.map((death) => ({ ...death, at: new Date(death.at).toISOString() })),
    reports: tunnel.reports.map((report) => safeValue(reportRow(report), REPORT_DEPTH)),
  }
}

/** Of an on-demand tunnel its peers, of an accepted peer where it belongs and what it brought. */
function onDemandSide(gateway: Gateway, tunnel: Tunnel) {
  const { config, member } = tunnel
  if (member !== null) return { template: member.template, networks: member.networks }
  if (config.kind !== 'on-demand') return {}
  const peers = membersOf(gateway, tunnel).map((each) => each.config.name)
  return { peers, maxTunnels: config.maxTunnels ?? DEFAULT_MAX_TUNNELS }
}

/** Nesting of an explanation: report, explanation, proposals, proposal, differences, difference, values. */
const REPORT_DEPTH = 8

function reportRow(report: KeptReport) {
  return { at: new Date(report.at).toISOString(), times: report.times, ...reportData(report) }
}

function machineSide(gateway: Gateway, config: TunnelConfig) {
  const slot = gateway.dataplane.slot(config.name)
  if (slot === undefined) return { mtu: null, encapsulation: null, outer: null, counters: null, stages: [] }
  const counters = gateway.ports.card.tunnelCounters(slot.ref)
  const { local, remote, encapsulation } = slot.ends
  return {
    mtu: slot.mtu,
    encapsulation: slot.up ? encapsulation : null,
    outer: slot.up ? { local, remote: renderEndpoint(remote) } : null,
    counters: Object.fromEntries(Object.entries(counters).map(([key, value]) => [key, plainNumber(value)])),
    stages: gateway.ports.card
      .stages(slot.ref)
      .map(({ stage, packets }) => ({ stage, packets: plainNumber(packets) })),
  }
}

function routesInto(gateway: Gateway, config: TunnelConfig): string[] {
  const laidOut = gateway.machineConfig
  const tunnelOf = tunnelsOfRoutes(laidOut)
  const own = staticRoutes(laidOut).filter((route) => tunnelOf(route)?.name === config.name)
  return own.map(
    ({ prefix, distance, withdraw }) => `${prefix} distance ${distance}${withdraw ? ' withdraw' : ''}`,
  )
}
