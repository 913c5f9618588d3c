// The chart for a page: ratios to node:crypto as grouped bars, one group a suite, on a logarithmic axis.

import type { Row } from './report.ts'

const WIDTH = 860
const LEFT = 160
const RIGHT = 60
const TOP = 84
const BAR = 13
const GROUP_GAP = 16
const TICKS = [1, 2, 5, 10, 20, 50, 100]
const COLOURS: Record<string, string> = {
  '64': '#0969da',
  '576': '#54aeff',
  '1400': '#1a7f37',
  imix: '#9a6700',
}

const escaped = (text: string) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;')

/** Outbound rows only: a whole SVG document. */
export function svg(rows: readonly Row[]): string {
  const groups = Map.groupBy(
    rows.filter(({ direction }) => direction === 'out'),
    ({ suite }) => suite,
  )
  const most = Math.max(TICKS[1], ...rows.map(({ ratio }) => ratio))
  const x = (ratio: number) => LEFT + (Math.log(Math.max(1, ratio)) / Math.log(most)) * (WIDTH - LEFT - RIGHT)
  let y = TOP
  const parts: string[] = []
  for (const [suite, group] of groups) {
    parts.push(label(suite, y, group.length))
    for (const row of group) {
      parts.push(bar(row, x(row.ratio), y))
      y += BAR
    }
    y += GROUP_GAP
  }
  const ticks = TICKS.filter((tick) => tick <= most).map((tick) => grid(tick, x(tick), y))
  return document(y + 20, [...ticks, legend(), ...parts])
}

function label(suite: string, y: number, bars: number): string {
  const middle = y + (bars * BAR) / 2 + 4
  return `<text x="${LEFT - 10}" y="${middle}" text-anchor="end" class="text">${escaped(suite)}</text>`
}

function bar(row: Row, end: number, y: number): string {
  const rect = `<rect x="${LEFT}" y="${y}" width="${(end - LEFT).toFixed(1)}" height="${BAR - 2}" fill="${COLOURS[String(row.size)]}"/>`
  const text = `<text x="${(end + 4).toFixed(1)}" y="${y + BAR - 4}" class="dim">${row.ratio.toFixed(1)}x</text>`
  return rect + text
}

function grid(tick: number, x: number, bottom: number): string {
  const line = `<line x1="${x.toFixed(1)}" y1="${TOP - 6}" x2="${x.toFixed(1)}" y2="${bottom}" class="grid"/>`
  return `${line}<text x="${x.toFixed(1)}" y="${TOP - 10}" text-anchor="middle" class="dim">${tick}x</text>`
}

function legend(): string {
  return Object.entries(COLOURS)
    .map(([size, colour], index) => {
      const x = 14 + index * 90
      const name = size === 'imix' ? 'IMIX' : `${size} bytes`
      return `<rect x="${x}" y="36" width="11" height="11" fill="${colour}"/><text x="${x + 16}" y="46" class="dim">${name}</text>`
    })
    .join('')
}

function document(height: number, parts: string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="ui-sans-serif, system-ui, sans-serif" font-size="12">
  <title>Packets a second of the card, as a multiple of node:crypto per packet</title>
  <style>
    .text { fill: #1f2328; font-weight: 600 }
    .dim { fill: #57606a; font-size: 10px }
    .head { fill: #1f2328; font-weight: 600; font-size: 14px }
    .grid { stroke: #d0d7de }
  </style>
  <rect width="${WIDTH}" height="${height}" fill="#ffffff"/>
  <text x="14" y="25" class="head">The card against node:crypto per packet, outbound, one core</text>
  ${parts.join('\n  ')}
</svg>
`
}
