// The bed of every interop test: our gateway left, strongSwan right, a capture of what our gateway sends.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openCapture } from '../../bindings/linux/capture.ts'
import { linkIndex } from '../../bindings/linux/namespace-links.ts'
import { type GatewayProcess, startGateway } from '../../control/cli/lab-gateway.ts'
import { ping } from '../../control/cli/lab-ping.ts'
import { WireCounter } from '../../control/cli/lab-wire.ts'
import { createNetwork, type Network } from './network.ts'
import { isDemanded, missingStrongSwan, type ReleaseName, releaseOf, USUAL } from './release.ts'
import { type StrongSwan, type SwanConfig, startStrongSwan } from './strongswan.ts'

const READY_DEADLINE = 60_000 // ms
const REACH_DEADLINE = 60_000 // ms
const PATIENCE = 10_000 // ms for the last echo reply, of those that are expected
const POLL = 50 // ms
const PROTECTED = ['10.0.0.0/8', 'fd00::/8']

export type TunnelRow = { name: string; state: string; reason: string | null } & Record<string, unknown>

export type Bed = {
  network: Network
  peer: StrongSwan
  /** what our gateway put on the wire */
  wire: WireCounter
  /** the frames among them that should not have been there, hexadecimal */
  leaks: string[]
  marker: Uint8Array
  gateway(): GatewayProcess
  /** kill -9 */
  killGateway(): Promise<void>
  startGateway(): Promise<void>
  tunnel(): Promise<TunnelRow>
  rows(command: string): Promise<Record<string, unknown>[]>
  /** waits until the tunnel is in the state; fails with both logs */
  reach(state: string, ms?: number): Promise<void>
  /**
   * Echo requests from a LAN to the other; returns the replies. It waits for all of them, on a slow machine for long:
   * where none may come, `patience` (ms) says for how long to look.
   */
  ping(from: 'left' | 'right', count: number, patience?: number): Promise<number>
}

export type BedOptions = {
  /** our configuration file, and files beside it by name */
  config: string
  files?: Record<string, string>
  swan: SwanConfig
  /** the strongSwan to meet */
  release?: ReleaseName
  /** changes the network before anybody is on it; returns what undoes it */
  prepare?: (network: Network) => () => void
}

/** A test with strongSwan: skipped with the reason where it is missing, failed in CI (ASEGATE_INTEROP=required). */
export function interopTest(name: string, run: () => Promise<void>, release: ReleaseName = USUAL): void {
  const missing = missingStrongSwan(release)
  const skip = missing !== null && !isDemanded(releaseOf(release).root === null) ? missing : false
  test(`strongSwan: ${name}`, { skip, timeout: 240_000 }, async () => {
    assert.equal(missing, null, missing ?? '')
    await run()
  })
}

/** Builds the bed, runs the test on it, asserts that nothing left our gateway in clear, and removes everything. */
export async function withBed(options: BedOptions, run: (bed: Bed) => Promise<void>): Promise<void> {
  const undo: (() => unknown)[] = []
  try {
    const bed = await build(options, undo)
    await run(bed)
    const found = `${JSON.stringify(bed.wire.counts)}\n${bed.leaks.join('\n')}`
    assert.equal(bed.wire.counts.leaked, 0, `in clear on the wire: ${found}`)
  } finally {
    for (const step of undo.reverse()) await step()
  }
}

async function build(options: BedOptions, undo: (() => unknown)[]): Promise<Bed> {
  const network = createNetwork()
  undo.push(() => network.remove())
  if (options.prepare) undo.push(options.prepare(network))
  const directory = mkdtempSync(join(tmpdir(), 'aseiop-'))
  undo.push(() => rmSync(directory, { recursive: true, force: true }))
  const peer = await startStrongSwan(network.name('right'), options.release ?? USUAL)
  undo.push(() => peer.stop())
  peer.configure(options.swan)
  const marker = randomBytes(56)
  const wire = new WireCounter(PROTECTED, marker)
  const leaks: string[] = []
  undo.push(watch(network, wire, leaks))
  const config = writeFiles(directory, { ...options.files, 'gateway.conf': options.config })
  let gateway: GatewayProcess | null = null
  undo.push(() => gateway?.stop())
  const start = async () => {
    gateway = startGateway('left', network.fd('left'), config, join(directory, 'control.sock'))
    try {
      await gateway.ready(performance.now() + READY_DEADLINE)
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${gateway.lastLog().join('\n')}`)
    }
  }
  await start()
  return {
    network,
    peer,
    wire,
    leaks,
    marker,
    gateway: () => gateway!,
    startGateway: start,
    killGateway: () => gateway!.kill(),
    tunnel: () => onlyTunnel(gateway!),
    rows: async (command) => (await gateway!.ask(command)) as Record<string, unknown>[],
    reach: (state, ms = REACH_DEADLINE) => reach(gateway!, peer, state, ms),
    ping: (from, count, patience = PATIENCE) => pingAcross(network, marker, from, count, patience),
  }
}

export function writeFiles(directory: string, files: Record<string, string>): string {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true })
    writeFileSync(join(directory, name), content, { mode: 0o600 })
  }
  return join(directory, 'gateway.conf')
}

/** Counts what goes out of our gateway's outer device; the peer's own leaks are not ours. */
function watch(network: Network, wire: WireCounter, leaks: string[]): () => void {
  const left = network.fd('left')
  const wan = linkIndex(left, 'wan')
  const capture = openCapture(left, (frame) => {
    if (frame.device !== wan || !frame.outgoing) return
    const before = wire.counts.leaked
    wire.countFrame(frame.bytes)
    if (wire.counts.leaked > before) leaks.push(Buffer.from(frame.bytes).toString('hex'))
  })
  return () => capture.close()
}

export async function onlyTunnel(gateway: GatewayProcess): Promise<TunnelRow> {
  const rows = (await gateway.ask('show tunnel ipsec')) as TunnelRow[]
  assert.equal(rows.length, 1)
  return rows[0]!
}

async function reach(gateway: GatewayProcess, peer: StrongSwan, state: string, ms: number): Promise<void> {
  const deadline = performance.now() + ms
  for (;;) {
    const tunnel = await onlyTunnel(gateway)
    if (tunnel.state === state) return
    if (performance.now() > deadline) {
      const logs = `ours:\n${gateway.lastLog().slice(-30).join('\n')}\nstrongSwan:\n${peer.log().slice(-4000)}`
      assert.fail(`tunnel is ${tunnel.state} (${tunnel.reason}), not ${state}, after ${ms} ms\n${logs}`)
    }
    await sleep(POLL)
  }
}

async function pingAcross(
  network: Network,
  marker: Uint8Array,
  from: 'left' | 'right',
  count: number,
  patience: number,
): Promise<number> {
  const to = from === 'left' ? 'right' : 'left'
  const address = { left: '10.1.0.2', right: '10.2.0.2' }
  const probe = { from, to, source: address[from], destination: address[to] }
  const result = await ping(network.fd(`lan-${from}`), probe, marker, count, patience)
  return result.received
}
