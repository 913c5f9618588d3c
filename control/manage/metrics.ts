// Metrics of the gateway: names asegate_*, base units, counters end in _total, labels stable across rekeys.
//
// A tunnel that is down does not vanish: configured and up are gauges of their own, and its counters stay.

import type { Gateway } from '../gateway.ts'
import type { AlarmKind } from '../tunnel/alarms.ts'
import { groupOfTunnel } from '../tunnel/asp.ts'
import { stateOf, type Tunnel } from '../tunnel/record.ts'
import type { TallyName } from '../tunnel/tally.ts'
import { allDrops } from './baseline.ts'
import type { Metric, Sample } from './exposition.ts'

/** Everything asegate_*, in the order of the page. */
export function gatewayMetrics(gateway: Gateway): Metric[] {
  return [
    ...programMetrics(gateway),
    ...tunnelMetrics(gateway),
    ...saMetrics(gateway),
    ...eventMetrics(gateway),
    ...aspMetrics(gateway),
    ...alarmMetrics(gateway),
    ...dropMetrics(gateway),
  ]
}

function gauge(name: string, help: string, samples: Sample[]): Metric {
  return { name: `asegate_${name}`, type: 'gauge', help, samples }
}

function counter(name: string, help: string, samples: Sample[]): Metric {
  return { name: `asegate_${name}_total`, type: 'counter', help, samples }
}

function programMetrics(gateway: Gateway): Metric[] {
  const { version, node } = gateway.options
  const { abiVersion, build } = gateway.ports.card
  const info = { version, node, abi: String(abiVersion), build }
  const started = gateway.startedAt === null ? [] : [{ value: gateway.startedAt / 1000 }]
  return [
    gauge('build_info', 'Version of the program, of Node and of the card.', [{ labels: info, value: 1 }]),
    gauge('start_time_seconds', 'When the gateway was started, seconds since 1970.', started),
  ]
}

// ---- tunnels

function tunnelMetrics(gateway: Gateway): Metric[] {
  const tunnels = [...gateway.tunnels.values()]
  const each = (value: (tunnel: Tunnel) => number) =>
    tunnels.map((tunnel) => ({ labels: { tunnel: tunnel.config.name }, value: value(tunnel) }))
  const configured = tunnels.map(({ config }) => ({
    labels: { tunnel: config.name, kind: config.kind, mode: config.mode },
    value: 1,
  }))
  const reasons = tunnels.flatMap(({ config, reason }) =>
    reason === null ? [] : [{ labels: { tunnel: config.name, reason }, value: 1 }],
  )
  return [
    gauge(
      'tunnel_configured',
      'Tunnels of the configuration, and accepted peers of on-demand tunnels.',
      configured,
    ),
    gauge(
      'tunnel_up',
      'Whether the tunnel carries traffic.',
      each((tunnel) => Number(stateOf(tunnel) === 'up')),
    ),
    gauge('tunnel_reason_info', 'Why the tunnel is not up.', reasons),
    gauge(
      'tunnel_failures',
      'Failed attempts since the tunnel last held.',
      each(({ failures }) => failures),
    ),
    ...trafficMetrics(gateway, tunnels),
  ]
}

type Traffic = ReturnType<Gateway['ports']['card']['tunnelCounters']>

const TRAFFIC: [keyof Traffic, string, string][] = [
  ['rxPackets', 'tunnel_received_packets', 'Inner packets received through the tunnel.'],
  ['rxBytes', 'tunnel_received_bytes', 'Inner bytes received through the tunnel.'],
  ['txPackets', 'tunnel_sent_packets', 'Inner packets sent into the tunnel.'],
  ['txBytes', 'tunnel_sent_bytes', 'Inner bytes sent into the tunnel.'],
  ['drops', 'tunnel_dropped_packets', 'Packets of the tunnel that the card dropped.'],
]

function trafficMetrics(gateway: Gateway, tunnels: Tunnel[]): Metric[] {
  const counted = tunnels.flatMap(({ config }) => {
    const slot = gateway.dataplane.slot(config.name)
    if (slot === undefined || slot.ref < 0) return []
    return [{ tunnel: config.name, counters: gateway.ports.card.tunnelCounters(slot.ref) }]
  })
  return TRAFFIC.map(([key, name, help]) =>
    counter(
      name,
      help,
      counted.map(({ tunnel, counters }) => ({ labels: { tunnel }, value: counters[key] })),
    ),
  )
}

// ---- SAs

const HALF_OPEN = new Set(['init', 'auth'])

