// `bench card`: whole ESP and AH packets, ring to ring, against node:crypto per packet.

import { refuseSuite } from '../bindings/card-sa.ts'
import { CardSide } from './card-side.ts'
import { type Native, nativeMpps } from './native.ts'
import { referenceFor } from './reference.ts'
import { type Report, type Row, rowOf, type Selection } from './report.ts'
import { type Contest, hold } from './rounds.ts'
import { keysFor, SUITES, type Suite } from './suites.ts'
import { batchOf, lengthsOf, packetsOf, type Size } from './traffic.ts'

type Direction = 'out' | 'in'

/** Measures what is selected; suites that the card does not have are named in `left`. */
export function benchCard(selection: Selection, announce: (row: Row) => void): Report {
  const report: Report = { rows: [], left: [] }
  for (const suite of SUITES.filter(({ name }) => selection.suites(name))) {
    const refusal = refuseSuite(suite)
    if (refusal !== null) {
      report.left.push(`${suite.name}: ${refusal}`)
      continue
    }
    for (const direction of selection.directions) {
      for (const size of selection.sizes) {
        const row = measure(suite, direction, size, selection)
        report.rows.push(row)
        announce(row)
      }
    }
  }
  return report
}

function measure(suite: Suite, direction: Direction, size: Size, selection: Selection): Row {
  const lengths = lengthsOf(size, batchOf(size))
  const outcome = hold(contestFor(suite, direction, packetsOf(lengths)), selection.pace)
  const row = rowOf(suite.name, direction, size, lengths, outcome)
  return selection.native ? withNative(row, nativeMpps(suite.name, direction, size)) : row
}

function withNative(row: Row, native: Native | null): Row {
  if (native === null) return row
  const { mpps, widestMpps } = native
  return { ...row, nativeMpps: mpps, nativeRatio: row.mpps / mpps, nativeWidestMpps: widestMpps }
}

function contestFor(suite: Suite, direction: Direction, packets: Uint8Array[]): Contest {
  const keys = keysFor(suite)
  const card = new CardSide(suite, keys, packets)
  const reference = referenceFor(suite, keys)
  const units = packets.length
  if (direction === 'out')
    return { candidate: card.outbound(), reference: { run: () => reference.seal(packets) }, units }
  const datagrams = reference.seal(packets)
  return { candidate: card.inbound(), reference: { run: () => reference.open(datagrams) }, units }
}

/** Outbound and inbound throughput beside `idle` SAs that carry nothing, as a share of the throughput alone. */
export function benchIdle(selection: Selection, idle: number): Row[] {
  const suite = SUITES[0]
  const lengths = lengthsOf(64, batchOf(64))
  return selection.directions.map((direction) => {
    const keys = keysFor(suite)
    const sides = [idle, 0].map((count) => new CardSide(suite, keys, packetsOf(lengths), count))
    const [candidate, reference] = sides.map((side) =>
      direction === 'out' ? side.outbound() : side.inbound(),
    )
    const outcome = hold({ candidate, reference, units: lengths.length }, selection.pace)
    return rowOf(`${idle} idle SAs`, direction, 64, lengths, outcome)
  })
}
