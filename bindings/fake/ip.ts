// IP packets as bytes (RFC 791, RFC 8200), UDP (RFC 768) and ICMP echo (RFC 792, RFC 4443): what travels
// on the in-process wire and what its hosts speak. Lengths are checked once, before anything is read.

import type { Address } from '../../control/ports.ts'
import { addressBytes, addressText } from '../address.ts'

export const PROTOCOL_ICMP = 1
export const PROTOCOL_UDP = 17
export const PROTOCOL_ICMPV6 = 58
const IPV4_HEADER = 20
const IPV6_HEADER = 40
const UDP_HEADER = 8
const ICMP_HEADER = 8
const INITIAL_TTL = 64

export type IpHeader = {
  source: Address
  destination: Address
  protocol: number
  /** TOS or traffic class */
  tos: number
  dontFragment: boolean
}
export type IpPacket = IpHeader & { ttl: number; payload: Uint8Array }

let identification = 1

/** Builds a whole packet; IPv4 or IPv6 by its addresses. */
export function buildIp(header: IpHeader, payload: Uint8Array): Uint8Array {
  const source = addressBytes(header.source)
  const destination = addressBytes(header.destination)
  return source.length === 4
    ? buildIpv4(header, source, destination, payload)
    : buildIpv6(header, source, destination, payload)
}

function buildIpv4(
  header: IpHeader,
  source: Uint8Array,
  destination: Uint8Array,
  payload: Uint8Array,
): Uint8Array {
  const packet = new Uint8Array(IPV4_HEADER + payload.length)
  const view = new DataView(packet.buffer)
  packet[0] = 0x45
  packet[1] = header.tos
  view.setUint16(2, packet.length)
  view.setUint16(4, header.dontFragment ? 0 : identification++ & 0xffff)
  view.setUint16(6, header.dontFragment ? 0x4000 : 0)
  packet[8] = INITIAL_TTL
  packet[9] = header.protocol
  packet.set(source, 12)
  packet.set(destination, 16)
  view.setUint16(10, checksum(packet.subarray(0, IPV4_HEADER)))
  packet.set(payload, IPV4_HEADER)
  return packet
}

function buildIpv6(
  header: IpHeader,
  source: Uint8Array,
  destination: Uint8Array,
  payload: Uint8Array,
): Uint8Array {
  const packet = new Uint8Array(IPV6_HEADER + payload.length)
  const view = new DataView(packet.buffer)
  view.setUint32(0, 0x60000000 + header.tos * 0x100000)
  view.setUint16(4, payload.length)
  packet[6] = header.protocol
  packet[7] = INITIAL_TTL
  packet.set(source, 8)
  packet.set(destination, 24)
  packet.set(payload, IPV6_HEADER)
  return packet
}

/** Views into the packet; null for anything malformed. Extension headers are left in the payload. */
export function parseIp(packet: Uint8Array): IpPacket | null {
  if (packet.length < 1) return null
  if (packet[0] >> 4 === 4) return parseIpv4(packet)
  return packet[0] >> 4 === 6 ? parseIpv6(packet) : null
}

function parseIpv4(packet: Uint8Array): IpPacket | null {
  const header = (packet[0] & 15) * 4
  if (header < IPV4_HEADER || packet.length < header) return null
  const view = viewOf(packet)
  const total = view.getUint16(2)
  if (total < header || total > packet.length) return null
  return {
    source: addressText(packet.subarray(12, 16)),
    destination: addressText(packet.subarray(16, 20)),
    protocol: packet[9],
    tos: packet[1],
    dontFragment: (view.getUint16(6) & 0x4000) !== 0,
    ttl: packet[8],
    payload: packet.subarray(header, total),
  }
}

function parseIpv6(packet: Uint8Array): IpPacket | null {
  if (packet.length < IPV6_HEADER) return null
  const view = viewOf(packet)
  const total = IPV6_HEADER + view.getUint16(4)
  if (total > packet.length) return null
  return {
    source: addressText(packet.subarray(8, 24)),
    destination: addressText(packet.subarray(24, 40)),
    protocol: packet[6],
    tos: (view.getUint16(0) >> 4) & 0xff,
    dontFragment: true,
    ttl: packet[7],
    payload: packet.subarray(IPV6_HEADER, total),
  }
}

