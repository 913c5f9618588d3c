// The lab in one process: the same gateways, cards and checks over in-process wires. No privileges, no devices.

import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FakeHost } from '../../bindings/fake/host.ts'
import { buildEcho, parseEcho, parseIp } from '../../bindings/fake/ip.ts'
import { createFakeMachine, type FakeMachine } from '../../bindings/fake/machine.ts'
import { FakeNet } from '../../bindings/fake/net.ts'
import { formatFinding, loadConfig } from '../config/load.ts'
import type { Config } from '../config/model.ts'
import { createGateway, type Gateway } from '../gateway.ts'
import { createLog } from '../manage/log.ts'
import { pkiFacts } from '../pki/facts.ts'
import { aspCount } from '../tunnel/asp.ts'
import { checkLab, type LabWorld } from './lab-check.ts'
import type { Emit, LabRow, PingResult } from './lab-events.ts'
import { CONFIG_FILE, type LabFiles, makeFiles } from './lab-files.ts'
import type { LabOutcome } from './lab-held.ts'
import { MemoryFiles } from './lab-memory-files.ts'
import type { LabGateway, LabPlan, LabProbe } from './lab-plan.ts'
import { tellIke, WireCounter } from './lab-wire.ts'
import { VERSION } from './version.ts'

const MARKER_BYTES = 56
const LOG_LINES = 200
const PING_INTERVAL = 20 // ms
const POLL = 5 // ms

/** Runs a lab in this process until `stopped` resolves or a check fails. */
export async function runInProcess(plan: LabPlan, emit: Emit, stopped: Promise<void>): Promise<LabOutcome> {
  const world = new InProcessWorld(plan, await makeFiles(plan, emit), emit)
  try {
    const verdict = await Promise.race([checkLab(plan, world, emit), stopped])
    if (verdict !== undefined) {
      emit({ kind: 'next', commands: [['npx asegate lab --list', 'the other labs']] })
      await stopped
    }
    return 'done'
  } catch (error) {
    emit({ kind: 'failed', reason: (error as Error).message, logs: world.logs() })
    return 'failed'
  } finally {
    await world.close()
  }
}

type Node = { machine: FakeMachine; gateway: Gateway; log: string[] }

class InProcessWorld implements LabWorld {
  readonly mode = 'in-process'
  readonly wire: WireCounter
  readonly #files: LabFiles
  readonly #net = new FakeNet()
  readonly #marker = randomBytes(MARKER_BYTES)
  readonly #nodes = new Map<string, Node>()
  readonly #hosts = new Map<string, FakeHost>()
  #identifier = 0

  constructor(plan: LabPlan, files: LabFiles, emit: Emit) {
    this.#files = files
    this.wire = new WireCounter(plan.protectedPrefixes, this.#marker)
    this.#net.observe((packet) => tellIke(this.wire.countPacket(packet), plan, emit))
    emit({ kind: 'step', title: 'network', text: 'one in-process wire between the gateways' })
  }

  async start(plan: LabGateway): Promise<void> {
    const { name, outer, loopback, hosts } = plan
    const { files, config } = this.#load(name)
    const { ikePort, natTPort } = config
    const machine = await createFakeMachine(this.#net, {
      ...{ asps: aspCount(config), ikePort, natTPort },
      addresses: [outer],
    })
    const log: string[] = []
    const write = (line: string) => {
      log.push(line.trimEnd())
      log.splice(0, log.length - LOG_LINES)
    }
    const memoryLog = createLog({ level: 'info', format: 'text', write, clock: machine.clock })
    const gateway = createGateway({ ...machine, files, log: memoryLog }, config, {
      version: VERSION,
      node: process.version,
    })
    this.#nodes.set(name, { machine, gateway, log })
    gateway.start()
    for (const host of hosts) this.#hosts.set(host.name, machine.host(host.address))
    if (loopback !== null) this.#hosts.set(name, machine.host(loopback))
  }

  /** Throws with the findings when the configuration is refused. */
  #load(name: string): { files: MemoryFiles; config: Config } {
    const directory = `/${name}`
    const own = [...this.#files.get(name)!].map(([path, text]) => [`${directory}/${path}`, text] as const)
    const files = new MemoryFiles(new Map(own))
    const path = `${directory}/${CONFIG_FILE}`
    const text = new TextDecoder().decode(files.read(path))
    const environment = { pki: pkiFacts(files), wall: Date.now() }
    const { config, errors } = loadConfig(path, text, files, environment)
    if (errors.length === 0) return { files, config }
    throw new Error(errors.map((finding) => formatFinding(path, finding, 'error')).join('\n'))
  }

  async ask(gateway: string, command: string): Promise<LabRow[]> {
    const answer = await this.#nodes.get(gateway)!.gateway.command(command)
    if (answer.ok) return answer.data as LabRow[]
    throw new Error(answer.error.message)
  }

  /** No kernel route leads a host's packet onto this wire before a gateway runs: it is put there. */
  async sendClear(probes: LabProbe[]): Promise<number> {
    for (const { source, destination } of probes)
      this.#net.send(buildEcho(source, destination, this.#echo(0, 0)))
    return probes.length
  }

  async ping(probe: LabProbe, count: number, patience: number): Promise<PingResult> {
    const host = this.#hosts.get(probe.from)!
    const id = ++this.#identifier & 0xffff
    const sentAt: number[] = []
    const times = new Map<number, number>()
    const forget = listen(host, id, (sequence) => {
      times.set(sequence, performance.now() - sentAt[sequence]!)
    })
    for (let sequence = 0; sequence < count; sequence++) {
      sentAt.push(performance.now())
      host.send(buildEcho(probe.source, probe.destination, this.#echo(id, sequence)))
      await sleep(PING_INTERVAL)
    }
    const deadline = performance.now() + patience
    while (times.size < count && performance.now() < deadline) await sleep(POLL)
    forget()
    const sum = [...times.values()].reduce((all, one) => all + one, 0)
    const averageMs = times.size === 0 ? null : sum / times.size
    return { from: probe.from, to: probe.to, sent: count, received: times.size, averageMs }
  }

  #echo(id: number, sequence: number) {
    return { request: true, id, sequence, data: this.#marker }
  }

  drainCapture(): number {
    return 0 // every packet passes the observer before it goes on
  }

  logs(): { gateway: string; lines: string[] }[] {
    return [...this.#nodes].map(([gateway, { log }]) => ({ gateway, lines: log }))
  }

  async close(): Promise<void> {
    for (const { gateway } of this.#nodes.values()) await gateway.stop()
    for (const { machine } of this.#nodes.values()) await machine.stop()
  }
}

/** Hands over the sequence numbers of echo replies to `id`; returns what ends it. */
function listen(host: FakeHost, id: number, onReply: (sequence: number) => void): () => void {
  let listening = true
  host.onPacket((packet) => {
    const header = parseIp(packet)
    const echo = header && parseEcho(header)
    if (listening && echo && !echo.request && echo.id === id) onReply(echo.sequence)
  })
  return () => {
    listening = false
  }
}
