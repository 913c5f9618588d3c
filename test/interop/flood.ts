// A steady ping through the tunnel while something else happens to it; every loss is known by its number, and by
// whom it was lost.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { openEcho } from '../../bindings/linux/echo.ts'
import type { NamespaceFd } from '../../bindings/linux/namespace.ts'
import type { Bed } from './bed.ts'
import { assertNotOurs, type Losses, watchLosses } from './losses.ts'

const INTERVAL = 10 // ms between two pings
const PATIENCE = 10_000 // ms for the last reply
const QUIET = 200 // ms after the last reply, for what the captures have yet to show
/** requests a late timer sends at once: what piled up while the process did not run must not overrun a queue or a limit */
const BURST = 2
/** of what the peer and the machine's own queues may lose in a whole test */
const LOST_ELSEWHERE = 20

export type Flood = {
  /** requests sent so far */
  sent(): number
  /** stops sending, for a test that has failed */
  stop(): void
  /** stops sending, waits for late replies, and tells which sequence numbers had none */
  finish(): Promise<{ sent: number; lost: number[] }>
}

/** Sends one echo request every `interval` ms from source to destination inside the namespace. */
export function startFlood(
  namespace: NamespaceFd,
  source: string,
  destination: string,
  payload: Uint8Array,
  interval: number,
): Flood {
  const answered = new Set<number>()
  let sent = 0
  const echo = openEcho(namespace, source, 0x7000 + (process.pid & 0xfff), (sequence) =>
    answered.add(sequence),
  )
  const started = performance.now()
  const timer = setInterval(() => {
    const due = Math.min((performance.now() - started) / interval, sent + BURST)
    while (sent < due && echo.request(destination, sent, payload)) sent++
  }, interval)
  const stop = () => {
    clearInterval(timer)
    echo.close()
  }
  return {
    sent: () => sent,
    stop,
    finish: async () => {
      clearInterval(timer)
      const deadline = performance.now() + PATIENCE
      while (answered.size < sent && performance.now() < deadline) await sleep(20)
      echo.close()
      return { sent, lost: Array.from({ length: sent }, (_, index) => index).filter((n) => !answered.has(n)) }
    },
  }
}

/**
 * Runs `work` under a ping of 100 a second from the left LAN to the right one. Fails when our gateway has lost a
 * packet, in either direction; what the peer or the wire has lost is told on standard output.
 */
export async function underPing(bed: Bed, work: () => Promise<void>, least = 90): Promise<void> {
  const watch = watchLosses(bed.network)
  const flood = startFlood(bed.network.fd('lan-left'), '10.1.0.2', '10.2.0.2', bed.marker, INTERVAL)
  try {
    await work()
  } catch (error) {
    flood.stop()
    watch.finish()
    throw error
  }
  const { sent, lost } = await flood.finish()
  await sleep(QUIET)
  const losses = watch.finish()
  assert.ok(sent >= least, `only ${sent} pings sent`)
  const where = await tell(bed, sent, lost, losses)
  if (lost.length > 0) console.log(where)
  assertNotOurs(losses, LOST_ELSEWHERE, where)
  assert.ok(lost.length <= LOST_ELSEWHERE, where)
}

async function tell(bed: Bed, sent: number, lost: number[], losses: Losses): Promise<string> {
  const rows = await bed.rows('show counters drop')
  const drops = rows.map(({ reason, packets }) => `${reason} ${packets}`).join(', ') || 'none'
  const each = lost.slice(0, 10).map((number) => `${number}: ${losses.lastSeen(number)}`)
  const { ours, peers, wires } = losses
  const counts = `ours ${ours.out}+${ours.in}, peer ${peers.out}+${peers.in}, wire ${wires}`
  return `${lost.length} of ${sent} pings lost (${each.join('; ')}); ${counts}; drops of our card: ${drops}`
}
