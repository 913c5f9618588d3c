// What passes the lab's middle wire, counted by kind. Everything that is not known to be IKE, ESP or
// link housekeeping is clear: a verdict of "nothing leaked" must not rest on a list of bad packets.
//
// Counters: ike, esp, keepalive (RFC 3948 §2.3), arp, neighbour (ICMPv6 ND and MLD of the link itself),
// error (ICMP error or redirect that quotes nothing but a packet of one of these kinds: a gateway that is not there
// yet, or one that has moved and is still sent to at its old address),
// clear (all the rest), protectedAddresses (an outer source or destination inside a protected network),
// plaintext (a frame of any kind that holds the marker of the lab's own pings). One frame is leaked when it is
// in one of the last three.

import ipaddr from 'ipaddr.js'
import type { Emit } from './lab-events.ts'
import type { LabPlan } from './lab-plan.ts'

const ETHERNET = 14
const TYPE_IPV4 = 0x0800
const TYPE_IPV6 = 0x86dd
const TYPE_ARP = 0x0806
const UDP = 17
const ESP = 50
const ICMP = 1
const ICMP6 = 58
const ICMP_HEADER = 8
/** destination unreachable, redirect, time exceeded, parameter problem; ICMPv6 also packet too big */
const ICMP_ERRORS = [3, 5, 11, 12]
const ICMP6_ERRORS = [1, 2, 3, 4]
const HOP_BY_HOP = 0
const FRAGMENT_HEADER = 44
const IKE_PORT = 500
const NAT_T_PORT = 4500
const IKE_HEADER = 28
const ESP_HEADER = 8 // SPI and sequence number
const FRAGMENTS_KEPT = 256

export type WireKind = 'ike' | 'esp' | 'keepalive' | 'arp' | 'neighbour' | 'error' | 'clear'

/** The IKE header as it stands on the wire (RFC 7296 §3.1). */
export type IkeSeen = {
  from: string
  to: string
  exchange: string
  messageId: number
  response: boolean
  fromInitiator: boolean
  bytes: number
}

export type Seen = { kind: WireKind; source: string | null; destination: string | null; ike: IkeSeen | null }

export type WireCounts = Record<WireKind | 'protectedAddresses' | 'plaintext' | 'leaked', number>

const EXCHANGES: Record<number, string> = {
  34: 'IKE_SA_INIT',
  35: 'IKE_AUTH',
  36: 'CREATE_CHILD_SA',
  37: 'INFORMATIONAL',
}

type Packet = {
  source: string
  destination: string
  protocol: number
  id: string
  offset: number
  more: boolean
  payload: Uint8Array
}

/** Remembers only what first fragments told of the later ones. */
export class WireCounter {
  readonly counts: WireCounts
  readonly #protected: [ipaddr.IPv4 | ipaddr.IPv6, number][]
  readonly #marker: Buffer
  readonly #fragments = new Map<string, WireKind>()

  constructor(protectedPrefixes: string[], marker: Uint8Array) {
    this.#protected = protectedPrefixes.map((prefix) => ipaddr.parseCIDR(prefix))
    this.#marker = Buffer.from(marker)
    this.counts = noCounts()
  }

  /** Forgets all counts, for a new start of the measurement. */
  reset(): void {
    Object.assign(this.counts, noCounts())
  }

  /** Counts one Ethernet frame and says what it was. */
  countFrame(frame: Uint8Array): Seen {
    const type = frame.length < ETHERNET ? -1 : (frame[12]! << 8) | frame[13]!
    if (type === TYPE_ARP) return this.#add(frame, seenOf('arp', null, null))
    const known = type === TYPE_IPV4 || type === TYPE_IPV6
    return known ? this.countPacket(frame.subarray(ETHERNET)) : this.#add(frame, seenOf('clear', null, null))
  }

  /** Counts one IP packet. */
  countPacket(bytes: Uint8Array): Seen {
    const packet = readPacket(bytes)
    if (packet === null) return this.#add(bytes, seenOf('clear', null, null))
    const seen = this.#judge(packet)
    const isTrain = seen.kind === 'esp' && packet.protocol === UDP && packet.offset === 0
    return this.#add(bytes, seen, isTrain ? trainOf(packet.payload) : 1)
  }

