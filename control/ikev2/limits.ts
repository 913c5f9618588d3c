// What an unauthenticated source may make us say, to it or to the operator: once per address and interval.

import type { Context } from './state.ts'

/** Addresses remembered; when there are more, the memory starts afresh: bounded, and at worst a few answers too many. */
const MAX_REMEMBERED = 10_000

function once(seen: Map<string, number>, key: string, now: number, interval: number): boolean {
  const last = seen.get(key)
  if (last !== undefined && now - last < interval) return false
  if (seen.size >= MAX_REMEMBERED) seen.clear()
  seen.set(key, now)
  return true
}

/** May this address get an error in clear now? An error must not become a weapon (RFC 7296 §2.21.1, §2.21.4). */
export function mayAnswerInClear(context: Context, address: string): boolean {
  return once(context.state.clearAnswers, address, context.now, context.options.clearAnswerMs)
}

/** May a refusal of this address be reported now? The counters go on counting. */
export function mayReportInClear(context: Context, address: string): boolean {
  return once(context.state.clearReports, address, context.now, context.options.clearAnswerMs)
}
