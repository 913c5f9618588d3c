// A steady ping through the tunnel while something else happens to it; every loss is known by its number.

import { setTimeout as sleep } from 'node:timers/promises'
import { openEcho } from '../../bindings/linux/echo.ts'
import type { NamespaceFd } from '../../bindings/linux/namespace.ts'

const PATIENCE = 2_000 // ms for the last reply

export type Flood = {
  /** requests sent so far */
  sent(): number
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
    // a late timer sends what is due by now: the rate holds on a busy machine
    while (sent < (performance.now() - started) / interval && echo.request(destination, sent, payload)) sent++
  }, interval)
  return {
    sent: () => sent,
    finish: async () => {
      clearInterval(timer)
      const deadline = performance.now() + PATIENCE
      while (answered.size < sent && performance.now() < deadline) await sleep(20)
      echo.close()
      return { sent, lost: Array.from({ length: sent }, (_, index) => index).filter((n) => !answered.has(n)) }
    },
  }
}
