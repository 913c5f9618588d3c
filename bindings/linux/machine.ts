// The machine on Linux: sockets, devices, the card and its ASPs, joined and taken apart in the right order.

import { HEADER_DEVICES } from '../../dataplane-as/abi.ts'
import { AttachedCard } from '../attached-card.ts'
import { monotonic, SystemClock } from '../clock.ts'
import { type ForeignDatagram, handToAsp } from '../control-inbox.ts'
import { PoolCryptoJobs } from '../crypto-jobs.ts'
import { SystemEntropy } from '../entropy.ts'
import { SystemFiles } from '../files.ts'
import type { Machine, MachineOptions } from '../machine.ts'
import { SystemResolver } from '../resolver.ts'
import { WarmUp } from '../warm-host.ts'
import { AspHost } from './asp-host.ts'
import { IPPROTO_AH, IPPROTO_ESP } from './constants.ts'
import { DeviceRegistry } from './device-registry.ts'
import { ErrorQueues } from './error-queue.ts'
import { clearEvent, createEvent } from './eventfd.ts'
import { kernelPathMtu } from './path-mtu.ts'
import { closeRaw, openRaw, type RawFamily, shareRaw } from './raw.ts'
import type { Source } from './receiver.ts'
import { LinuxRoutes } from './routes.ts'
import type { SendPair, SendSockets } from './sender.ts'
import { LinuxSockets } from './sockets.ts'
import { close, watchReadable } from './syscalls.ts'
import { closeUdp, openUdp, steerUdp, type UdpFamily } from './udp.ts'

const HEARTBEAT = 100
/** how often the MTUs of all paths are looked at without a cause, ms */
const PATH_INTERVAL = 30000
const START_LIMIT = 60000
const START_STEP = 5
/** longest that the start waits for warm-up and self-test, ms; a quarter of a second where nothing else runs */
const WARM_LIMIT = 30_000

/**
 * Opens the sockets, lays out the card, starts the ASPs and waits until all have announced themselves.
 * Throws with an operator sentence; whatever was opened until then is closed again.
 */
export async function createLinuxMachine(options: MachineOptions): Promise<Machine> {
  const machine = new LinuxMachine(options)
  try {
    await machine.start()
  } catch (error) {
    await machine.stop()
    throw error
  }
  return machine
}

class LinuxMachine implements Machine {
  readonly clock = new SystemClock()
  readonly entropy = new SystemEntropy()
  readonly files = new SystemFiles()
  readonly resolver = new SystemResolver()
  readonly cryptoJobs = new PoolCryptoJobs()
  readonly card: AttachedCard
  readonly routes: LinuxRoutes
  readonly sockets: LinuxSockets
  readonly #options: MachineOptions
  readonly #undo: (() => void | Promise<void>)[] = []
  readonly #hosts: AspHost[] = []
  readonly #devices = new DeviceRegistry(this.#hosts)
  readonly #udp: UdpFamily[]
  readonly #raw: RawFamily[] = []
  readonly #errors: ErrorQueues
  readonly #wake: number
  #living: number[] = []
  #pathsDue = 0

