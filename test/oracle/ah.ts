/** AH, one packet at a time, over node:crypto: what the card must agree with (RFC 4302). */
import { createHmac } from 'node:crypto'
import type { CardSa } from '../../control/ports.ts'
import { INTEGRITIES } from './esp.ts'

type Keys = Pick<CardSa, 'spi' | 'integrity' | 'integrityKey' | 'esn'>

/** IPv4 options that do not change on the way (appendix A1). */
const STEADY = new Set([0, 1, 130, 133, 134, 148, 149])

/** Where AH stands: behind the IPv4 header, or behind the extension headers. */
export function ahOffset(packet: Uint8Array): number {
  if (packet[0] >> 4 === 4) return (packet[0] & 15) * 4
  let [offset, next] = [40, packet[6]]
  while (next !== 51) {
    next = packet[offset]
    offset += (packet[offset + 1] + 1) * 8
  }
  return offset
}

/** The outer header as the ICV counts it. */
function steadyHeader(header: Uint8Array): Buffer {
  const bytes = Buffer.from(header)
  if (bytes[0] >> 4 === 4) {
    for (const at of [1, 6, 7, 8, 10, 11]) bytes[at] = 0
    for (let at = 20; at < bytes.length && bytes[at] !== 0; ) {
      const length = bytes[at] === 1 ? 1 : bytes[at + 1]
      if (!STEADY.has(bytes[at])) bytes.fill(0, at, at + length)
      at += length
    }
    return bytes
  }
  bytes.set([0x60, 0, 0, 0])
  bytes[7] = 0
  let next = bytes[6]
  for (let at = 40; at < bytes.length; ) {
    const end = at + (bytes[at + 1] + 1) * 8
    if (next !== 43) steadyOptions(bytes, at + 2, end)
    next = bytes[at]
    at = end
  }
  return bytes
}

function steadyOptions(bytes: Buffer, from: number, end: number): void {
  for (let at = from; at < end; ) {
    if (bytes[at] === 0) {
      at++
      continue
    }
    const next = at + 2 + bytes[at + 1]
    if (bytes[at] & 0x20) bytes.fill(0, at + 2, next)
    at = next
  }
}

function icv(sa: Keys, packet: Buffer, sequence: bigint): Buffer {
  if (sa.integrity === 'none') throw new Error('AH without integrity')
  const at = ahOffset(packet)
  const length = INTEGRITIES[sa.integrity].icv
  const rest = Buffer.from(packet.subarray(at))
  rest.fill(0, 12, 12 + length)
  const hmac = createHmac(sa.integrity, sa.integrityKey)
    .update(steadyHeader(packet.subarray(0, at)))
    .update(rest)
  if (sa.esn) {
    const high = Buffer.alloc(4)
    high.writeUInt32BE(Number(sequence >> 32n))
    hmac.update(high)
  }
  return hmac.digest().subarray(0, length)
}

/** The packet with AH between `outer` (its length fields are set here, its next header must be 51) and `inner`. */
export function sealAh(
  sa: Keys,
  sequence: bigint,
  outer: Uint8Array,
  inner: Uint8Array,
  next: number,
): Buffer {
  const v4 = outer[0] >> 4 === 4
  const fixed = 12 + INTEGRITIES[sa.integrity].icv
  const ah = Buffer.alloc(v4 ? fixed : Math.ceil(fixed / 8) * 8)
  ah[0] = next
  ah[1] = ah.length / 4 - 2
  ah.writeUInt32BE(sa.spi, 4)
  ah.writeUInt32BE(Number(sequence & 0xffffffffn), 8)
  const packet = Buffer.concat([outer, ah, inner])
  if (v4) packet.writeUInt16BE(packet.length, 2)
  else packet.writeUInt16BE(packet.length - 40, 4)
  icv(sa, packet, sequence).copy(packet, outer.length + 12)
  return packet
}

/** What AH protects, with its next header; throws when it is not authentic. */
export function openAh(sa: Keys, sequence: bigint, packet: Uint8Array): { next: number; inner: Buffer } {
  const bytes = Buffer.from(packet)
  const at = ahOffset(bytes)
  const expected = icv(sa, bytes, sequence)
  if (!expected.equals(bytes.subarray(at + 12, at + 12 + expected.length))) throw new Error('ICV')
  return { next: bytes[at], inner: bytes.subarray(at + (bytes[at + 1] + 2) * 4) }
}
