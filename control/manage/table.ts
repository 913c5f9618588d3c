// Rows as a text table: columns as wide as their content, and on a terminal no line longer than it.

export type Column<Row> = {
  head: string
  cell: (row: Row) => string
  /** numbers stand at the right */
  right?: boolean
  /** may be cut when the terminal is too narrow, down to this width */
  shrinkTo?: number
}

const GAP = 2

/** Lines of the table, head first. `width` in characters; Infinity: never cut. An empty list says so. */
export function table<Row>(columns: Column<Row>[], rows: Row[], width: number, none: string): string[] {
  if (rows.length === 0) return [none]
  const cells = [columns.map(({ head }) => head), ...rows.map((row) => columns.map(({ cell }) => cell(row)))]
  const widths = fit(columns, naturalWidths(cells), width)
  return cells.map((line) => joinCells(columns, line, widths))
}

function naturalWidths(cells: string[][]): number[] {
  return cells[0].map((_, column) => Math.max(...cells.map((line) => line[column].length)))
}

/** Takes away from the widest column that may shrink until the line fits or nothing may shrink. */
function fit<Row>(columns: Column<Row>[], widths: number[], width: number): number[] {
  const result = [...widths]
  const total = () => result.reduce((sum, one) => sum + one + GAP, -GAP)
  while (total() > width) {
    let widest = -1
    for (const [i, { shrinkTo }] of columns.entries()) {
      if (shrinkTo === undefined || result[i] <= shrinkTo) continue
      if (widest < 0 || result[i] > result[widest]) widest = i
    }
    if (widest < 0) return result
    result[widest] -= 1
  }
  return result
}

function joinCells<Row>(columns: Column<Row>[], line: string[], widths: number[]): string {
  const padded = line.map((text, i) => {
    const cut = text.length > widths[i] ? `${text.slice(0, widths[i] - 1)}…` : text
    return columns[i].right ? cut.padStart(widths[i]) : cut.padEnd(widths[i])
  })
  return padded.join(' '.repeat(GAP)).trimEnd()
}

/** 1234567 as `1.2M`: for tables only, JSON has the number. */
export function short(value: unknown): string {
  const number = Number(value)
  if (!Number.isFinite(number) || number < 100_000) return String(value)
  const power = Math.min(Math.floor(Math.log10(number) / 3), 6)
  return `${(number / 1000 ** power).toFixed(1)}${' kMGTPE'[power]}`
}

/** Seconds as `45s`, `12m`, `3h20m`, `never`. */
export function duration(seconds: unknown): string {
  if (seconds === null || seconds === undefined) return 'never'
  const total = Math.round(Number(seconds))
  if (total < 120) return `${total}s`
  if (total < 7200) return `${Math.floor(total / 60)}m`
  return `${Math.floor(total / 3600)}h${Math.floor((total % 3600) / 60)}m`
}
