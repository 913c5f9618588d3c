// A whole machine in this thread: the same card, driver and ASP loop, over an in-process wire and kernel.
//
// The wire steers like the kernel's programs (SPI mod number of ASPs) unless `steering` says otherwise: every
// datagram on the NAT traversal port reaches ASP 1 ('first') or control ('control'), so that the inboxes carry
// what is not theirs.

import type { Address, Clock, CryptoJob, CryptoJobs, CryptoResult } from '../../control/ports.ts'
import { AspLoop } from '../asp-loop.ts'
import { AttachedCard } from '../attached-card.ts'
import { handToAsp } from '../control-inbox.ts'
import { PoolCryptoJobs } from '../crypto-jobs.ts'
import { SystemEntropy } from '../entropy.ts'
import { SystemFiles } from '../files.ts'
import type { Machine, MachineOptions } from '../machine.ts'
import { SystemResolver } from '../resolver.ts'
import { FakeAspIo } from './asp-io.ts'
import { FakeHost } from './host.ts'
import { type IpPacket, PROTOCOL_UDP, parseIp, parseUdp, type Udp } from './ip.ts'
import { FakeKernel } from './kernel.ts'
import type { FakeNet } from './net.ts'
import { FakeSockets } from './sockets.ts'
import { type Cancel, type FakeTime, VirtualTime } from './time.ts'

const HEARTBEAT = 100
const PROTOCOL_ESP = 50
const PROTOCOL_AH = 51

export type FakeMachineOptions = MachineOptions & {
  /** our addresses on the wire */
  addresses: Address[]
  steering?: 'spi' | 'first' | 'control'
}

/** `kernel` is the Routes port and more; host() adds a host to the networks behind the gateway. */
export type FakeMachine = Machine & {
  card: AttachedCard
  kernel: FakeKernel
  host(address: Address): FakeHost
}

export async function createFakeMachine(net: FakeNet, options: FakeMachineOptions): Promise<FakeMachine> {
  return new InProcessMachine(net, options)
}

class InProcessMachine implements FakeMachine {
  readonly kernel = new FakeKernel()
  readonly routes = this.kernel
  readonly entropy = new SystemEntropy()
  readonly files = new SystemFiles()
  readonly resolver = new SystemResolver()
  readonly clock: FakeClock
  readonly cryptoJobs: CryptoJobs
  readonly sockets: FakeSockets
  readonly card: AttachedCard
  readonly #net: FakeNet
  readonly #options: FakeMachineOptions
  readonly #ios: FakeAspIo[] = []
  readonly #loops: AspLoop[] = []
  readonly #deviceNames = new Map<number, string>()
  readonly #counters = { strays: 0, foreign: 0, inboxFull: 0 }
  readonly #detach: () => void
  readonly #ended = new Set<number>()
  #running = true
  #turn: Cancel | null = null
  #beat: Cancel

  constructor(net: FakeNet, options: FakeMachineOptions) {
    this.#net = net
    this.#options = options
    this.clock = new FakeClock(net.time)
    this.cryptoJobs = new HeldCryptoJobs(net.time)
    this.sockets = new FakeSockets({ ...options, send: (packet) => net.send(packet) })
    this.card = this.#makeCard()
    for (let asp = 1; asp <= options.asps; asp++) this.#startAsp(asp)
    this.#detach = net.attach(options.addresses, (packet) => this.#fromWire(packet))
    this.#beat = net.time.at(net.time.now(), () => this.#heartbeat())
  }

  #makeCard(): AttachedCard {
    const options = {
      ...this.#options.card,
      asps: this.#options.asps,
      doorbell: (asp: number) => this.#loops[asp - 1]?.mailbox(this.#net.time.now()),
      onIke: (datagram: Parameters<FakeSockets['inject']>[0]) => this.sockets.inject(datagram),
    }
    const devices = {
      bind: (name: string, device: number, asp: number) => this.#bind(name, device, asp),
      unbind: (name: string) => this.#unbind(name),
    }
    return new AttachedCard(options, devices, () => this.#net.mtu)
  }

