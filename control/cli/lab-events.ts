// What a lab tells while it runs: one stream for the screen, for --json and for the tests, whichever
// machine the gateways stand on.

import type { LabName } from './lab-plan.ts'
import type { IkeSeen, WireCounts } from './lab-wire.ts'

/** Where the gateways run: in namespaces as root, in namespaces of a user namespace, or in one process. */
export type LabMode = 'namespaces' | 'user-namespaces' | 'in-process'

/** A row of a show command, as the control socket gives it. */
export type LabRow = Record<string, unknown>

/** An object of `show tunnel ipsec`, with the gateway that said it. */
export type LabTunnel = { gateway: string; name: string; state: string; reason: string | null } & LabRow
export type PingResult = {
  from: string
  to: string
  sent: number
  received: number
  averageMs: number | null
}

export type LabResult = {
  lab: LabName
  mode: LabMode
  tunnels: LabTunnel[]
  pings: { sent: number; received: number }
  /** sent into the tunnels before both ends were there: none may be answered or seen in clear */
  pingsWhileDown: { sent: number; received: number }
  /** frames on the middle wire that were clear by kind, by address or by content */
  clearOnWire: number
  wire: WireCounts
  /** frames the capture missed; anything but 0 spoils the verdict */
  captureDropped: number
  /** clear test packets the capture was shown first, and how many it saw */
  captureTest: { sent: number; seen: number }
  seconds: number
}

export type LabEvent =
  | { kind: 'hello'; pid: number }
  | { kind: 'unavailable'; reason: string }
  | { kind: 'step'; title: string; text: string }
  | { kind: 'ike'; seen: IkeSeen; fromName: string; toName: string }
  | { kind: 'tunnel'; tunnel: LabTunnel }
  | { kind: 'ike-sas'; gateway: string; rows: LabRow[] }
  | { kind: 'ipsec-sas'; gateway: string; rows: LabRow[] }
  | { kind: 'drops'; gateway: string; rows: LabRow[] }
  | { kind: 'pings'; results: PingResult[] }
  | { kind: 'wire'; counts: WireCounts }
  | { kind: 'result'; ok: boolean; reason: string | null; result: LabResult }
  | { kind: 'next'; commands: [command: string, does: string][] }
  | { kind: 'failed'; reason: string; logs: { gateway: string; lines: string[] }[] }

export type Emit = (event: LabEvent) => void