  #add(bytes: Uint8Array, seen: Seen, datagrams = 1): Seen {
    const inside = this.#isProtected(seen.source) || this.#isProtected(seen.destination)
    const readable = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(this.#marker)
    this.counts[seen.kind] += datagrams
    if (inside) this.counts.protectedAddresses++
    if (readable) this.counts.plaintext += datagrams
    if (inside || readable || seen.kind === 'clear') this.counts.leaked++
    return seen
  }

  #judge(packet: Packet): Seen {
    const kind = packet.offset > 0 ? this.#laterFragment(packet) : kindOf(packet)
    if (packet.more && packet.offset === 0) this.#remember(packet, kind)
    const ike = kind === 'ike' && packet.offset === 0 ? readIke(packet) : null
    return seenOf(kind, packet, ike)
  }

  #laterFragment(packet: Packet): WireKind {
    if (packet.protocol === ESP) return 'esp'
    return this.#fragments.get(fragmentKey(packet)) ?? 'clear'
  }

  #remember(packet: Packet, kind: WireKind): void {
    if (this.#fragments.size >= FRAGMENTS_KEPT) this.#fragments.clear()
    this.#fragments.set(fragmentKey(packet), kind)
  }

  #isProtected(address: string | null): boolean {
    if (address === null) return false
    const parsed = ipaddr.parse(address)
    return this.#protected.some(([network, length]) => matches(parsed, network, length))
  }
}

function matches(
  address: ipaddr.IPv4 | ipaddr.IPv6,
  network: ipaddr.IPv4 | ipaddr.IPv6,
  length: number,
): boolean {
  return address.kind() === network.kind() && address.match(network, length)
}

const noCounts = (): WireCounts => ({
  ike: 0,
  esp: 0,
  keepalive: 0,
  arp: 0,
  neighbour: 0,
  error: 0,
  clear: 0,
  protectedAddresses: 0,
  plaintext: 0,
  leaked: 0,
})

function seenOf(kind: WireKind, packet: Packet | null, ike: IkeSeen | null): Seen {
  return { kind, source: packet?.source ?? null, destination: packet?.destination ?? null, ike }
}

const fragmentKey = (packet: Packet) => `${packet.source} ${packet.destination} ${packet.id}`

function readPacket(bytes: Uint8Array): Packet | null {
  const version = (bytes[0] ?? 0) >> 4
  return version === 4 ? readIpv4(bytes) : version === 6 ? readIpv6(bytes) : null
}

/** null: too short to be what its version says. */
function readIpv4(bytes: Uint8Array): Packet | null {
  const header = (bytes[0]! & 15) * 4
  if (header < 20 || bytes.length < header) return null
  const fragment = (bytes[6]! << 8) | bytes[7]!
  return {
    source: bytes.subarray(12, 16).join('.'),
    destination: bytes.subarray(16, 20).join('.'),
    protocol: bytes[9]!,
    id: `${bytes[4]}.${bytes[5]}`,
    offset: fragment & 0x1fff,
    more: (fragment & 0x2000) !== 0,
    payload: bytes.subarray(header),
  }
}

/** The fixed header, then a hop-by-hop header (MLD has one) and a fragment header; others stay the protocol they are. */
function readIpv6(bytes: Uint8Array): Packet | null {
  if (bytes.length < 40) return null
  const packet = {
    source: ipv6Text(bytes.subarray(8, 24)),
    destination: ipv6Text(bytes.subarray(24, 40)),
    protocol: bytes[6]!,
    id: '',
    offset: 0,
    more: false,
    payload: bytes.subarray(40),
  }
  if (packet.protocol === HOP_BY_HOP && packet.payload.length >= 8) {
    packet.protocol = packet.payload[0]!
    packet.payload = packet.payload.subarray((packet.payload[1]! + 1) * 8)
  }
  return packet.protocol === FRAGMENT_HEADER ? readFragment(packet) : packet
}

function readFragment(packet: Packet): Packet {
  const { payload } = packet
  if (payload.length < 8) return packet
  const field = (payload[2]! << 8) | payload[3]!
  return {
    ...packet,
    protocol: payload[0]!,
    id: payload.subarray(4, 8).join('.'),
    offset: field >> 3,
    more: (field & 1) !== 0,
    payload: payload.subarray(8),
  }
}

const ipv6Text = (bytes: Uint8Array) => new ipaddr.IPv6([...bytes]).toRFC5952String()