/** A forwarded copy: TTL or hop limit one less (RFC 1812 §5.3.1); null when it ends here. */
export function forwarded(packet: Uint8Array): Uint8Array | null {
  const copy = Uint8Array.from(packet)
  const v4 = copy[0] >> 4 === 4
  const at = v4 ? 8 : 7
  if (copy[at] <= 1) return null
  copy[at]--
  if (v4) {
    copy[10] = 0
    copy[11] = 0
    viewOf(copy).setUint16(10, checksum(copy.subarray(0, (copy[0] & 15) * 4)))
  }
  return copy
}

/** A UDP datagram in an IP packet, its checksum over the pseudo header. */
export function buildUdp(header: IpHeader, ports: [source: number, destination: number], data: Uint8Array) {
  const udp = new Uint8Array(UDP_HEADER + data.length)
  const view = new DataView(udp.buffer)
  view.setUint16(0, ports[0])
  view.setUint16(2, ports[1])
  view.setUint16(4, udp.length)
  udp.set(data, UDP_HEADER)
  view.setUint16(6, checksum(udp, pseudoSum(header, PROTOCOL_UDP, udp.length)) || 0xffff)
  return buildIp({ ...header, protocol: PROTOCOL_UDP }, udp)
}

export type Udp = { sourcePort: number; destinationPort: number; data: Uint8Array }

export function parseUdp(payload: Uint8Array): Udp | null {
  if (payload.length < UDP_HEADER) return null
  const view = viewOf(payload)
  const length = view.getUint16(4)
  if (length < UDP_HEADER || length > payload.length) return null
  return {
    sourcePort: view.getUint16(0),
    destinationPort: view.getUint16(2),
    data: payload.subarray(UDP_HEADER, length),
  }
}

export type Echo = { request: boolean; id: number; sequence: number; data: Uint8Array }

/** An ICMP echo request or reply in an IP packet. */
export function buildEcho(source: Address, destination: Address, echo: Echo): Uint8Array {
  const v6 = source.includes(':')
  const header: IpHeader = {
    source,
    destination,
    protocol: v6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP,
    tos: 0,
    dontFragment: false,
  }
  const icmp = new Uint8Array(ICMP_HEADER + echo.data.length)
  const view = new DataView(icmp.buffer)
  icmp[0] = v6 ? (echo.request ? 128 : 129) : echo.request ? 8 : 0
  view.setUint16(4, echo.id)
  view.setUint16(6, echo.sequence)
  icmp.set(echo.data, ICMP_HEADER)
  view.setUint16(2, checksum(icmp, v6 ? pseudoSum(header, PROTOCOL_ICMPV6, icmp.length) : 0))
  return buildIp(header, icmp)
}

/** null when the packet is no echo or its ICMP checksum is wrong. */
export function parseEcho(packet: IpPacket): Echo | null {
  const { payload, protocol } = packet
  const v6 = protocol === PROTOCOL_ICMPV6
  if ((!v6 && protocol !== PROTOCOL_ICMP) || payload.length < ICMP_HEADER) return null
  const type = payload[0]
  const request = type === (v6 ? 128 : 8)
  if (!request && type !== (v6 ? 129 : 0)) return null
  if (checksum(payload, v6 ? pseudoSum(packet, protocol, payload.length) : 0) !== 0) return null
  const view = viewOf(payload)
  return { request, id: view.getUint16(4), sequence: view.getUint16(6), data: payload.subarray(ICMP_HEADER) }
}

function pseudoSum(header: IpHeader, protocol: number, length: number): number {
  return sum(addressBytes(header.source)) + sum(addressBytes(header.destination)) + protocol + length
}

/** Internet checksum (RFC 1071), complemented. */
export function checksum(bytes: Uint8Array, start = 0): number {
  let total = start + sum(bytes)
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 0x10000)
  return ~total & 0xffff
}

function sum(bytes: Uint8Array): number {
  let total = 0
  for (let at = 0; at < bytes.length; at += 2) total += bytes[at] * 256 + (bytes[at + 1] ?? 0)
  return total
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
