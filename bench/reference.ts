// The reference: ESP and AH by node:crypto, one packet after the other, as a careful programmer would write it
// without a card. Real work only: header, random IV, copy, padding, trailer, cipher, ICV or tag; on the way in the
// ICV compared in constant time before decryption, then the padding.

import {
  type CipherGCMTypes,
  createCipheriv,
  createDecipheriv,
  createHmac,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'
import type { Suite, SuiteKeys } from './suites.ts'

/** One direction of one SA: takes a burst, gives as many packets. Throws when a packet is not authentic. */
export type Reference = {
  seal(packets: readonly Uint8Array[]): Buffer[]
  open(datagrams: readonly Buffer[]): Buffer[]
}

const CBC = {
  'aes-128': { name: 'aes-128-cbc', block: 16 },
  'aes-192': { name: 'aes-192-cbc', block: 16 },
  'aes-256': { name: 'aes-256-cbc', block: 16 },
  '3des': { name: 'des-ede3-cbc', block: 8 },
}
const AEAD = {
  'aes-gcm-128': 'aes-128-gcm',
  'aes-gcm-256': 'aes-256-gcm',
  'chacha20-poly1305': 'chacha20-poly1305',
}
const ICV_BYTES = { md5: 12, sha1: 12, sha256: 16, sha384: 24, sha512: 32 }
const IPV4 = 4
const ESP_HEADER = 8
const TAG = 16
/** outer IPv4 header, and AH with a 12-byte ICV */
const IP_HEADER = 20
const AH_HEADER = 24

export function referenceFor(suite: Suite, keys: SuiteKeys): Reference {
  if (suite.protocol === 'ah') return ah(suite, keys)
  if (suite.cipher in AEAD) return aead(AEAD[suite.cipher as keyof typeof AEAD], keys)
  if (suite.cipher === 'null') return authenticateOnly(suite, keys)
  return cbc(CBC[suite.cipher as keyof typeof CBC], suite, keys)
}

/** Bytes of padding, pad length and next header behind an inner packet. */
function trailerBytes(inner: number, block: number): number {
  return 2 + ((block - ((inner + 2) % block)) % block)
}

/** Inner packet and trailer as they go into the cipher (RFC 4303 §2.4). */
function putPlaintext(to: Buffer, at: number, packet: Uint8Array, trailer: number): void {
  to.set(packet, at)
  let end = at + packet.length
  for (let i = 1; i <= trailer - 2; i++) to[end++] = i
  to[end++] = trailer - 2
  to[end] = IPV4
}

/** The inner packet of a decrypted payload; the padding must count 1, 2, 3. */
function takeInner(plain: Buffer): Buffer {
  const padding = plain[plain.length - 2]
  const end = plain.length - 2 - padding
  if (end < 0 || plain[plain.length - 1] !== IPV4) throw new Error('trailer')
  for (let i = 0; i < padding; i++) if (plain[end + i] !== i + 1) throw new Error('padding')
  return plain.subarray(0, end)
}

function hashName(suite: Suite): keyof typeof ICV_BYTES {
  if (suite.integrity === 'none') throw new Error('no integrity')
  return suite.integrity
}

function check(expected: Buffer, bytes: number, received: Buffer): void {
  if (!timingSafeEqual(expected.subarray(0, bytes), received)) throw new Error('ICV')
}

function cbc({ name, block }: { name: string; block: number }, suite: Suite, keys: SuiteKeys): Reference {
  const hash = hashName(suite)
  const icv = ICV_BYTES[hash]
  let sequence = 0
  const seal = (packet: Uint8Array) => {
    const trailer = trailerBytes(packet.length, block)
    const payload = ESP_HEADER + block
    const covered = payload + packet.length + trailer
    const datagram = Buffer.allocUnsafe(covered + icv)
    datagram.writeUInt32BE(keys.spi, 0)
    datagram.writeUInt32BE(++sequence, 4)
    datagram.set(randomBytes(block), ESP_HEADER)
    putPlaintext(datagram, payload, packet, trailer)
    const cipher = createCipheriv(name, keys.encryptionKey, datagram.subarray(ESP_HEADER, payload))
    cipher.setAutoPadding(false)
    cipher.update(datagram.subarray(payload, covered)).copy(datagram, payload)
    cipher.final()
    const digest = createHmac(hash, keys.integrityKey).update(datagram.subarray(0, covered)).digest()
    digest.copy(datagram, covered, 0, icv)
    return datagram
  }
  const open = (datagram: Buffer) => {
    const covered = datagram.length - icv
    const digest = createHmac(hash, keys.integrityKey).update(datagram.subarray(0, covered)).digest()
    check(digest, icv, datagram.subarray(covered))
    const payload = ESP_HEADER + block
    const cipher = createDecipheriv(name, keys.encryptionKey, datagram.subarray(ESP_HEADER, payload))
    cipher.setAutoPadding(false)
    const plain = cipher.update(datagram.subarray(payload, covered))
    cipher.final()
    return takeInner(plain)
  }
  return { seal: (packets) => packets.map(seal), open: (datagrams) => datagrams.map(open) }
}

function authenticateOnly(suite: Suite, keys: SuiteKeys): Reference {
  const hash = hashName(suite)
  const icv = ICV_BYTES[hash]
  let sequence = 0
  const seal = (packet: Uint8Array) => {
    const trailer = trailerBytes(packet.length, 4)
    const covered = ESP_HEADER + packet.length + trailer
    const datagram = Buffer.allocUnsafe(covered + icv)
    datagram.writeUInt32BE(keys.spi, 0)
    datagram.writeUInt32BE(++sequence, 4)
    putPlaintext(datagram, ESP_HEADER, packet, trailer)
    const digest = createHmac(hash, keys.integrityKey).update(datagram.subarray(0, covered)).digest()
    digest.copy(datagram, covered, 0, icv)
    return datagram
  }
  const open = (datagram: Buffer) => {
    const covered = datagram.length - icv
    const digest = createHmac(hash, keys.integrityKey).update(datagram.subarray(0, covered)).digest()
    check(digest, icv, datagram.subarray(covered))
    return takeInner(datagram.subarray(ESP_HEADER, covered))
  }
  return { seal: (packets) => packets.map(seal), open: (datagrams) => datagrams.map(open) }
}

/** RFC 4106 and RFC 7634: salt behind the key, the explicit IV is the sequence number. */
function aead(name: string, keys: SuiteKeys): Reference {
  const key = keys.encryptionKey.subarray(0, -4)
  const nonce = Buffer.alloc(12)
  nonce.set(keys.encryptionKey.subarray(-4))
  const algorithm = name as CipherGCMTypes
  const options = { authTagLength: TAG }
  let sequence = 0
  const payload = ESP_HEADER + 8
  const seal = (packet: Uint8Array) => {
    const trailer = trailerBytes(packet.length, 4)
    const end = payload + packet.length + trailer
    const datagram = Buffer.allocUnsafe(end + TAG)
    datagram.writeUInt32BE(keys.spi, 0)
    datagram.writeUInt32BE(++sequence, 4)
    datagram.writeUInt32BE(0, 8)
    datagram.writeUInt32BE(sequence, 12)
    datagram.copy(nonce, 4, 8, 16)
    putPlaintext(datagram, payload, packet, trailer)
    const cipher = createCipheriv(algorithm, key, nonce, options)
    cipher.setAAD(datagram.subarray(0, ESP_HEADER))
    cipher.update(datagram.subarray(payload, end)).copy(datagram, payload)
    cipher.final()
    cipher.getAuthTag().copy(datagram, end)
    return datagram
  }
  const open = (datagram: Buffer) => {
    const end = datagram.length - TAG
    datagram.copy(nonce, 4, 8, 16)
    const cipher = createDecipheriv(algorithm, key, nonce, options)
    cipher.setAAD(datagram.subarray(0, ESP_HEADER))
    cipher.setAuthTag(datagram.subarray(end))
    const plain = cipher.update(datagram.subarray(payload, end))
    cipher.final()
    return takeInner(plain)
  }
  return { seal: (packets) => packets.map(seal), open: (datagrams) => datagrams.map(open) }
}

/** AH in tunnel mode over IPv4 (RFC 4302): outer header with its mutable fields zero, AH, inner packet. */
function ah(suite: Suite, keys: SuiteKeys): Reference {
  const hash = hashName(suite)
  let sequence = 0
  const digestOf = (datagram: Buffer) => createHmac(hash, keys.integrityKey).update(datagram).digest()
  const seal = (packet: Uint8Array) => {
    const datagram = Buffer.allocUnsafe(IP_HEADER + AH_HEADER + packet.length)
    datagram.fill(0, 0, IP_HEADER + AH_HEADER)
    datagram[0] = 0x45
    datagram.writeUInt16BE(datagram.length, 2)
    datagram.writeUInt16BE((sequence & 0xffff) | 1, 4)
    datagram[9] = 51
    datagram.writeUInt32BE(0xc0000201, 12)
    datagram.writeUInt32BE(0xc0000202, 16)
    datagram[20] = IPV4
    datagram[21] = 4
    datagram.writeUInt32BE(keys.spi, 24)
    datagram.writeUInt32BE(++sequence, 28)
    datagram.set(packet, IP_HEADER + AH_HEADER)
    digestOf(datagram).copy(datagram, 32, 0, 12)
    datagram[8] = 64
    return datagram
  }
  const open = (received: Buffer) => {
    const datagram = Buffer.from(received)
    datagram[1] = 0
    datagram[8] = 0
    datagram.fill(0, 6, 8)
    datagram.fill(0, 10, 12)
    datagram.fill(0, 32, 44)
    check(digestOf(datagram), 12, received.subarray(32, 44))
    return datagram.subarray(IP_HEADER + AH_HEADER)
  }
  return { seal: (packets) => packets.map(seal), open: (datagrams) => datagrams.map(open) }
}
