// Looks for faults of a gateway, and tells the log which alarms come and go.
//
//   tunnel       not up although it is wanted; only tunnels that say `alarms`
//   no-cert      an identity or trust in use has no valid certificate      cert-expiry   it will have none soon
//   asp          a processor of the card is down

import type { Identity, TunnelConfig } from '../config/model.ts'
import { REASONS } from '../explain.ts'
import type { Gateway } from '../gateway.ts'
import { CertificateWatch } from '../pki/certificate-watch.ts'
import { pkiFacts } from '../pki/facts.ts'
import { type AlarmChange, type AlarmKind, Alarms, type Condition } from '../tunnel/alarms.ts'
import { causeOf, stateOf, type Tunnel } from '../tunnel/record.ts'
import { escapeText } from './escape.ts'

export class AlarmWatch {
  readonly alarms = new Alarms()
  readonly certificates: CertificateWatch
  readonly #gateway: Gateway

  constructor(gateway: Gateway) {
    this.#gateway = gateway
    this.certificates = new CertificateWatch(pkiFacts(gateway.ports.files))
  }

  /** Compares what is with what was; to be called now and then, and when a tunnel or an ASP changed. */
  look() {
    const { config, ports } = this.#gateway
    const moment = { now: ports.clock.now(), wall: ports.clock.wall(), hold: config.alarmHolddown * 1000 }
    const certificates = this.certificates.faults(config, moment.now, moment.wall)
    const conditions = [
      ...this.#tunnels(),
      ...this.#asps(),
      ...certificates.map((fault) => ({ ...NOBODY, ...fault, cause: escapeText(fault.cause), atOnce: true })),
    ]
    for (const change of this.alarms.update(conditions, moment)) this.#tell(change)
  }

  #tunnels(): Condition[] {
    return [...this.#gateway.tunnels.values()].filter(isAmiss).map((tunnel) => ({
      key: `tunnel ${tunnel.config.name}`,
      kind: 'tunnel',
      tunnel: tunnel.config.name,
      ...this.#remoteId(tunnel.config),
      cause: causeText(tunnel),
      atOnce: tunnel.reason === 'peer-dead',
    }))
  }

  #asps(): Condition[] {
    const down = this.#gateway.ports.card.asps().filter(({ state }) => state === 'down')
    return down.map(({ asp }) => ({
      ...NOBODY,
      key: `asp ${asp}`,
      kind: 'asp',
      cause: `ASP ${asp} is down`,
      atOnce: true,
    }))
  }

  #remoteId({ ikePolicy, remote }: TunnelConfig) {
    const id = this.#gateway.config.ikePolicies.get(ikePolicy ?? '')?.remoteId
    const wanted: Identity | null = id === undefined || id === 'any' ? null : id
    if (wanted !== null) return { remoteIdType: wanted.kind, remoteId: wanted.value }
    return { remoteIdType: remote === undefined ? null : 'address', remoteId: remote ?? null }
  }

  #tell({ alarm, raised }: AlarmChange) {
    const { id, kind, tunnel, cause } = alarm
    const fields = { reason: 'alarm', kind, ...(tunnel === null ? {} : { tunnel }) }
    const { log } = this.#gateway.ports
    if (raised) log.log(LEVEL[kind], `alarm ${id} raised: ${cause}`, fields)
    else log.log('info', `alarm ${id} cleared: ${cause}`, fields)
  }
}

const NOBODY = { tunnel: null, remoteIdType: null, remoteId: null }
const LEVEL: Record<AlarmKind, 'warning' | 'error'> = {
  tunnel: 'error',
  'no-cert': 'error',
  'cert-expiry': 'warning',
  asp: 'error',
}

/** Wanted and not up. A tunnel that waits for its first packet is not wanted yet; templates have no state of their own. */
function isAmiss({ config, member, phase, triggered }: Tunnel): boolean {
  if (!config.alarms || member !== null || config.kind === 'on-demand') return false
  if (phase === 'up' || phase === 'shutdown') return false
  return config.start !== 'traffic' || triggered
}

function causeText(tunnel: Tunnel): string {
  const state = stateOf(tunnel) === 'negotiating' ? 'it is negotiating' : 'it is down'
  if (tunnel.reason === null) return `tunnel ${tunnel.config.name}: ${state}`
  const cause = causeOf(tunnel)
  const { meaning } = REASONS[tunnel.reason]
  return escapeText(`tunnel ${tunnel.config.name}: ${cause ?? meaning}`)
}
