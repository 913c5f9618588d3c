// A card in one process, its packets carried by hand: driver and instance in this thread, no sockets, no devices.
//
// protect() and open() do what an ASP's loop does: place packets, write descriptors, call, read descriptors.

import { CardDriver, type CardOptions } from '../bindings/card.ts'
import { CardMemory } from '../bindings/memory.ts'
import { type CardExports, cardSimd, instantiate, loadModule, type Simd } from '../bindings/wasm.ts'
import type { CardEvent, CardSa, CardTunnel, IkeDatagram } from '../control/ports.ts'
import * as abi from '../dataplane-as/abi.ts'
import { build } from '../dataplane-as/build.ts'
import { currentSimd } from './simd.ts'

build()
const modules = new Map<Simd, WebAssembly.Module>()

/** The gateway module with the instruction set that tests are at, compiled once. */
function moduleInUse(): WebAssembly.Module {
  const simd = currentSimd() ?? cardSimd()
  if (!modules.has(simd)) modules.set(simd, loadModule('gateway', simd))
  return modules.get(simd)!
}

/** small tables: layout and start cost microseconds */
const SMALL = { sas: 64, tunnels: 32, devices: 16, selectors: 256, fibNodes: 256, memoryBytes: 8 << 20 }

export type Datagram = {
  data: Uint8Array
  tunnel: number
  tos: number
  df: boolean
  encapsulation: 'udp' | 'raw'
  protocol: number
  spi: number
  /** which message of the call it was in */
  message: number
}
export type Delivered = { packet: Uint8Array; device: number; tunnel: number; address: number }

/** How a message arrives; source and local as the loop would hand them over. */
export type Arrival = {
  encapsulation?: 'udp' | 'raw' | 'raw-ipv4' | 'raw-ipv6'
  tos?: number
  segment?: number
  protocol?: number
  source?: Uint8Array
  local?: Uint8Array
  /** place the message so that it ends with the memory */
  flush?: boolean
}

const ENCAPSULATION = {
  udp: abi.IN_UDP,
  raw: abi.IN_RAW,
  'raw-ipv4': abi.IN_RAW_IPV4,
  'raw-ipv6': abi.IN_RAW_IPV6,
}

export class CardBed {
  readonly driver: CardDriver
  readonly memory: CardMemory
  readonly cards: CardExports[]
  readonly events: CardEvent[] = []
  readonly ike: IkeDatagram[] = []
  now = 100000

  constructor(options: CardOptions & { lazy?: boolean } = {}) {
    const cards: CardExports[] = []
    this.cards = cards
    const { lazy, ...card } = options
    const doorbell = lazy ? () => {} : (asp: number) => void cards[asp - 1]?.mailbox()
    this.driver = new CardDriver({
      ...SMALL,
      module: moduleInUse(),
      doorbell,
      onIke: (message) => this.ike.push(message),
      ...card,
    })
    this.memory = new CardMemory(this.driver.memory)
    this.driver.onEvent((event) => this.events.push(event))
    this.driver.heartbeat(this.now)
    for (let asp = 1; asp <= this.driver.aspCount; asp++) this.rebuild(asp)
  }

  /** a new instance for an ASP, as after a trap */
  rebuild(asp: number): void {
    const card = instantiate(this.driver.module, this.driver.memory)
    const error = card.init(asp)
    if (error !== 0) throw new Error(`init: ${error}`)
    this.cards[asp - 1] = card
  }

  /** lets time pass, ticks every ASP, hands out events */
  advance(milliseconds: number): void {
    this.now += milliseconds
    this.driver.heartbeat(this.now)
    for (const card of this.cards) card.tick()
    this.driver.poll()
  }

  take(): CardEvent[] {
    this.driver.poll()
    return this.events.splice(0)
  }

  drops(): Record<string, number> {
    const rows = this.driver.drops().filter(({ packets }) => packets > 0n)
    return Object.fromEntries(rows.map(({ reason, packets }) => [reason, Number(packets)]))
  }

  /** address of the ASP's loop area and its end */
  loopArea(asp = 1): [number, number] {
    const start = this.memory.packets(asp) + this.memory.header(abi.HEADER_LOOP_OFFSET)
    return [start, start + this.memory.header(abi.HEADER_LOOP_BYTES)]
  }

