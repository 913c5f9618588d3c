// One tunnel as the gateway knows it: what is wanted (its configuration) and what is (phase, reason, SAs).
// The reason of the last end stays until the next success, so that a down tunnel always says why.

import type { TunnelConfig } from '../config/model.ts'
import type { Address, Encapsulation } from '../ports.ts'
import type { ChildSaId, IkeSaId, Reason, Report } from '../sa/contract.ts'
import type { Member } from './on-demand.ts'

/**
 * shutdown     not wanted
 * idle         waits for the peer (responder) or for traffic
 * resolving    asks for the peer's address
 * negotiating  an attempt runs
 * waiting      the last attempt failed; retryAt says when the next begins
 * up           at least one Child SA sends
 */
export type Phase = 'shutdown' | 'idle' | 'resolving' | 'negotiating' | 'waiting' | 'up'

/** State word of `show tunnel ipsec`. */
export type TunnelState = 'up' | 'negotiating' | 'down' | 'shutdown'

/** An SA that is no more, and why. */
export type Death = {
  kind: 'ike' | 'child' | 'manual'
  id: IkeSaId | ChildSaId
  reason: Reason | 'replaced'
  at: number // wall clock, ms
}

/** A report that was kept; `at` is the wall clock of its last repetition in ms, `times` counts equal ones in a row. */
export type KeptReport = Report & { at: number; times: number }

export type Tunnel = {
  config: TunnelConfig
  phase: Phase
  reason: Reason | null
  /** monotonic ms of the last change of phase */
  since: number
  /** failed attempts since the tunnel last held for a while */
  failures: number
  /** monotonic ms; Infinity when only an event can move the tunnel */
  retryAt: number
  /** true once traffic asked for it (start traffic) */
  triggered: boolean
  local: Address | null
  remote: Address | null
  encapsulation: Encapsulation | null
  /** Child SAs in the card; true = allowed to send */
  children: Map<ChildSaId, boolean>
  /** the accepted peer that an on-demand tunnel was made for; null: configured */
  member: Member | null
  deaths: Death[]
  reports: KeptReport[]
}

const DEATHS_KEPT = 16
const REPORTS_KEPT = 8

/** A tunnel before its first attempt. */
export function newTunnel(config: TunnelConfig, now: number): Tunnel {
  return {
    config,
    phase: 'idle',
    reason: null,
    since: now,
    failures: 0,
    retryAt: now,
    triggered: false,
    local: null,
    remote: null,
    encapsulation: null,
    children: new Map(),
    member: null,
    deaths: [],
    reports: [],
  }
}

/** The only writer of `phase`. */
export function enter(tunnel: Tunnel, phase: Phase, now: number) {
  if (tunnel.phase !== phase) tunnel.since = now
  tunnel.phase = phase
  if (phase !== 'waiting') tunnel.retryAt = Number.POSITIVE_INFINITY
  if (phase === 'up') tunnel.reason = null
}

export function recordDeath(tunnel: Tunnel, death: Death) {
  if (tunnel.deaths.push(death) > DEATHS_KEPT) tunnel.deaths.shift()
}

/** Keeps the report; false when it only repeats the one before, as a tunnel that is tried again for ever does. */
export function recordReport(tunnel: Tunnel, report: Report, at: number): boolean {
  const last = tunnel.reports.at(-1)
  if (last?.code === report.code && last.text === report.text) {
    Object.assign(last, report, { at, times: last.times + 1 })
    return false
  }
  if (tunnel.reports.push({ ...report, at, times: 1 }) > REPORTS_KEPT) tunnel.reports.shift()
  return true
}

/** The sentence that says why the tunnel is not up: of the newest report about its reason; null when there is none. */
export function causeOf({ reason, reports }: Tunnel): string | null {
  if (reason === null) return null
  return reports.findLast(({ code }) => code === reason)?.text ?? null
}

const STATES: Record<Phase, TunnelState> = {
  shutdown: 'shutdown',
  idle: 'down',
  resolving: 'negotiating',
  negotiating: 'negotiating',
  waiting: 'down',
  up: 'up',
}

export function stateOf(tunnel: Tunnel): TunnelState {
  return STATES[tunnel.phase]
}
