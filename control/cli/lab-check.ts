// What a lab does, step by step, on whatever world its gateways stand in:
//
//   1 show the capture clear packets: it must see them, then it counts from zero
//   2 start all gateways but the last, and ping into tunnels whose other end is missing: nothing may leak
//   3 start the last one and wait until every tunnel is up
//   4 ping between all pairs across the tunnels
//   5 judge: all up, all answered, nothing clear on the wire, no frame lost by the capture

import { setTimeout as sleep } from 'node:timers/promises'
import type { Emit, LabMode, LabResult, LabRow, LabTunnel, PingResult } from './lab-events.ts'
import type { LabGateway, LabPlan, LabProbe } from './lab-plan.ts'
import { plural } from './lab-view.ts'
import type { WireCounter } from './lab-wire.ts'

const TUNNEL_DEADLINE = 120_000 // ms from the start of the last gateway
const READY_DEADLINE = 90_000 // ms for one gateway
const POLL = 100 // ms
const TEST_DEADLINE = 30_000 // ms for clear test packets to pass the wire
const TEST_POLL = 10 // ms
const PINGS = 5 // a pair
const PATIENCE = 10_000 // ms for the last reply
const NO_PATIENCE = 200 // ms where no reply may come

/** The machine under a lab: namespaces and processes, or one process over in-process wires. */
export interface LabWorld {
  readonly mode: LabMode
  readonly wire: WireCounter
  /** starts a gateway; resolves when it answers */
  start(gateway: LabGateway, deadline: number): Promise<void>
  /** rows of a show command */
  ask(gateway: string, command: string): Promise<LabRow[]>
  /** puts a clear packet of each probe on the wire, as if there were no gateway; returns how many */
  sendClear(probes: LabProbe[]): Promise<number>
  ping(probe: LabProbe, count: number, patience: number): Promise<PingResult>
  /** counts what the capture still holds, and tells how many frames it lost */
  drainCapture(): number
  close(): Promise<void>
}

/** Runs the five steps and emits the verdict. Throws when it is bad or a step cannot be done at all. */
export async function checkLab(plan: LabPlan, world: LabWorld, emit: Emit): Promise<true> {
  const started = performance.now()
  const captureTest = await testCapture(plan, world, emit)
  const last = plan.gateways.at(-1)!
  for (const gateway of plan.gateways.slice(0, -1)) await startGateway(world, gateway, emit)
  const pingsWhileDown = await pingIntoNothing(plan, world, last, emit)
  await startGateway(world, last, emit)
  const tunnels = await waitForTunnels(plan, world, emit)
  for (const gateway of plan.gateways) await showSas(world, gateway.name, emit)
  const results = await pingAll(plan.probes, world, PINGS, PATIENCE)
  emit({ kind: 'pings', results })
  const result: LabResult = {
    lab: plan.name,
    mode: world.mode,
    tunnels,
    pings: total(results),
    pingsWhileDown,
    captureDropped: world.drainCapture(),
    clearOnWire: world.wire.counts.leaked,
    wire: { ...world.wire.counts },
    captureTest,
    seconds: Math.round(performance.now() - started) / 1000,
  }
  emit({ kind: 'wire', counts: result.wire })
  const reason = judge(result)
  emit({ kind: 'result', ok: reason === null, reason, result })
  if (reason !== null) throw new Error(reason)
  return true
}

/** A capture that saw no clear packet when there were some would prove nothing. */
async function testCapture(
  plan: LabPlan,
  world: LabWorld,
  emit: Emit,
): Promise<{ sent: number; seen: number }> {
  const sent = await world.sendClear([plan.probes[0]!, plan.probes.at(-1)!])
  const seen = await countLeaks(world, sent, TEST_DEADLINE)
  const test = { sent, seen }
  const text = `saw ${test.seen} of ${test.sent} clear test packets; from now on it counts from 0`
  emit({ kind: 'step', title: 'capture', text })
  world.wire.reset()
  return test
}

/** Frames in clear; waits for `expected` of them, so that none comes late: new wires deliver after a while. */
async function countLeaks(world: LabWorld, expected: number, patience: number): Promise<number> {
  const deadline = performance.now() + patience
  for (;;) {
    world.drainCapture()
    const { leaked } = world.wire.counts
    if (leaked >= expected || performance.now() > deadline) return leaked
    await sleep(TEST_POLL)
  }
}

