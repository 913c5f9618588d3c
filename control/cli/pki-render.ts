// Answers of `asegate pki` and `asegate show pki` as text for a person.

import { type Column, table } from '../manage/table.ts'
import type { PkiRow, ShowKind } from '../pki/show.ts'
import type { Done } from '../pki/store-write.ts'

const text = (value: unknown): string => (value === null || value === undefined ? '-' : String(value))
const plain = (head: string, key: string, shrinkTo?: number): Column<PkiRow> => ({
  head,
  cell: (row) => text(row[key]),
  shrinkTo,
})
const date = (head: string, key: string): Column<PkiRow> => ({
  head,
  cell: (row) => text(row[key]).slice(0, 10),
})
/** A broken file has no state but its fault, which stands below the table. */
const state: Column<PkiRow> = { head: 'STATE', cell: (row) => (row.fault ? 'broken' : text(row.state)) }

const tables: Record<ShowKind, { columns: Column<PkiRow>[]; none: string }> = {
  trust: {
    columns: [
      plain('NAME', 'name', 8),
      plain('SUBJECT', 'subject', 16),
      plain('KEY', 'key'),
      date('UNTIL', 'notAfter'),
      state,
    ],
    none: 'no trusted certificates',
  },
  identity: {
    columns: [
      plain('NAME', 'name', 8),
      plain('SUBJECT', 'subject', 16),
      plain('KEY', 'key'),
      plain('KEY-PAIR', 'keyPair'),
      date('UNTIL', 'notAfter'),
      state,
    ],
    none: 'no own certificates',
  },
  keypair: {
    columns: [
      plain('NAME', 'name', 8),
      plain('TYPE', 'type'),
      { head: 'SIZE', cell: (row) => text(row.bits ?? row.curve) },
      { head: 'CERTIFICATE', cell: (row) => (row.fault ? 'broken' : text(row.certificate)) },
      plain('FINGERPRINT', 'fingerprint', 16),
    ],
    none: 'no key pairs',
  },
  crl: {
    columns: [
      plain('NAME', 'name', 8),
      plain('ISSUER', 'issuer', 16),
      { ...plain('REVOKED', 'revoked'), right: true },
      date('UNTIL', 'nextUpdate'),
      state,
    ],
    none: 'no CRLs',
  },
}

/** A table of all, or every member of the one that was asked for. Faults are the lines behind. */
export function renderShow(kind: ShowKind, rows: PkiRow[], isOne: boolean, width: number): string[] {
  if (isOne) return rows.flatMap((row, index) => [...(index > 0 ? [''] : []), ...details(row)])
  const { columns, none } = tables[kind]
  return [...table(columns, rows, width, none), ...rows.flatMap(({ fault }) => fault ?? [])]
}

function details(row: PkiRow): string[] {
  const members = Object.entries(row).filter(([key, value]) => key !== 'fault' || value !== null)
  const width = Math.max(...members.map(([key]) => key.length))
  return members.map(([key, value]) => `${key.padEnd(width)}  ${memberText(value)}`)
}

const memberText = (value: unknown): string => (Array.isArray(value) ? value.join(', ') || '-' : text(value))

/** What was done in one line; a request is the PEM itself where no file was named. */
export function renderDone({ data }: Done): string[] {
  if (typeof data.request === 'string')
    return data.file === null
      ? data.request.trimEnd().split('\n')
      : [`request of ${data.name} for "${data.subject}" is in ${data.file}`]
  if (Array.isArray(data.files)) return data.files.map((file) => `${file} is deleted`)
  if (data.kind === 'pkcs12') return [`key pair and certificate of ${data.name} are in the store`]
  if (data.kind !== undefined) return [`${countText(data)} of ${data.name} in ${data.file}`]
  const size = data.bits ?? data.curve
  return [`key pair ${data.name} (${[data.type, size].filter(Boolean).join(' ')}) is in ${data.file}`]
}

function countText(data: Record<string, unknown>): string {
  const noun = data.kind === 'crl' ? 'CRL' : 'certificate'
  return `${data.objects} ${noun}${data.objects === 1 ? '' : 's'}`
}