  /** Puts packets into the loop area one behind the other at odd distances; the last one may end with the area. */
  place(packets: readonly Uint8Array[], asp: number, flush: boolean): number[] {
    const [start, end] = this.loopArea(asp)
    let at = start + 1024
    return packets.map((packet, index) => {
      const last = index === packets.length - 1
      const address = flush && last ? end - packet.length : at
      if (address + packet.length > end) throw new Error('the bed has no room')
      this.memory.bytes.set(packet, address)
      at += packet.length + 17
      return address
    })
  }

  describeOut(index: number, address: number, length: number, device: number, flags = 0, asp = 1): void {
    const at = this.memory.block(asp) + abi.ASP_OUT_DESCRIPTORS + index * abi.OUT_BYTES
    this.memory.setU32(at + abi.OUT_ADDRESS, address)
    this.memory.setU32(at + abi.OUT_LENGTH, length)
    this.memory.setU32(at + abi.OUT_DEVICE, device)
    this.memory.setU32(at + abi.OUT_FLAGS, flags)
  }

  /** Protects packets read from a device. */
  protect(
    packets: readonly Uint8Array[],
    device: number | string,
    options: { asp?: number; flush?: boolean } = {},
  ): Datagram[] {
    const { asp = 1, flush = false } = options
    const number = typeof device === 'string' ? this.driver.deviceNumber(device) : device
    const addresses = this.place(packets, asp, flush)
    addresses.forEach((address, index) => {
      this.describeOut(index, address, packets[index].length, number, 0, asp)
    })
    return this.outbound(packets.length, asp)
  }

  outbound(count: number, asp = 1): Datagram[] {
    const sent: Datagram[] = []
    for (let left = count; left > 0; ) {
      sent.push(...this.readMessages(this.cards[asp - 1].outbound(left), asp))
      left -= this.consumed(asp)
    }
    return sent
  }

  consumed(asp = 1): number {
    const consumed = this.memory.u32(this.memory.block(asp) + abi.ASP_CONSUMED)
    if (consumed === 0) throw new Error('the card consumed nothing')
    return consumed
  }

  readMessages(count: number, asp: number): Datagram[] {
    const table = this.memory.block(asp) + abi.ASP_TX_DESCRIPTORS
    return Array.from({ length: count }, (_, message) =>
      this.readMessage(table + message * abi.TX_BYTES, message),
    ).flat()
  }

  readMessage(at: number, message: number): Datagram[] {
    const { view } = this.memory
    const word = (field: number) => this.memory.u32(at + field)
    const common = {
      tunnel: word(abi.TX_TUNNEL),
      tos: view.getUint8(at + abi.TX_TOS),
      df: view.getUint8(at + abi.TX_DF) === 1,
      encapsulation:
        view.getUint8(at + abi.TX_ENCAPSULATION) === abi.ENCAPSULATION_UDP
          ? ('udp' as const)
          : ('raw' as const),
      protocol: view.getUint8(at + abi.TX_PROTOCOL),
      spi: word(abi.TX_SPI),
      message,
    }
    const [start, length, segment] = [word(abi.TX_ADDRESS), word(abi.TX_LENGTH), word(abi.TX_SEGMENT)]
    return Array.from({ length: word(abi.TX_COUNT) }, (_, piece) => {
      const from = start + piece * segment
      return { ...common, data: this.memory.bytes.slice(from, Math.min(from + segment, start + length)) }
    })
  }