async function startGateway(world: LabWorld, gateway: LabGateway, emit: Emit): Promise<void> {
  emit({ kind: 'step', title: gateway.name, text: `starting with tunnels ${gateway.tunnels.join(', ')}` })
  await world.start(gateway, performance.now() + READY_DEADLINE)
  emit({ kind: 'step', title: gateway.name, text: `gateway is up at ${gateway.outer}` })
}

async function pingIntoNothing(
  plan: LabPlan,
  world: LabWorld,
  missing: LabGateway,
  emit: Emit,
): Promise<{ sent: number; received: number }> {
  const away = new Set([missing.name, ...missing.hosts.map((host) => host.name)])
  const probes = plan.probes.filter((probe) => away.has(probe.to) && !away.has(probe.from))
  const pings = total(await pingAll(probes, world, 1, NO_PATIENCE))
  world.drainCapture()
  const text = `${missing.name} is missing: ${plural(pings.sent, 'ping')}, ${pings.received} answered, ${world.wire.counts.leaked} in clear on the wire`
  emit({ kind: 'step', title: 'while down', text })
  return pings
}

async function waitForTunnels(plan: LabPlan, world: LabWorld, emit: Emit): Promise<LabTunnel[]> {
  const deadline = performance.now() + TUNNEL_DEADLINE
  const told = new Map<string, string>()
  for (;;) {
    const tunnels = await readTunnels(plan, world)
    for (const tunnel of tunnels) tellChange(tunnel, told, emit)
    if (tunnels.every((tunnel) => tunnel.state === 'up') || performance.now() > deadline) return tunnels
    await sleep(POLL)
  }
}

/** The tunnels of all gateways, one by one as the plan names them; a missing one is down. */
export async function readTunnels(plan: LabPlan, world: LabWorld): Promise<LabTunnel[]> {
  const all: LabTunnel[] = []
  for (const gateway of plan.gateways) {
    const rows = await world.ask(gateway.name, 'show tunnel ipsec')
    for (const name of gateway.tunnels) {
      const row = rows.find((candidate) => candidate.name === name) ?? { state: 'down', reason: 'not shown' }
      all.push({ ...(row as LabTunnel), gateway: gateway.name, name })
    }
  }
  return all
}

/** Emits a tunnel whose state or reason differs from what was told last. */
export function tellChange(tunnel: LabTunnel, told: Map<string, string>, emit: Emit): void {
  const key = `${tunnel.gateway} ${tunnel.name}`
  const now = `${tunnel.state} ${tunnel.reason ?? ''}`
  if (told.get(key) === now) return
  told.set(key, now)
  emit({ kind: 'tunnel', tunnel })
}

async function showSas(world: LabWorld, gateway: string, emit: Emit): Promise<void> {
  emit({ kind: 'ike-sas', gateway, rows: await world.ask(gateway, 'show ike sa') })
  emit({ kind: 'ipsec-sas', gateway, rows: await world.ask(gateway, 'show ipsec sa') })
}

async function pingAll(
  probes: LabProbe[],
  world: LabWorld,
  count: number,
  patience: number,
): Promise<PingResult[]> {
  return Promise.all(probes.map((probe) => world.ping(probe, count, patience)))
}

function total(results: PingResult[]): { sent: number; received: number } {
  const sum = (pick: (result: PingResult) => number) => results.reduce((all, one) => all + pick(one), 0)
  return { sent: sum((one) => one.sent), received: sum((one) => one.received) }
}

/** null: everything held; else the first thing that did not, as a sentence. */
export function judge(result: LabResult): string | null {
  const down = result.tunnels.filter((tunnel) => tunnel.state !== 'up')
  if (down.length > 0)
    return `not up: ${down.map((t) => `${t.gateway}/${t.name} is ${t.state} (${t.reason ?? 'no reason'})`).join(', ')}`
  const { pings, pingsWhileDown, captureTest } = result
  if (pings.received !== pings.sent)
    return `${pings.sent - pings.received} of ${pings.sent} pings had no answer`
  if (pingsWhileDown.received > 0)
    return `${pingsWhileDown.received} pings were answered while the tunnels were down`
  if (result.clearOnWire > 0) return `${result.clearOnWire} frames on the wire were in clear`
  if (captureTest.seen < captureTest.sent)
    return `the capture saw ${captureTest.seen} of ${captureTest.sent} test packets`
  if (result.captureDropped > 0) return `the capture lost ${result.captureDropped} frames: no verdict`
  if (result.wire.esp < pings.sent)
    return `${result.wire.esp} ESP frames cannot have carried ${pings.sent} pings`
  return null
}
