// The log: one event a line, JSON or text, each with tunnel and reason where it has them, and a bounded
// ring of the last lines for `show log`. What it promises: no control character and no secret leaves here,
// a line has a bounded length, a repeated message from outside cannot fill the disk.

import type { Clock, Log, LogFields, LogLevel } from '../ports.ts'
import { escapeText, safeValue } from './escape.ts'

/** One line as data; time is wall clock, ISO 8601 UTC. */
export type LogEntry = {
  time: string
  level: LogLevel
  message: string
  tunnel: string | null
  reason: string | null
  fields: Record<string, unknown>
}

export type LogOptions = {
  level: LogLevel
  format: 'json' | 'text'
  /** receives one line with its newline */
  write: (line: string) => void
  clock: Pick<Clock, 'wall' | 'now'>
}

/** Lines kept for `show log`. */
export const RING_LINES = 1000
/** Longest line of free text, characters. */
const LONGEST_MESSAGE = 2048
const SEVERITY: Record<LogLevel, number> = { debug: 0, info: 1, warning: 2, error: 3 }

export type MemoryLog = Log & {
  /** the newest `last` entries, oldest first; of one tunnel when named */
  entries(last: number, tunnel?: string): LogEntry[]
}

/** Creates the log of one gateway. */
export function createLog(options: LogOptions): MemoryLog {
  const ring: LogEntry[] = []
  return {
    log(level, message, fields = {}) {
      const entry = makeEntry(options.clock.wall(), level, message, fields)
      if (ring.push(entry) > RING_LINES) ring.shift()
      if (SEVERITY[level] < SEVERITY[options.level]) return
      options.write(options.format === 'json' ? jsonLine(entry) : textLine(entry))
    },
    entries(last, tunnel) {
      const chosen = tunnel === undefined ? ring : ring.filter((entry) => entry.tunnel === tunnel)
      return last > 0 ? chosen.slice(-last) : []
    },
  }
}

function makeEntry(wall: number, level: LogLevel, message: string, fields: LogFields): LogEntry {
  const { tunnel, reason, ...rest } = fields
  return {
    time: new Date(wall).toISOString(),
    level,
    message: escapeText(message, LONGEST_MESSAGE),
    tunnel: tunnel === undefined ? null : escapeText(tunnel, 64),
    reason: reason === undefined ? null : escapeText(reason, 64),
    fields: safeValue(rest) as Record<string, unknown>,
  }
}

function jsonLine(entry: LogEntry): string {
  const { fields, ...head } = entry
  return `${JSON.stringify({ ...fields, ...head })}\n`
}

/** `2026-11-23T18:00:00.000Z warning tunnel=a reason=no-answer the text key=value`. */
export function textLine(entry: LogEntry): string {
  const words: string[] = [entry.time, entry.level]
  if (entry.tunnel !== null) words.push(`tunnel=${entry.tunnel}`)
  if (entry.reason !== null) words.push(`reason=${entry.reason}`)
  words.push(entry.message)
  for (const [key, value] of Object.entries(entry.fields)) words.push(`${key}=${fieldText(value)}`)
  return `${words.join(' ')}\n`
}

function fieldText(value: unknown): string {
  return typeof value === 'string' && !/[\s"=]/.test(value) ? value : JSON.stringify(value)
}

/**
 * Passes at most `burst` messages of one code in each window and then says how many it held back:
 * unauthenticated input may not write the log at its own speed.
 */
export function createLimiter(now: () => number, burst = 5, windowMs = 10_000) {
  const seen = new Map<string, { start: number; count: number }>()
  return (code: string): { pass: boolean; held: number } => {
    const time = now()
    const entry = seen.get(code)
    if (entry === undefined || time - entry.start >= windowMs) {
      if (seen.size > 256) seen.clear()
      seen.set(code, { start: time, count: 1 })
      return { pass: true, held: Math.max(0, (entry?.count ?? 0) - burst) }
    }
    entry.count += 1
    return { pass: entry.count <= burst, held: 0 }
  }
}
