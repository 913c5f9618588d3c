// Inner packets for card tests: valid headers, any payload.

export type Flow = {
  family?: 4 | 6
  source?: string
  destination?: string
  protocol?: number
  sourcePort?: number
  destinationPort?: number
  tos?: number
  df?: boolean
  /** IPv4 fragment offset in units of 8 bytes */
  fragment?: number
}

/** A packet of `length` bytes in all; ports in the first four bytes behind the header where they fit. */
export function packetOf(length: number, flow: Flow = {}): Uint8Array {
  return flow.family === 6 ? ipv6(length, flow) : ipv4(length, flow)
}

function ipv4(length: number, flow: Flow): Uint8Array {
  const packet = Buffer.alloc(length)
  for (let i = 20; i < length; i++) packet[i] = (i * 7 + length) & 255
  packet[0] = 0x45
  packet[1] = flow.tos ?? 0
  packet.writeUInt16BE(length, 2)
  packet.writeUInt16BE((flow.df ? 0x4000 : 0) | (flow.fragment ?? 0), 6)
  packet[8] = 64
  packet[9] = flow.protocol ?? 17
  packet.set((flow.source ?? '10.1.0.1').split('.').map(Number), 12)
  packet.set((flow.destination ?? '10.2.0.1').split('.').map(Number), 16)
  packet.writeUInt16BE(checksum(packet.subarray(0, 20)), 10)
  ports(packet, 20, flow)
  return packet
}

function ipv6(length: number, flow: Flow): Uint8Array {
  const packet = Buffer.alloc(length)
  for (let i = 40; i < length; i++) packet[i] = (i * 11 + length) & 255
  packet.writeUInt16BE(0x6000 | ((flow.tos ?? 0) << 4), 0)
  packet.writeUInt16BE(length - 40, 4)
  packet[6] = flow.protocol ?? 17
  packet[7] = 64
  packet.set(ipv6Bytes(flow.source ?? '2001:db8:1::1'), 8)
  packet.set(ipv6Bytes(flow.destination ?? '2001:db8:2::1'), 24)
  ports(packet, 40, flow)
  return packet
}

function ports(packet: Buffer, at: number, flow: Flow): void {
  if (packet.length < at + 4) return
  packet.writeUInt16BE(flow.sourcePort ?? 1000, at)
  packet.writeUInt16BE(flow.destinationPort ?? 2000, at + 2)
}

export function ipv6Bytes(text: string): Uint8Array {
  const [head, tail] = text.split('::')
  const words = (part: string | undefined) =>
    part ? part.split(':').map((word) => Number.parseInt(word, 16)) : []
  const [left, right] = [words(head), words(tail)]
  const all =
    tail === undefined ? left : [...left, ...Array(8 - left.length - right.length).fill(0), ...right]
  return Uint8Array.from(all.flatMap((word) => [word >> 8, word & 255]))
}

/** Internet checksum (RFC 1071); over a whole header it is 0 when the header is right. */
export function checksum(bytes: Uint8Array): number {
  let sum = 0
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] << 8) | (bytes[i + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return sum ^ 0xffff
}