function saMetrics(gateway: Gateway): Metric[] {
  const states = Map.groupBy(gateway.ikeSas(), ({ state }) => state)
  const ike = [...states].map(([state, sas]) => ({ labels: { state }, value: sas.length }))
  const halfOpen = ike.filter(({ labels }) => HALF_OPEN.has(labels.state))
  const entries = gateway.dataplane.children.entries().filter(({ direction }) => direction === 'in')
  const children = Map.groupBy(entries, ({ tunnel }) => tunnel)
  return [
    gauge('ike_sas', 'IKE SAs by state.', ike),
    gauge('half_open_ike_sas', 'IKE SAs that are not authenticated yet.', [
      { value: halfOpen.reduce((sum, { value }) => sum + value, 0) },
    ]),
    gauge(
      'ipsec_sas',
      'Pairs of IPsec SAs in the card.',
      [...gateway.tunnels.keys()].map((tunnel) => ({
        labels: { tunnel },
        value: children.get(tunnel)?.length ?? 0,
      })),
    ),
  ]
}

// ---- what happened

/** Counted for every tunnel from zero on, so that a rate exists before the first event. */
const PER_TUNNEL: [TallyName, string][] = [
  ['tunnel_ups', 'Times the tunnel came up.'],
  ['ike_sa_setups', 'IKE SAs negotiated, renewals not counted.'],
  ['ike_sa_rekeys', 'IKE SAs renewed.'],
  ['child_sa_setups', 'Child SAs negotiated, renewals not counted.'],
  ['child_sa_rekeys', 'Child SAs renewed.'],
]
const BY_REASON: [TallyName, string][] = [
  ['sa_ends', 'SAs that ended, by kind and reason.'],
  ['negotiation_failures', 'Negotiations that failed, by reason.'],
  ['gated_sa_setups', 'SAs set up with cryptography that needed a gate.'],
  ['public_key_jobs', 'Public-key work for IKE: key pairs, secrets, signatures.'],
]

function eventMetrics(gateway: Gateway): Metric[] {
  const zeros = [...gateway.tunnels.keys()].map((tunnel) => ({ labels: { tunnel }, value: 0 }))
  const fromZero = PER_TUNNEL.map(([name, help]) => {
    const counted = new Map(gateway.tally.of(name).map((count) => [count.labels.tunnel, count]))
    return counter(
      name,
      help,
      zeros.map((zero) => counted.get(zero.labels.tunnel) ?? zero),
    )
  })
  return [...fromZero, ...BY_REASON.map(([name, help]) => counter(name, help, gateway.tally.of(name)))]
}

// ---- the card

function aspMetrics(gateway: Gateway): Metric[] {
  const asps = gateway.ports.card.asps()
  const each = (value: (asp: (typeof asps)[number]) => number | bigint) =>
    asps.map((one) => ({ labels: { asp: String(one.asp) }, value: value(one) }))
  return [
    gauge(
      'asp_up',
      'Whether the ASP works.',
      each(({ state }) => Number(state === 'up')),
    ),
    gauge(
      'asp_standby',
      'Whether the ASP waits to take over.',
      each(({ asp }) => Number(isStandby(gateway, asp))),
    ),
    gauge(
      'asp_tunnels',
      'Tunnels on the ASP.',
      each(({ asp }) => gateway.dataplane.tunnelsOf(asp).length),
    ),
    counter(
      'asp_packets',
      'Packets that the ASP has worked on.',
      each(({ packets }) => packets),
    ),
  ]
}

function isStandby(gateway: Gateway, asp: number): boolean {
  const groups = [...gateway.config.tunnels.values()].map((tunnel) => groupOfTunnel(gateway.config, tunnel))
  const isActive = groups.some(({ active }) => active.includes(asp))
  return !isActive && groups.some(({ standby }) => standby.includes(asp))
}

const ALARM_KINDS: AlarmKind[] = ['tunnel', 'cert-expiry', 'no-cert', 'asp']

function alarmMetrics(gateway: Gateway): Metric[] {
  const { alarms, certificates } = gateway.alarms
  const active = alarms.active()
  const expiries = certificates.used(gateway.config, gateway.now()).flatMap(({ use, name, facts }) => {
    if (typeof facts === 'string' || facts.length === 0) return []
    const first = Math.min(...facts.map(({ notAfter }) => notAfter))
    return [{ labels: { use, name }, value: Math.floor(first / 1000) }]
  })
  return [
    gauge(
      'alarms',
      'Alarms that are raised, by kind.',
      ALARM_KINDS.map((kind) => ({
        labels: { kind },
        value: active.filter((alarm) => alarm.kind === kind).length,
      })),
    ),
    gauge(
      'certificate_expiry_seconds',
      'When the first certificate of an identity or trust in use expires, seconds since 1970.',
      expiries,
    ),
  ]
}

function dropMetrics(gateway: Gateway): Metric[] {
  const drops = allDrops(gateway).map(({ reason, packets }) => ({ labels: { reason }, value: packets }))
  return [counter('dropped_packets', 'Packets and IKE datagrams dropped, by reason.', drops)]
}
