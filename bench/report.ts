// What a benchmark reports: rows as data (the JSON contract), a table and a bar chart for the terminal.

import type { Outcome, Pace } from './rounds.ts'
import type { Size } from './traffic.ts'

/** One line. mpps: million packets a second, gbps: inner bits; both medians. Fields behind `ratio` inform. */
export type Row = {
  suite: string
  direction: 'out' | 'in'
  /** inner bytes of a packet (card) or bytes of a message (kernel) */
  size: Size
  /** packets a burst */
  batch: number
  mpps: number
  gbps: number
  referenceMpps: number
  /** mpps / referenceMpps, median over alternating rounds */
  ratio: number
  bestMpps: number
  bestRatio: number
  /** the native limit: ipsec-mb on one core with 256-bit vectors, and with all that this processor has */
  nativeMpps?: number
  nativeRatio?: number
  nativeWidestMpps?: number
}

/** The line of a contest over packets (messages) of these lengths. */
export function rowOf(
  suite: string,
  direction: Row['direction'],
  size: Size,
  lengths: readonly number[],
  outcome: Outcome,
): Row {
  const bytes = lengths.reduce((sum, length) => sum + length, 0)
  return {
    suite,
    direction,
    size,
    batch: lengths.length,
    mpps: outcome.candidate / 1e6,
    gbps: (outcome.candidate * 8 * bytes) / lengths.length / 1e9,
    referenceMpps: outcome.reference / 1e6,
    ratio: outcome.ratio,
    bestMpps: outcome.bestCandidate / 1e6,
    bestRatio: outcome.bestRatio,
  }
}

/** `left`: what was not measured, a sentence each. */
export type Report = { rows: Row[]; left: string[] }

export type Selection = {
  suites: (name: string) => boolean
  sizes: readonly Size[]
  directions: readonly ('out' | 'in')[]
  pace: Pace
  native: boolean
}

const COLUMNS: readonly [string, number][] = [
  ['suite', 18],
  ['dir', -4],
  ['size', -5],
  ['Mpps', -7],
  ['Gbit/s', -7],
  ['node', -7],
  ['ratio', -7],
  ['best', -7],
]
const NATIVE_COLUMNS: readonly [string, number][] = [
  ['ipsec-mb', -9],
  ['share', -6],
  ['widest', -8],
]

function fitted(text: string, width: number): string {
  return width < 0 ? text.padStart(-width) : text.padEnd(width)
}

export function heading(native: boolean): string {
  const columns = native ? [...COLUMNS, ...NATIVE_COLUMNS] : COLUMNS
  return columns.map(([name, width]) => fitted(name, width)).join('')
}

export function line(row: Row): string {
  const cells = [
    row.suite,
    row.direction,
    String(row.size),
    row.mpps.toFixed(3),
    row.gbps.toFixed(2),
    row.referenceMpps.toFixed(3),
    `${row.ratio.toFixed(1)}x`,
    `${row.bestRatio.toFixed(1)}x`,
  ]
  const text = cells.map((cell, index) => fitted(cell, COLUMNS[index][1])).join('')
  if (row.nativeMpps === undefined || row.nativeRatio === undefined) return text
  const native = `${row.nativeMpps.toFixed(2).padStart(9)}${row.nativeRatio.toFixed(2).padStart(6)}`
  return `${text}${native}${row.nativeWidestMpps!.toFixed(2).padStart(8)}`
}

const BAR = 40
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']

/** Ratios as bars on a logarithmic scale from 1x, one bar a row, at most 79 columns. */
export function chart(rows: readonly Row[]): string {
  const most = Math.max(2, ...rows.map(({ ratio }) => ratio))
  const lines = rows.map((row) => {
    const share = Math.max(0, Math.log(row.ratio) / Math.log(most))
    const label = `${row.suite} ${row.direction} ${row.size}`.slice(0, 29).padEnd(30)
    return `${label}${bar(share)} ${row.ratio.toFixed(1)}x`
  })
  return ['times node:crypto (bars: logarithmic, from 1x)', ...lines].join('\n')
}

function bar(share: number): string {
  const eighths = Math.round(share * BAR * 8)
  return '█'.repeat(eighths >> 3) + EIGHTHS[eighths & 7]
}

/** The JSON contract, one line. */
export function json(report: Report): string {
  const rows = report.rows.map((row) => ({ ...row, ...rounded(row) }))
  return JSON.stringify({ ok: true, data: { rows, left: report.left } })
}

function rounded(row: Row): Partial<Row> {
  const numbers = Object.entries(row).filter(([name, value]) => typeof value === 'number' && name !== 'size')
  return Object.fromEntries(numbers.map(([name, value]) => [name, Number((value as number).toPrecision(5))]))
}
