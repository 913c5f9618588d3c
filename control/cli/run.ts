// `asegate run`: the gateway in the foreground, from the first check to the last Delete.

import { setFlagsFromString } from 'node:v8'
import { SystemClock } from '../../bindings/clock.ts'
import { SystemFiles } from '../../bindings/files.ts'
import type { Machine } from '../../bindings/machine.ts'
import { formatFinding } from '../config/load.ts'
import type { Config, Finding } from '../config/model.ts'
import { createGateway, type Gateway } from '../gateway.ts'
import { RefusedError } from '../manage/commits.ts'
import { pageFor } from '../manage/health.ts'
import { createLog, type MemoryLog } from '../manage/log.ts'
import { createMetricsServer, type MetricsServer } from '../manage/metrics-server.ts'
import { type ControlServer, startServer } from '../manage/server.ts'
import type { LogLevel } from '../ports.ts'
import { aspCount } from '../tunnel/asp.ts'
import { refuseEnvironment, requirePrivileges } from './environment.ts'
import { EXIT, type ExitCode, ExitError } from './exit.ts'
import { gatewayDevices, loadFile } from './load.ts'
import { requireCard } from './preflight.js'
import { VERSION } from './version.ts'

export type RunOptions = { config: string; socket: string; log: 'json' | 'text'; logLevel: LogLevel }

/** After the signal everything is gone within this time, or the process is killed, ms. */
const STOP_MS = 10_000
/**
 * The engine doubles its space for young objects as long as objects are made quickly: a flood of datagrams would take
 * tens of megabytes, none of which is in use. It works as well without.
 */
const MODEST_HEAP = '--semi-space-growth-factor=1'

/** Resolves with the exit code after SIGTERM or SIGINT. Throws ExitError when it cannot start. */
export async function runGateway(options: RunOptions): Promise<ExitCode> {
  refuseEnvironment(process.env, process.execArgv)
  setFlagsFromString(MODEST_HEAP)
  const files = new SystemFiles()
  const { config, errors, warnings } = loadFile(options.config, files, await gatewayDevices(options.socket))
  if (errors.length > 0) throw refusedConfig(options.config, errors)
  requirePrivileges([config.ikePort, config.natTPort])
  await requireCard()
  const log = processLog(options)
  for (const finding of warnings)
    log.log('warning', formatFinding(options.config, finding, 'warning'), { reason: finding.code })
  return new Running(options, files, log).run(config)
}

function refusedConfig(file: string, errors: Finding[]): ExitError {
  const lines = errors.map((finding) => formatFinding(file, finding, 'error'))
  return new ExitError(EXIT.refused, 'refused', `the configuration is refused\n${lines.join('\n')}`)
}

/** Lines to stdout; a closed pipe costs the lines and nothing else. */
function processLog({ log: format, logLevel: level }: RunOptions): MemoryLog {
  let open = true
  process.stdout.on('error', () => {
    open = false
  })
  const write = (line: string) => {
    if (open) process.stdout.write(line)
  }
  return createLog({ level, format, write, clock: new SystemClock() })
}

class Running {
  readonly #options: RunOptions
  readonly #files: SystemFiles
  readonly #log: MemoryLog
  #metrics: MetricsServer | null = null

  constructor(options: RunOptions, files: SystemFiles, log: MemoryLog) {
    this.#options = options
    this.#files = files
    this.#log = log
  }

