// The process that holds a lab: first of its PID namespace, started by lab.ts through unshare(1).
//
// Everything the lab makes hangs on this process: namespaces by its descriptors, gateways by the PID namespace
// (the kernel kills them with it), files by a memory file system in its mount namespace. It ends when its standard
// input ends, which happens when lab.ts dies, however that dies.
//
// In: a line `stop` on standard input. Out: one LabEvent a line, JSON.

import { closeSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { mountMemory } from '../../bindings/linux/namespace.ts'
import { createTun } from '../../bindings/linux/tun.ts'
import { checkLab, readTunnels, tellChange } from './lab-check.ts'
import type { LabEvent, LabMode } from './lab-events.ts'
import { makeFiles } from './lab-files.ts'
import { createNamespaceWorld, type NamespaceWorld } from './lab-namespaces.ts'
import { type LabName, type LabPlan, PLANS } from './lab-plan.ts'

const UNAVAILABLE = 5
const DEATH_NOTICE = 300 // ms
const WATCH_POLL = 1_000 // ms between two looks at the tunnels while the lab stands
/** where the memory file system may cover what lies there; the program itself must not */
const MOUNT_POINTS = ['/run', '/mnt', '/media', '/srv']

const [name, mode] = process.argv.slice(2) as [LabName, LabMode]
const plan = PLANS[name]

process.stdin.once('end', () => process.exit(1))
process.stdin.once('close', () => process.exit(1))
process.stdout.once('error', () => process.exit(1))
// Ctrl-C reaches lab.ts, which says `stop`: a signal to the whole group must not tear gateways away from their Deletes
process.on('SIGINT', () => {})

let world: NamespaceWorld | null = null
let stopping = false

process.stdin.setEncoding('utf8').on('data', (text: string) => {
  if (text.includes('stop')) void stop(0)
})

emit({ kind: 'hello', pid: Number(readlinkSync('/proc/self')) })
await main()

async function main(): Promise<void> {
  world = await prepare()
  const lost = new Promise<Error>((resolve) => {
    world!.onGatewayEnd((gateway, how) => resolve(new Error(`gateway ${gateway} ended: ${how}`)))
  })
  try {
    await orLost(checkLab(plan, world, emit), lost)
    emit({ kind: 'next', commands: world.hints() })
    await orLost(watch(plan, world), lost)
  } catch (error) {
    if (stopping) return
    emit({ kind: 'failed', reason: (error as Error).message, logs: world.logs() })
    await stop(1)
  }
}

/** A gateway that died explains every other failure, and its death may be told a little later than they. */
async function orLost(work: Promise<unknown>, lost: Promise<Error>): Promise<void> {
  const failure = await Promise.race([
    work.then(
      () => null,
      (error: Error) => error,
    ),
    lost,
  ])
  if (failure === null) return
  throw await Promise.race([lost, sleep(DEATH_NOTICE, failure)])
}

/** Everything below the gateways; what fails here is a machine that does not allow a lab. */
async function prepare(): Promise<NamespaceWorld> {
  try {
    for (const fd of createTun('aselab-probe', 1)) closeSync(fd)
    const directory = mountPoint()
    mountMemory(directory)
    const files = await makeFiles(plan, emit)
    return createNamespaceWorld(plan, mode, directory, files, emit)
  } catch (error) {
    emit({ kind: 'unavailable', reason: (error as Error).message })
    process.exit(UNAVAILABLE)
  }
}

function mountPoint(): string {
  const needed = [process.execPath, import.meta.filename, process.cwd()]
  const free = MOUNT_POINTS.find((place) => !needed.some((path) => path.startsWith(`${place}/`)))
  if (free === undefined) throw new Error(`no directory of ${MOUNT_POINTS.join(', ')} may be covered`)
  return free
}

async function watch(plan: LabPlan, world: NamespaceWorld): Promise<never> {
  const told = new Map<string, string>()
  let leaked = world.wire.counts.leaked
  for (let first = true; ; first = false) {
    const tunnels = await readTunnels(plan, world)
    for (const tunnel of tunnels) tellChange(tunnel, told, first ? () => {} : emit)
    const now = world.wire.counts.leaked
    if (now > leaked)
      emit({ kind: 'step', title: 'wire', text: `${now - leaked} frames in clear on the wire` })
    leaked = now
    await sleep(WATCH_POLL)
  }
}

async function stop(code: number): Promise<void> {
  if (stopping) return
  stopping = true
  await world?.close()
  process.stdout.write('', () => process.exit(code))
}

function emit(event: LabEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`)
}