  #startAsp(asp: number): void {
    const makeIo = (view: AspLoop['view']) => {
      const io = new FakeAspIo(view, this.#options.natTPort, {
        send: (packet, tunnel) => this.#send(packet, tunnel),
        deliver: (device, packet) => this.#deliver(device, packet),
        wake: () => this.#schedule(),
      })
      this.#ios.push(io)
      return io
    }
    const failed = ({ reason, ended }: { reason: string; ended: boolean }) => {
      if (!ended) return
      this.#ended.add(asp)
      this.card.failAsp(asp, reason)
    }
    const { module, memory } = this.card
    this.#loops.push(new AspLoop(module, memory, asp, this.#net.time.now(), makeIo, failed))
  }

  /** As a kernel that knows the path: with DF nothing larger leaves. False: refused, and the card hears why. */
  #send(packet: Uint8Array, tunnel: number): boolean {
    if (packet.length > this.#net.mtu && parseIp(packet)?.dontFragment) {
      this.card.pathTooSmall(tunnel)
      return false
    }
    this.#net.send(packet)
    return true
  }

  // -- devices

  #bind(name: string, device: number, asp: number): void {
    this.#deviceNames.set(device, name)
    this.kernel.setReader(name, (packet) => {
      this.#ios[asp - 1].queuePacket(device, packet)
      this.#schedule()
    })
  }

  #unbind(name: string): void {
    for (const [device, known] of this.#deviceNames) if (known === name) this.#deviceNames.delete(device)
    this.kernel.setReader(name, null)
  }

  /** False: there is no such device (any more). */
  #deliver(device: number, packet: Uint8Array): boolean {
    const name = this.#deviceNames.get(device)
    if (name === undefined || !this.kernel.devices.has(name)) return false
    this.#net.time.at(this.#net.time.now(), () => this.kernel.fromDevice(packet))
    return true
  }

  host(address: Address): FakeHost {
    return new FakeHost(address, this.kernel, this.#net.time)
  }

  // -- the wire

  #fromWire(packet: Uint8Array): void {
    if (!this.#running) return
    const header = parseIp(packet)
    if (header?.protocol === PROTOCOL_ESP) this.#raw(packet, header, 0)
    else if (header?.protocol === PROTOCOL_AH) this.#raw(packet, header, 4)
    else if (header?.protocol === PROTOCOL_UDP) this.#udp(packet, header)
    else this.#counters.strays++
  }

  #raw(packet: Uint8Array, header: IpPacket, spiOffset: number): void {
    this.#ios[this.#aspOf(header.payload.subarray(spiOffset))].queueDatagram(packet, header, null)
    this.#schedule()
  }

  #udp(packet: Uint8Array, header: IpPacket): void {
    const udp = parseUdp(header.payload)
    if (udp === null) this.#counters.strays++
    else if (udp.destinationPort === this.#options.ikePort) this.sockets.receive(header, udp, udp.data)
    else if (udp.destinationPort !== this.#options.natTPort) this.#counters.strays++
    else if (isIke(udp.data) && this.#options.steering !== 'first')
      this.sockets.receive(header, udp, udp.data.subarray(4))
    else if (this.#options.steering === 'control') this.#foreign(header, udp)
    else {
      this.#ios[this.#aspOf(udp.data)].queueDatagram(packet, header, udp)
      this.#schedule()
    }
  }

  /** ESP at control's socket, as in linux/machine.ts. */
  #foreign(header: IpPacket, udp: Udp): void {
    const asp = this.#loops.findIndex((_, index) => !this.#ended.has(index + 1)) + 1
    const datagram = {
      local: { address: header.destination, port: udp.destinationPort },
      remote: { address: header.source, port: udp.sourcePort },
      tos: header.tos,
      data: udp.data,
    }
    if (asp === 0 || !handToAsp(this.card.cardMemory, asp, datagram)) this.#counters.inboxFull++
    else this.#counters.foreign++
    this.#schedule()
  }

  /** Index of the ASP that the steering names, among those that live. */
  #aspOf(esp: Uint8Array): number {
    const living = this.#ios.map((_, index) => index).filter((index) => !this.#ended.has(index + 1))
    if (this.#options.steering === 'first' || esp.length < 4) return living[0] ?? 0
    return living[new DataView(esp.buffer, esp.byteOffset).getUint32(0) % living.length] ?? 0
  }

  // -- turns

  #schedule(): void {
    if (this.#turn !== null || !this.#running) return
    this.#turn = this.#net.time.at(this.#net.time.now(), () => this.#runTurn())
  }

  #runTurn(): void {
    this.#turn = null
    if (!this.#running) return
    for (const [index, loop] of this.#loops.entries())
      if (!this.#ended.has(index + 1)) loop.step(this.#net.time.now())
    this.card.poll()
    if (this.#ios.some((io, index) => io.pending() && !this.#ended.has(index + 1))) this.#schedule()
  }

  #heartbeat(): void {
    if (!this.#running) return
    this.card.heartbeat(this.#net.time.now())
    this.#runTurn()
    this.#beat = this.#net.time.at(this.#net.time.now() + HEARTBEAT, () => this.#heartbeat())
  }

  counters(): Record<string, number> {
    return { ...this.sockets.counters, ...this.#counters }
  }

  async stop(): Promise<void> {
    if (!this.#running) return
    await this.card.stop()
    this.#running = false
    this.#detach()
    this.#beat()
    this.#turn?.()
    this.clock.stop()
    this.kernel.removeAll()
  }
}

function isIke(data: Uint8Array): boolean {
  return data.length >= 4 && (data[0] | data[1] | data[2] | data[3]) === 0
}

/** One timer on the network's time; the wall clock goes with it from its own start. */
class FakeClock implements Clock {
  readonly #time: FakeTime
  readonly #wallOffset: number
  #cancel: Cancel = () => {}

  constructor(time: FakeTime) {
    this.#time = time
    this.#wallOffset = Date.now() - time.now()
  }

  now(): number {
    return this.#time.now()
  }

  wall(): number {
    return this.#wallOffset + this.#time.now()
  }

  wakeAt(deadline: number, handler: () => void): void {
    this.#cancel()
    this.#cancel = this.#time.at(deadline, handler)
  }

  stop(): void {
    this.#cancel()
  }
}

/** Virtual time stands still while the thread pool works. */
class HeldCryptoJobs implements CryptoJobs {
  readonly #pool = new PoolCryptoJobs()
  readonly #time: FakeTime

  constructor(time: FakeTime) {
    this.#time = time
  }

  run(job: CryptoJob): Promise<CryptoResult> {
    const work = this.#pool.run(job)
    return this.#time instanceof VirtualTime ? this.#time.hold(work) : work
  }
}
