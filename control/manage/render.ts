// The data of each command as text for a person. The gateway answers data only; this runs where it is read.

import type { CommandName } from './exec.ts'
import { textLine } from './log.ts'
import { type Column, duration, short, table } from './table.ts'

/** One answer row; its members are those of the command language, section 7. */
export type Row = Record<string, unknown>
type Columns = { columns: Column<Row>[]; none: string }

const text = (key: string) => (row: Row) =>
  row[key] === null || row[key] === undefined ? '-' : String(row[key])
const plain = (head: string, key: string, shrinkTo?: number): Column<Row> => ({
  head,
  cell: text(key),
  shrinkTo,
})
const count = (head: string, key: string): Column<Row> => ({
  head,
  cell: (row) => short(row[key] ?? 0),
  right: true,
})
/** Ciphers that authenticate by themselves stand alone. */
const suite = ({ encryption, authentication }: Row) =>
  authentication === 'aead' ? String(encryption) : `${encryption}/${authentication}`
const inner = (key: string, member: string) => (row: Row) => short((row[key] as Row | null)?.[member] ?? 0)

const TUNNEL: Columns = {
  none: 'no tunnels',
  columns: [
    plain('NAME', 'name', 8),
    plain('STATE', 'state'),
    { head: 'REASON', cell: (row) => (row.reason === null ? '' : String(row.reason)) },
    plain('MODE', 'mode', 4),
    plain('REMOTE', 'remote', 10),
    plain('INTERFACE', 'interface', 9),
    plain('ASP', 'asp'),
  ],
}

const IKE_SA: Columns = {
  none: 'no IKE SAs',
  columns: [
    plain('TUNNEL', 'tunnel', 8),
    { head: 'ROLE', cell: (row) => (row.role === 'initiator' ? 'init' : 'resp') },
    plain('STATE', 'state', 8),
    plain('INITIATOR-SPI', 'initiatorSpi'),
    plain('RESPONDER-SPI', 'responderSpi'),
    { head: 'REKEY', cell: (row) => duration(row.rekeyIn), right: true },
  ],
}

const IPSEC_SA: Columns = {
  none: 'no IPsec SAs',
  columns: [
    plain('TUNNEL', 'tunnel', 6),
    { head: 'DIR', cell: (row) => `${row.direction}${row.sending ? '*' : ''}` },
    plain('SPI', 'spi'),
    plain('DESTINATION', 'destination', 10),
    { head: 'SUITE', cell: suite, shrinkTo: 8 },
    count('PACKETS', 'packets'),
    count('BYTES', 'bytes'),
    { head: 'HARD', cell: (row) => duration(row.hardIn), right: true },
  ],
}

const ROUTE: Columns = {
  none: 'no routes into tunnels',
  columns: [
    plain('PREFIX', 'prefix', 12),
    plain('KIND', 'kind'),
    plain('TARGET', 'target', 8),
    plain('SOURCE', 'source'),
    plain('DISTANCE', 'distance'),
    { head: 'INSTALLED', cell: (row) => (row.installed ? 'yes' : 'no') },
    { head: 'GUARD', cell: (row) => (row.guard ? 'yes' : 'no') },
  ],
}

const ASP: Columns = {
  none: 'no ASPs',
  columns: [
    plain('ASP', 'asp'),
    plain('STATE', 'state'),
    plain('ROLE', 'role'),
    plain('GROUP', 'group', 7),
    count('PACKETS', 'packets'),
    { head: 'TUNNELS', cell: (row) => (row.tunnels as string[]).join(' '), shrinkTo: 8 },
  ],
}

const CIRCUIT: Columns = {
  none: 'no circuits',
  columns: [
    plain('ID', 'id'),
    plain('DEVICE', 'device'),
    plain('TUNNEL', 'tunnel', 8),
    plain('STATE', 'state'),
    plain('MTU', 'mtu'),
    { head: 'RX', cell: inner('rx', 'packets'), right: true },
    { head: 'TX', cell: inner('tx', 'packets'), right: true },
    count('LOOP', 'loopback'),
    count('DROPS', 'drops'),
  ],
}

const DROP: Columns = {
  none: 'nothing was dropped',
  columns: [plain('REASON', 'reason', 12), count('PACKETS', 'packets'), plain('MEANING', 'sentence', 20)],
}

const STAGE: Columns = {
  none: 'no tunnels',
  columns: [
    plain('TUNNEL', 'tunnel', 8),
    count('RX-PACKETS', 'rxPackets'),
    count('RX-BYTES', 'rxBytes'),
    count('TX-PACKETS', 'txPackets'),
    count('TX-BYTES', 'txBytes'),
    count('DROPS', 'drops'),
  ],
}

const ALARMS: Columns = {
  none: 'no alarms',
  columns: [
    plain('ID', 'id'),
    plain('KIND', 'kind'),
    { head: 'SINCE', cell: (row) => String(row.since).slice(0, 19) },
    { head: 'CAUSE', cell: (row) => String(row.cause), shrinkTo: 30 },
  ],
}

const list = (head: string, key: string): Column<Row> => ({
  head,
  cell: (row) => (row[key] as unknown[]).join(' ') || '-',
  shrinkTo: 10,
})

const ASP_POOL: Columns = {
  none: 'no ASP pools',
  columns: [plain('POOL', 'name'), list('ASPS', 'asps'), list('GROUPS', 'groups')],
}

const ASP_GROUP: Columns = {
  none: 'no ASP groups',
  columns: [
    plain('GROUP', 'name'),
    list('POOLS', 'pools'),
    list('ACTIVE', 'active'),
    list('STANDBY', 'standby'),
    list('TUNNELS', 'tunnels'),
  ],
}