function kindOf(packet: Packet): WireKind {
  if (packet.protocol === ESP) return 'esp'
  if (packet.protocol === ICMP && ICMP_ERRORS.includes(packet.payload[0]!)) return kindOfQuote(packet.payload)
  if (packet.protocol === ICMP6 && ICMP6_ERRORS.includes(packet.payload[0]!))
    return kindOfQuote(packet.payload)
  if (packet.protocol === ICMP6) return isNeighbour(packet.payload) ? 'neighbour' : 'clear'
  return packet.protocol === UDP && packet.payload.length > 8 ? kindOfUdp(packet.payload) : 'clear'
}

/** RFC 792 and 4443: the packet that met the error follows the 8-byte header, perhaps cut. */
function kindOfQuote(icmp: Uint8Array): WireKind {
  const packet = readPacket(icmp.subarray(ICMP_HEADER))
  if (packet === null || packet.offset > 0 || packet.protocol === ICMP || packet.protocol === ICMP6)
    return 'clear'
  return kindOf(packet) === 'clear' ? 'clear' : 'error'
}

/** ND 133-137 (RFC 4861), MLD 130-132 and 143 (RFC 3810): never forwarded, they carry no user data. */
function isNeighbour(icmp: Uint8Array): boolean {
  const type = icmp[0]!
  return (type >= 130 && type <= 137) || type === 143
}

/** RFC 3948 §2: on port 4500 four zero bytes are IKE, one byte 0xff is a keepalive, the rest is ESP. */
function kindOfUdp(udp: Uint8Array): WireKind {
  const ports = [(udp[0]! << 8) | udp[1]!, (udp[2]! << 8) | udp[3]!]
  if (ports.includes(IKE_PORT)) return isIke(udp, 8) ? 'ike' : 'clear'
  if (!ports.includes(NAT_T_PORT)) return 'clear'
  const length = (udp[4]! << 8) | udp[5]!
  if (length === 9) return udp[8] === 0xff ? 'keepalive' : 'clear'
  if (udp.length < 12) return 'clear'
  const marker = udp[8]! | udp[9]! | udp[10]! | udp[11]!
  if (marker !== 0) return 'esp'
  return isIke(udp, 12) ? 'ike' : 'clear'
}

/** ESP datagrams of a UDP message that the kernel shows as one frame although it cuts it (UDP_SEGMENT). */
function trainOf(udp: Uint8Array): number {
  const view = new DataView(udp.buffer, udp.byteOffset, udp.byteLength)
  return espDatagrams(udp.subarray(8), view.getUint16(4) - 8)
}

/**
 * The datagrams of a train are of one length and numbered one after the other; the last may be shorter. `esp` may be
 * cut, `length` is what it was.
 */
export function espDatagrams(esp: Uint8Array, length: number): number {
  const view = new DataView(esp.buffer, esp.byteOffset, esp.byteLength)
  if (view.byteLength < ESP_HEADER) return 1
  const [spi, number] = [view.getUint32(0), view.getUint32(4)]
  for (let at = ESP_HEADER; at + ESP_HEADER <= view.byteLength; at += 4)
    if (view.getUint32(at) === spi && view.getUint32(at + 4) === number + 1) return Math.ceil(length / at)
  return 1
}

/** Room for the header, and a major version that exists (RFC 7296 §3.1). */
function isIke(udp: Uint8Array, at: number): boolean {
  const major = (udp[at + 17] ?? 0) >> 4
  return udp.length >= at + IKE_HEADER && (major === 1 || major === 2)
}

function readIke(packet: Packet): IkeSeen | null {
  const udp = packet.payload
  const marked = ((udp[2]! << 8) | udp[3]!) !== IKE_PORT && ((udp[0]! << 8) | udp[1]!) !== IKE_PORT
  const at = marked ? 12 : 8
  const view = new DataView(udp.buffer, udp.byteOffset + at, IKE_HEADER)
  const exchange = view.getUint8(18)
  const flags = view.getUint8(19)
  return {
    from: packet.source,
    to: packet.destination,
    exchange: EXCHANGES[exchange] ?? `exchange ${exchange}`,
    messageId: view.getUint32(20),
    response: (flags & 0x20) !== 0,
    fromInitiator: (flags & 0x08) !== 0,
    bytes: view.getUint32(24),
  }
}

/** Emits an IKE message with the names of its ends. */
export function tellIke({ ike }: Seen, plan: LabPlan, emit: Emit): void {
  if (ike === null) return
  const nameOf = (address: string) => plan.gateways.find((one) => one.outer === address)?.name ?? address
  emit({ kind: 'ike', seen: ike, fromName: nameOf(ike.from), toName: nameOf(ike.to) })
}
