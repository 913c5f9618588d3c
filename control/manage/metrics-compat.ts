// The metrics of ipsec_exporter, name by name, so that dashboards made for it show this gateway too: ipsec_up,
// ipsec_ike_sa_state and so on, and the older ipsec_status. Where it counts connections we have tunnels.

import { describeSelector } from '../address.ts'
import type { Gateway } from '../gateway.ts'
import type { IkeSaView } from '../sa/contract.ts'
import type { SaEntry } from '../tunnel/children.ts'
import { stateOf, type Tunnel } from '../tunnel/record.ts'
import { escapeText } from './escape.ts'
import type { Metric, Sample } from './exposition.ts'

/** States as ipsec_exporter numbers them: created 0, connecting 1, established 2, rekeying 4, rekeyed 5, deleting 6. */
const IKE_STATES: Record<string, number> = {
  init: 1,
  auth: 1,
  fresh: 2,
  established: 2,
  replaced: 5,
  deleting: 6,
}
/** Child SAs in the card are installed. */
const CHILD_INSTALLED = 3
/** ipsec_status: 0 up, 1 connected, 2 down, 4 ignored. */
const STATUS = { up: 0, connected: 1, down: 2, ignored: 4 }
const HALF_OPEN = new Set(['init', 'auth'])

export function compatMetrics(gateway: Gateway): Metric[] {
  const ikeSas = gateway.ikeSas()
  const up = gateway.startedAt === null ? 0 : (gateway.ports.clock.wall() - gateway.startedAt) / 1000
  return [
    gauge('up', 'Whether the gateway answers.', [{ value: 1 }]),
    gauge('uptime_seconds', 'Seconds since the gateway was started.', [
      { value: Math.max(0, Math.round(up)) },
    ]),
    gauge('ike_sas', 'Number of IKE SAs.', [{ value: ikeSas.length }]),
    gauge('half_open_ike_sas', 'Number of half-open IKE SAs.', [
      { value: ikeSas.filter(({ state }) => HALF_OPEN.has(state)).length },
    ]),
    gauge(
      'ike_sa_state',
      IKE_HELP,
      ikeSas.map((sa) => ikeSample(gateway, sa)),
    ),
    ...childMetrics(gateway),
    gauge('status', 'Tunnel: 0 up, 1 connected, 2 down, 4 ignored.', statusSamples(gateway, ikeSas)),
  ]
}

const IKE_HELP = 'IKE SA: 0 created, 1 connecting, 2 established, 4 rekeying, 5 rekeyed, 6 deleting.'

function gauge(name: string, help: string, samples: Sample[]): Metric {
  return { name: `ipsec_${name}`, type: 'gauge', help, samples }
}

function ikeSample(gateway: Gateway, sa: IkeSaView): Sample {
  const labels = {
    name: sa.tunnel ?? '',
    uid: String(sa.id),
    version: String(sa.version),
    local_host: sa.local.address,
    local_id: escapeText(localId(gateway, sa)),
    remote_host: sa.remote.address,
    remote_id: escapeText(sa.remoteId ?? ''),
  }
  return { labels, value: IKE_STATES[sa.state] ?? 0 }
}

/** `local-id` of the IKE policy, else the end point, which a pre-shared key has for identity. */
function localId(gateway: Gateway, sa: IkeSaView): string {
  const tunnel = gateway.tunnels.get(sa.tunnel ?? '')
  const policy = gateway.config.ikePolicies.get(tunnel?.config.ikePolicy ?? '')
  if (policy?.localId !== undefined) return `${policy.localId.kind} ${policy.localId.value}`
  return policy?.localAuth === 'pre-shared-key' ? `address ${sa.local.address}` : ''
}

// ---- Child SAs, a pair each

type Pair = { labels: Record<string, string>; inbound: SaEntry; outbound: SaEntry }

function childMetrics(gateway: Gateway): Metric[] {
  const pairs = pairsOf(gateway)
  const { children } = gateway.dataplane
  const each = (value: (pair: Pair) => number | bigint) =>
    pairs.map((pair) => ({ labels: pair.labels, value: value(pair) }))
  return [
    gauge(
      'child_sa_state',
      'Child SA: 3 installed.',
      each(() => CHILD_INSTALLED),
    ),
    gauge(
      'child_sa_bytes_in',
      'Bytes received.',
      each(({ inbound }) => children.counters(inbound).bytes),
    ),
    gauge(
      'child_sa_bytes_out',
      'Bytes sent.',
      each(({ outbound }) => children.counters(outbound).bytes),
    ),
    gauge(
      'child_sa_packets_in',
      'Packets received.',
      each(({ inbound }) => children.counters(inbound).packets),
    ),
    gauge(
      'child_sa_packets_out',
      'Packets sent.',
      each(({ outbound }) => children.counters(outbound).packets),
    ),
  ]
}

function pairsOf(gateway: Gateway): Pair[] {
  const entries = gateway.dataplane.children.entries().filter(({ child }) => child !== null)
  const byChild = Map.groupBy(entries, ({ child }) => child)
  return [...byChild].flatMap(([child, both]) => {
    const inbound = both.find(({ direction }) => direction === 'in')
    const outbound = both.find(({ direction }) => direction === 'out')
    if (inbound === undefined || outbound === undefined) return []
    const labels = {
      ike_sa_name: inbound.tunnel,
      ike_sa_uid: String(inbound.ikeSa),
      name: inbound.tunnel,
      uid: String(child),
      mode: 'TUNNEL',
      protocol: inbound.protocol.toUpperCase(),
      local_ts: inbound.destination.map(describeSelector).join(' '),
      remote_ts: inbound.source.map(describeSelector).join(' '),
    }
    return [{ labels, inbound, outbound }]
  })
}

function statusSamples(gateway: Gateway, ikeSas: IkeSaView[]): Sample[] {
  const connected = new Set(ikeSas.flatMap(({ state, tunnel }) => (state === 'established' ? [tunnel] : [])))
  return [...gateway.tunnels.values()].map((tunnel) => ({
    labels: { tunnel: tunnel.config.name },
    value: statusOf(tunnel, connected.has(tunnel.config.name)),
  }))
}

function statusOf(tunnel: Tunnel, isConnected: boolean): number {
  const state = stateOf(tunnel)
  if (state === 'up') return STATUS.up
  if (state === 'shutdown') return STATUS.ignored
  return isConnected ? STATUS.connected : STATUS.down
}