const IKE_STATISTICS: Columns = {
  none: 'no tunnels',
  columns: [
    plain('TUNNEL', 'tunnel', 8),
    count('UPS', 'ups'),
    count('IKE-SAS', 'ikeSaSetups'),
    count('REKEYS', 'ikeSaRekeys'),
    count('CHILD-SAS', 'childSaSetups'),
    count('REKEYS', 'childSaRekeys'),
    count('FAILED', 'failed'),
  ],
}

const TABLES: Partial<Record<CommandName, Columns>> = {
  tunnel: TUNNEL,
  'ike-sa': IKE_SA,
  'ipsec-sa': IPSEC_SA,
  route: ROUTE,
  asp: ASP,
  circuit: CIRCUIT,
  drop: DROP,
  stage: STAGE,
  'esp-statistics': STAGE,
  'ike-statistics': IKE_STATISTICS,
  'asp-pool': ASP_POOL,
  'asp-group': ASP_GROUP,
  alarms: ALARMS,
}

/** Lines for the terminal. `detail`: every member of every row, one a line. `width` in characters. */
export function render(command: CommandName, data: unknown, detail: boolean, width: number): string[] {
  const rows = Array.isArray(data) ? (data as Row[]) : [data as Row]
  if (detail) return rows.flatMap((row, i) => [...(i > 0 ? [''] : []), ...details(row, 0)])
  if (command === 'log') return rows.map((row) => textLine(row as never).trimEnd())
  if (command === 'trace') return rows.map(traceLine)
  if (command === 'configuration' || command === 'old') return rows[0].lines as string[]
  if (command === 'candidate') return candidateLines(rows[0])
  if (command === 'diff') return diffText(rows[0])
  if (command === 'commit' || command === 'rollback') return commitLines(rows[0])
  if (DETAILED.has(command) && rows.length === 0) return ['there is none']
  if (DETAILED.has(command)) return rows.flatMap((row, i) => [...(i > 0 ? [''] : []), ...details(row, 0)])
  if (command === 'version') return [versionLine(rows[0])]
  const chosen = TABLES[command]
  if (chosen === undefined) return clearLines(rows[0])
  return table(chosen.columns, rows, width, chosen.none)
}

type Found = { line: number; code: string; message: string }

function candidateLines({ file, errors, lines }: Row): string[] {
  const faults = errors as Found[]
  const said = faults.map(({ line, code, message }) => `${file}:${line}: error ${code}: ${message}`)
  return [...(lines as string[]), ...said]
}

function diffText({ file, lines, plan }: Row): string[] {
  const changes = (plan as Found[]).map(({ code, message }) => `${code}: ${message}`)
  const text = lines as string[]
  return text.length + changes.length === 0 ? [`${file} is what runs`] : [...text, ...changes]
}

function commitLines({ committed, plan, warnings, confirmIn }: Row): string[] {
  const said = (warnings as Found[]).map(
    ({ line, code, message }) => `line ${line}: warning ${code}: ${message}`,
  )
  const changes = (plan as Found[]).map(({ code, message }) => `${code}: ${message}`)
  const end = committed
    ? confirmIn === null
      ? 'committed'
      : `committed; commit again within ${Number(confirmIn) / 60} minutes, or it is undone`
    : 'checked, nothing was changed'
  return [...said, ...changes, end]
}

/** What is a handful of objects with many members reads better as members than as columns. */
const DETAILED: ReadonlySet<CommandName> = new Set([
  'ike-proposal',
  'ike-policy',
  'ipsec-proposal',
  'ipsec-policy',
  'access-list',
  'qos-policy',
])

function versionLine(row: Row): string {
  return `asegate ${row.version} (node ${row.node}, card ABI ${row.abi}, build ${row.build})`
}

/** The packet's way drawn as the stages it passed: `out 84 bytes: ippa -> eppa -> loop -> ...`. */
function traceLine(row: Row): string {
  const stages = (row.stages as string[]).join(' -> ')
  const end = row.drop === null ? '' : ` X dropped: ${row.drop}`
  return `${row.tunnel} ${row.direction} ${row.length} bytes: ${stages}${end}`
}

function clearLines(row: Row): string[] {
  const cleared = (row.cleared as string[] | undefined) ?? []
  return [cleared.length === 0 ? 'nothing to clear' : `cleared ${cleared.join(' ')}`]
}

/** Members one a line, nested ones indented. */
function details(row: Row, indent: number): string[] {
  const pad = ' '.repeat(indent)
  return Object.entries(row).flatMap(([key, value]) => {
    const name = key.replace(/[A-Z]/g, (upper) => ` ${upper.toLowerCase()}`)
    if (Array.isArray(value)) return detailList(pad, name, value, indent)
    if (typeof value === 'object' && value !== null)
      return [`${pad}${name}:`, ...details(value as Row, indent + 2)]
    return [`${pad}${name}: ${value === null ? '-' : String(value)}`]
  })
}

function detailList(pad: string, name: string, items: unknown[], indent: number): string[] {
  if (items.length === 0) return [`${pad}${name}: -`]
  if (items.every((item) => typeof item !== 'object')) return [`${pad}${name}: ${items.join(', ')}`]
  const lines = items.flatMap((item) => {
    const [first, ...rest] = details(item as Row, indent + 4)
    return [`${pad}  - ${first.trimStart()}`, ...rest]
  })
  return [`${pad}${name}:`, ...lines]
}