  describeIn(index: number, address: number, length: number, arrival: Arrival, asp = 1): void {
    const at = this.memory.block(asp) + abi.ASP_IN_DESCRIPTORS + index * abi.IN_BYTES
    const { view } = this.memory
    this.memory.bytes.fill(0, at, at + abi.IN_BYTES)
    this.memory.setU32(at + abi.IN_ADDRESS, address)
    this.memory.setU32(at + abi.IN_LENGTH, length)
    this.memory.setU32(at + abi.IN_SEGMENT, arrival.segment ?? 0)
    this.memory.setU32(at + abi.IN_SOURCE, this.#record(0, arrival.source, asp))
    this.memory.setU32(at + abi.IN_LOCAL, this.#record(1, arrival.local, asp))
    view.setUint16(at + abi.IN_LOCAL_PORT, arrival.encapsulation === 'raw' ? 0 : 4500, true)
    view.setUint8(at + abi.IN_ENCAPSULATION, ENCAPSULATION[arrival.encapsulation ?? 'udp'])
    view.setUint8(at + abi.IN_TOS, arrival.tos ?? 0)
    view.setUint8(at + abi.IN_PROTOCOL, arrival.encapsulation === 'raw' ? (arrival.protocol ?? 50) : 0)
  }

  /** sockaddr or address in the syscall area, as recvmsg would leave it */
  #record(place: number, bytes: Uint8Array | undefined, asp: number): number {
    if (bytes === undefined) return 0
    const at = this.memory.block(asp) + abi.ASP_SYSCALLS + place * 64
    this.memory.bytes.set(bytes, at)
    return at
  }

  /** Opens received messages. */
  open(messages: readonly Uint8Array[], arrival: Arrival = {}, asp = 1): Delivered[] {
    const addresses = this.place(messages, asp, arrival.flush === true)
    addresses.forEach((address, index) => {
      this.describeIn(index, address, messages[index].length, arrival, asp)
    })
    return this.inbound(messages.length, asp)
  }

  inbound(count: number, asp = 1): Delivered[] {
    const delivered: Delivered[] = []
    for (let left = count; left > 0; ) {
      this.cards[asp - 1].inbound(left)
      delivered.push(...this.delivered(asp))
      left -= this.consumed(asp)
    }
    return delivered
  }

  delivered(asp = 1): Delivered[] {
    const block = this.memory.block(asp)
    const count = this.memory.u32(block + abi.ASP_DELIVER_COUNT)
    return Array.from({ length: count }, (_, index) => {
      const at = block + abi.ASP_DELIVER_DESCRIPTORS + index * abi.DELIVER_BYTES
      const address = this.memory.u32(at + abi.DELIVER_ADDRESS)
      const packet = this.memory.bytes.slice(address, address + this.memory.u32(at + abi.DELIVER_LENGTH))
      const device = this.memory.u32(at + abi.DELIVER_DEVICE)
      return { packet, device, tunnel: this.memory.u32(at + abi.DELIVER_TUNNEL), address }
    })
  }

  /** Sets the number a hot record stands at: last sent, or highest received. */
  setSequence(ref: number, direction: 'in' | 'out', sequence: bigint): void {
    const record = ref % 65536
    const hot = direction === 'in' ? this.memory.hotIn(record) : this.memory.hotOut(record)
    this.memory.setU64(hot + abi.HOT_SEQUENCE, sequence)
  }

  /** Makes the next IVs of ASP 1 these. */
  setEntropy(iv: Uint8Array): void {
    const pool = this.memory.block(1) + abi.ASP_ENTROPY
    const tail = this.memory.u32(pool + abi.ENTROPY_TAIL)
    this.memory.bytes.set(iv, pool + abi.ENTROPY_POOL + (tail % abi.ENTROPY_BYTES))
  }
}

/** A circuit tunnel between documentation addresses. */
export function tunnelOf(change: Partial<CardTunnel> = {}): CardTunnel {
  return {
    name: 't',
    mode: 'circuit',
    asp: 1,
    local: '192.0.2.1',
    remote: { address: '192.0.2.2', port: 4500 },
    encapsulation: 'udp',
    device: 'tun0',
    mtu: 65280,
    dfBit: 'copy',
    dscp: 'copy',
    ecn: 'normal',
    ...change,
  }
}

/** An SA without limits or selectors; aes-128 and sha1 with the given first key byte unless changed. */
export function saOf(tunnel: number, change: Partial<CardSa> = {}): CardSa {
  return {
    tunnel,
    spi: 0x1001,
    protocol: 'esp',
    cipher: 'aes-128',
    encryptionKey: new Uint8Array(16).fill(0x5a),
    integrity: 'sha1',
    integrityKey: new Uint8Array(20).fill(0xa5),
    esn: false,
    replayWindow: 64,
    source: [],
    destination: [],
    hardSeconds: 0,
    hardBytes: 0,
    hardPackets: 0,
    softBytes: 0,
    softPackets: 0,
    ...change,
  }
}
