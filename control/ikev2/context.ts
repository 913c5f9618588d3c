// One call into the engine collects its actions here; the helpers keep the handlers short.

import type { Endpoint } from '../ports.ts'
import type { Action, Report } from '../sa/contract.ts'
import type { Context } from './state.ts'

/** Counts a datagram that changed nothing; reason is a name of wire/reasons.ts or ./reasons.ts. */
export function drop(context: Context, reason: string, source: Endpoint | null): void {
  context.actions.push({ kind: 'drop', reason, source })
}

export function act(context: Context, ...actions: Action[]): void {
  context.actions.push(...actions)
}

export function report(context: Context, report: Report): void {
  context.actions.push({ kind: 'report', report })
}

/** One byte of entropy for jitter and fuzz. */
export function randomByte(context: Context): number {
  return context.environment.random(1)[0]
}

/** A whole number in [0, below) from 32 bits of entropy: for waiting times, not for keys. */
export function randomBelow(context: Context, below: number): number {
  const [a, b, c, d] = context.environment.random(4)
  return Math.floor(((a * 0x1000000 + b * 0x10000 + c * 0x100 + d) / 0x1_0000_0000) * below)
}

export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.address === b.address && a.port === b.port
}