  async run(config: Config): Promise<ExitCode> {
    this.#survive()
    const stopped = stopSignal()
    let gateway: Gateway | null = null
    const server = await this.#serve((line) => answerer(gateway, line))
    let machine: Machine | null = null
    try {
      machine = await makeMachine(config)
      const gatewayOptions = this.#gatewayOptions(machine, () => gateway)
      gateway = createGateway({ ...machine, log: this.#log }, config, gatewayOptions)
      startGateway(gateway)
      this.#metrics = this.#serveMetrics(gateway)
      process.on('SIGHUP', () => gateway !== null && this.#reload(gateway))
      this.#log.log('info', `running ${config.file}`, { version: VERSION, pid: process.pid })
      this.#log.log('info', `stopping: ${await stopped}`)
      return EXIT.done
    } finally {
      await this.#stop(gateway, machine, server)
    }
  }

  async #serve(command: (line: string) => ReturnType<Gateway['command']>): Promise<ControlServer> {
    try {
      return await startServer(this.#options.socket, command)
    } catch (error) {
      throw new ExitError(EXIT.failed, 'socket', messageOf(error))
    }
  }

  #serveMetrics(gateway: Gateway): MetricsServer {
    const said = (level: LogLevel, message: string) => this.#log.log(level, message, { reason: 'metrics' })
    const server = createMetricsServer((path) => pageFor(gateway, path), said)
    server.set(gateway.config.management?.metrics ?? null)
    return server
  }

  #gatewayOptions(machine: Machine, gateway: () => Gateway | null) {
    const load = (file: string) => loadFile(file, this.#files, gateway()?.deviceNames())
    const committed = () => this.#metrics?.set(gateway()?.config.management?.metrics ?? null)
    return { version: VERSION, node: process.version, load, committed, counters: () => machine.counters() }
  }

  /** SIGHUP: the same file again. A refused one changes nothing and says why. */
  #reload(gateway: Gateway) {
    try {
      const { plan, warnings } = gateway.commits.commit()
      for (const finding of warnings) this.#finding('warning', finding)
      this.#log.log('info', `configuration committed: ${planText(plan)}`)
    } catch (error) {
      const findings = error instanceof RefusedError ? error.findings : []
      for (const { text, code } of findings) this.#log.log('error', text, { reason: code })
      const why = findings.length > 0 ? '' : `: ${messageOf(error)}`
      this.#log.log('error', `configuration refused, the old one stays${why}`, { reason: 'refused' })
    }
  }

  #finding(level: 'warning' | 'error', finding: Finding) {
    this.#log.log(level, formatFinding(this.#options.config, finding, level), { reason: finding.code })
  }

  async #stop(gateway: Gateway | null, machine: Machine | null, server: ControlServer) {
    const late = setTimeout(() => process.kill(process.pid, 'SIGKILL'), STOP_MS)
    await gateway?.stop()
    await this.#metrics?.close()
    await server.close()
    await machine?.stop()
    clearTimeout(late)
  }

  /** A mistake in one event must not take the tunnels down; SIGUSR1 must not open an inspector. */
  #survive() {
    const note = (error: unknown) =>
      this.#log.log('error', `internal error: ${messageOf(error)}`, {
        reason: 'internal',
        at: firstFrame(error),
      })
    process.on('uncaughtException', note)
    process.on('unhandledRejection', note)
    process.on('SIGUSR1', () => {})
  }
}

async function makeMachine(config: Config): Promise<Machine> {
  const { ikePort, natTPort } = config
  try {
    const { createLinuxMachine } = await import('../../bindings/linux/machine.ts') // native code only after the checks
    return await createLinuxMachine({ asps: aspCount(config), ikePort, natTPort, warmUp: true })
  } catch (error) {
    throw machineRefused(error)
  }
}

function startGateway(gateway: Gateway) {
  try {
    gateway.start()
  } catch (error) {
    throw machineRefused(error)
  }
}

/** Something that is taken may be free tomorrow (1); anything else the kernel refuses is a privilege or feature (5). */
function machineRefused(error: unknown): ExitError {
  const taken = /EADDRINUSE|EBUSY|EEXIST/.test(messageOf(error))
  return new ExitError(taken ? EXIT.failed : EXIT.unfit, 'machine', messageOf(error))
}

async function answerer(gateway: Gateway | null, line: string) {
  if (gateway !== null) return gateway.command(line)
  return { ok: false as const, error: { code: 'starting', message: 'the gateway is starting' } }
}

function stopSignal(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => resolve(signal))
  return promise
}

function planText(plan: Finding[]): string {
  const count = (code: string) => plan.filter((entry) => entry.code === code).length
  return ['keep', 'change', 'add', 'delete'].map((code) => `${count(code)} ${code}`).join(', ')
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function firstFrame(error: unknown): string {
  return (error instanceof Error ? (error.stack ?? '') : '').split('\n')[1]?.trim() ?? ''
}