  constructor(options: MachineOptions) {
    this.#options = options
    try {
      this.#udp = openUdp(options)
      this.#undo.push(() => closeUdp(this.#udp))
      for (const protocol of [IPPROTO_ESP, IPPROTO_AH]) {
        const raw = openRaw(protocol, options.asps)
        this.#undo.push(() => closeRaw(raw))
        this.#raw.push(...raw)
      }
      this.#errors = new ErrorQueues([IPPROTO_ESP, IPPROTO_AH])
      this.#undo.push(() => this.#errors.close())
      this.#wake = createEvent()
      this.#undo.push(() => void close(this.#wake))
      this.routes = new LinuxRoutes(this.#devices)
      this.#undo.push(() => this.#removeDevices())
      this.card = this.#makeCard()
      this.sockets = this.#makeSockets()
    } catch (error) {
      void this.stop()
      throw error
    }
  }

  #makeCard(): AttachedCard {
    const options = {
      ...this.#options.card,
      asps: this.#options.asps,
      doorbell: (asp: number) => this.#hosts[asp - 1]?.signal(),
      onIke: (datagram: Parameters<LinuxSockets['inject']>[0]) => this.sockets.inject(datagram),
    }
    return new AttachedCard(options, this.#devices, kernelPathMtu)
  }

  #makeSockets(): LinuxSockets {
    const sockets = new LinuxSockets(this.#udp, this.#options, {
      sourceFor: (remote) => this.routes.sourceFor(remote),
      foreign: (datagram) => this.#foreign(datagram),
    })
    this.#undo.push(() => sockets.stop())
    return sockets
  }

  /** ESP at control's socket: the first living ASP opens it or hands it on. */
  #foreign(datagram: ForeignDatagram): boolean {
    const [asp] = this.#living
    if (asp === undefined || !handToAsp(this.card.cardMemory, asp, datagram)) return false
    this.#hosts[asp - 1].signal()
    return true
  }

  #removeDevices(): void {
    this.routes.removeAll()
    this.#devices.closeAll()
    this.routes.close()
  }

  async start(): Promise<void> {
    for (let asp = 1; asp <= this.#options.asps; asp++) this.#hosts.push(this.#makeHost(asp))
    this.#undo.push(async () => {
      await Promise.all(this.#hosts.map((host) => host.stop()))
    })
    this.#living = this.#hosts.map((host) => host.asp)
    const wakeUps = [this.#wake, ...this.#hosts.map((host) => host.wake)]
    const warm = this.#warmUp()
    for (const host of this.#hosts) host.start(wakeUps)
    this.#undo.push(() => this.card.stop())
    const watch = watchReadable(this.#wake, () => {
      clearEvent(this.#wake)
      this.card.poll()
    })
    const heartbeat = setInterval(() => this.#beat(), HEARTBEAT)
    this.#undo.push(() => {
      clearInterval(heartbeat)
      watch.close()
      this.clock.stop()
    })
    await this.#allUp()
    await warm?.within(WARM_LIMIT)
  }

  #warmUp(): WarmUp | null {
    if (this.#options.warmUp !== true) return null
    const warm = new WarmUp(this.card.module)
    this.#undo.push(() => warm.stop())
    return warm
  }

  /** poll() too: it moves commands on that found a ring full, and reports what no ASP has said. */
  #beat(): void {
    const now = monotonic()
    this.card.heartbeat(now)
    for (const remote of this.#errors.take()) this.card.pathQuestioned(remote)
    if (now >= this.#pathsDue) {
      this.#pathsDue = now + PATH_INTERVAL
      this.card.lookAtPaths()
    }
    this.card.poll()
  }

  #makeHost(asp: number): AspHost {
    return new AspHost({
      asp,
      module: this.card.module,
      memory: this.card.memory,
      devices: this.card.cardMemory.header(HEADER_DEVICES),
      loan: {
        sources: this.#sourcesOf(asp),
        ipv4: this.#sendersOf(asp, 4),
        ipv6: this.#sendersOf(asp, 6),
      },
      failed: ({ reason, ended }) => {
        if (ended) this.#aspEnded(asp, reason)
      },
      tooBig: (tunnel) => {
        this.card.pathTooSmall(tunnel)
        this.card.poll()
      },
    })
  }

  /** A rebuilt instance announces itself through the card; an ended thread cannot. The others take its packets. */
  #aspEnded(asp: number, reason: string): void {
    this.#living = this.#living.filter((one) => one !== asp)
    this.#devices.abandonQueues(asp)
    if (this.#living.length > 0) {
      steerUdp(this.#udp, this.#living)
      shareRaw(this.#raw, this.#living)
    }
    this.card.failAsp(asp, reason)
    this.card.poll()
  }

  /** Both UDP sockets can receive: they are members of one group. */
  #sourcesOf(asp: number): Source[] {
    const udp = this.#udp.flatMap(({ family, asps, aspsDontFragment }) =>
      [asps[asp - 1], aspsDontFragment[asp - 1]].map((fd) => ({
        fd,
        family,
        protocol: 0,
        port: this.#options.natTPort,
      })),
    )
    const raw = this.#raw.map(({ family, protocol, asps }) => ({
      fd: asps[asp - 1],
      family,
      protocol,
      port: 0,
    }))
    return [...udp, ...raw]
  }

  #sendersOf(asp: number, family: 4 | 6): SendSockets | null {
    const udp = this.#udp.find((one) => one.family === family)
    const raw = (protocol: number) =>
      this.#raw.find((one) => one.family === family && one.protocol === protocol)
    const [esp, ah] = [raw(IPPROTO_ESP), raw(IPPROTO_AH)]
    if (udp === undefined || esp === undefined || ah === undefined) return null
    const pair = ({ asps, aspsDontFragment }: Pick<UdpFamily, 'asps' | 'aspsDontFragment'>): SendPair => [
      asps[asp - 1],
      aspsDontFragment[asp - 1],
    ]
    return { udp: pair(udp), esp: pair(esp), ah: pair(ah) }
  }

  async #allUp(): Promise<void> {
    const until = monotonic() + START_LIMIT
    for (;;) {
      this.card.heartbeat(monotonic())
      const down = this.card.asps().filter((one) => one.state === 'down')
      if (down.length === 0) return
      if (monotonic() > until)
        throw new Error(`ASP ${down.map((one) => one.asp).join(', ')} did not start within ${START_LIMIT} ms`)
      await new Promise((resolve) => setTimeout(resolve, START_STEP))
    }
  }

  counters(): Record<string, number> {
    return { ...this.sockets.counters }
  }

  /** Last opened, first closed; one that fails does not keep the others open. */
  async stop(): Promise<void> {
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop())
      try {
        await undo()
      } catch (error) {
        process.emitWarning(`while stopping: ${String(error)}`)
      }
  }
}
