// A series of echo requests from one place of the lab, with a marker that the wire is searched for.

import { setTimeout as sleep } from 'node:timers/promises'
import { openEcho } from '../../bindings/linux/echo.ts'
import type { NamespaceFd } from '../../bindings/linux/namespace.ts'
import type { PingResult } from './lab-events.ts'
import type { LabProbe } from './lab-plan.ts'

const INTERVAL = 20 // ms between two requests
const POLL = 5 // ms

let identifiers = process.pid & 0xff

/** Sends `count` requests and waits at most `patience` ms for the last reply. */
export async function ping(
  namespace: NamespaceFd,
  probe: LabProbe,
  marker: Uint8Array,
  count: number,
  patience: number,
): Promise<PingResult> {
  const sentAt: number[] = []
  const times = new Map<number, number>()
  identifiers = (identifiers + 1) & 0xffff
  const echo = openEcho(namespace, probe.source, identifiers, (sequence) => {
    if (sentAt[sequence] !== undefined) times.set(sequence, performance.now() - sentAt[sequence])
  })
  try {
    for (let sequence = 0; sequence < count; sequence++) {
      sentAt[sequence] = performance.now()
      echo.request(probe.destination, sequence, marker)
      await sleep(INTERVAL)
    }
    const deadline = performance.now() + patience
    while (times.size < count && performance.now() < deadline) await sleep(POLL)
  } finally {
    echo.close()
  }
  return {
    from: probe.from,
    to: probe.to,
    sent: count,
    received: times.size,
    averageMs: average([...times.values()]),
  }
}

function average(values: number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length
}
