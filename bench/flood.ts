// `bench flood`: what a flood of IKE_SA_INIT from forged addresses costs a real gateway process (RFC 7296 §2.6).
//
// Beside the flood a tunnel that is up carries pings, and a peer whose address nobody knows connects.

import { setTimeout as sleep } from 'node:timers/promises'
import { startFlood } from '../test/interop/flood.ts'
import { FloodBed } from './flood-bed.ts'

/** The JSON contract: one row. */
export type FloodRow = {
  seconds: number
  /** requests sent, and a second */
  requests: number
  perSecond: number
  /** answers that demanded a cookie */
  cookies: number
  /** Diffie-Hellman key pairs made meanwhile, those of the honest peer included */
  keyPairs: number
  /** resident memory of the gateway before, and how much more it took at most, MiB */
  memoryMib: number
  growthMib: number
  pings: number
  lost: number
  lostPercent: number
  /** seconds until the honest peer's tunnel was up; null: not within ten times the limit */
  honestSeconds: number | null
}

export type FloodOptions = { seconds: number; rate: number; pingMs: number }
export const USUAL_FLOOD: FloodOptions = { seconds: 60, rate: 5_000, pingMs: 1 }

const MIB = 2 ** 20
const SETTLE_MS = 3_000
const HONEST_LIMIT_MS = 10_000
const PAYLOAD = new Uint8Array(56)
/** the honest peer begins after this share of the flood */
const HONEST_AFTER = 0.2

/** Needs root. Throws when the bed does not come up. */
export async function benchFlood(options: FloodOptions): Promise<FloodRow> {
  const bed = new FloodBed()
  try {
    await bed.start()
    const ping = () => startFlood(bed.rooms.peer, '169.254.1.1', '169.254.1.0', PAYLOAD, options.pingMs)
    const warm = ping() // what the gateway needs for its traffic is not charged to the flood
    await sleep(SETTLE_MS)
    await warm.finish()
    return await measure(bed, options, ping)
  } finally {
    await bed.stop()
  }
}

async function measure(
  bed: FloodBed,
  { seconds, rate }: FloodOptions,
  ping: () => ReturnType<typeof startFlood>,
): Promise<FloodRow> {
  const cookies = 'asegate_dropped_packets_total{reason="ike-cookie"}'
  const keyPairs = 'asegate_public_key_jobs_total{kind="dh-generate"}'
  const before = { cookies: await bed.metric(cookies), keyPairs: await bed.metric(keyPairs) }
  const memory = bed.memory()
  let most = memory
  const watch = setInterval(() => {
    most = Math.max(most, bed.memory())
  }, 200)
  const pings = ping()
  const honest = sleep(seconds * 1000 * HONEST_AFTER).then(() => bed.connectHonest(HONEST_LIMIT_MS * 10))
  const began = performance.now()
  const requests = await bed.flood(rate, seconds)
  const elapsed = (performance.now() - began) / 1000
  const { sent, lost } = await pings.finish()
  clearInterval(watch)
  const honestSeconds = await honest
  return {
    seconds,
    requests,
    perSecond: requests / elapsed,
    cookies: (await bed.metric(cookies)) - before.cookies,
    keyPairs: (await bed.metric(keyPairs)) - before.keyPairs,
    memoryMib: memory / MIB,
    growthMib: (most - memory) / MIB,
    pings: sent,
    lost: lost.length,
    lostPercent: (lost.length / sent) * 100,
    honestSeconds,
  }
}

/** The figures beside what is wanted, a line each. */
export function floodText(row: FloodRow): string {
  const pad = (name: string, value: string, wanted: string) =>
    `${name.padEnd(34)}${value.padStart(12)}  ${wanted}`
  const honest = row.honestSeconds === null ? 'never' : `${row.honestSeconds.toFixed(1)} s`
  return [
    pad('IKE_SA_INIT from forged addresses', String(row.requests), `${row.perSecond.toFixed(0)} a second`),
    pad('cookies demanded', String(row.cookies), ''),
    pad('key pairs made', String(row.keyPairs), '30 before cookies are demanded, again each 30 s'),
    pad('memory taken', `${row.growthMib.toFixed(1)} MiB`, 'at most 20'),
    pad(
      'pings lost in a running tunnel',
      `${row.lostPercent.toFixed(2)} %`,
      `${row.lost} of ${row.pings}; at most 1 %`,
    ),
    pad('honest peer connected after', honest, 'at most 10 s'),
  ].join('\n')
}

export function floodJson(row: FloodRow): string {
  const short = (value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(5)) : value)
  const rounded = Object.fromEntries(Object.entries(row).map(([name, value]) => [name, short(value)]))
  return JSON.stringify({ ok: true, data: { rows: [rounded] } })
}
