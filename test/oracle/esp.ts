/** ESP tunnel mode, one packet at a time, over node:crypto: what the card must agree with (RFC 4303). */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto'
import type { CardSa } from '../../control/ports.ts'

type Keys = Pick<CardSa, 'spi' | 'cipher' | 'encryptionKey' | 'integrity' | 'integrityKey' | 'esn'>

const ivBytes = (sa: Keys) => (sa.cipher === 'null' ? 0 : 16)
const icvBytes = (sa: Keys) => (sa.integrity === 'sha1' ? 12 : 16)

function icv(sa: Keys, covered: Uint8Array, sequence: bigint): Buffer {
  const hmac = createHmac(sa.integrity, sa.integrityKey).update(covered)
  if (sa.esn) {
    const high = Buffer.alloc(4)
    high.writeUInt32BE(Number(sequence >> 32n))
    hmac.update(high)
  }
  return hmac.digest().subarray(0, icvBytes(sa))
}

function crypt(sa: Keys, iv: Uint8Array, data: Uint8Array, encrypt: boolean): Buffer {
  if (sa.cipher === 'null') return Buffer.from(data)
  const name = `${sa.cipher}-cbc`
  const cipher = encrypt
    ? createCipheriv(name, sa.encryptionKey, iv)
    : createDecipheriv(name, sa.encryptionKey, iv)
  cipher.setAutoPadding(false)
  return Buffer.concat([cipher.update(data), cipher.final()])
}

export type Sealing = { nextHeader?: number; padding?: Uint8Array; iv?: Uint8Array }

/** A datagram with this inside; padding and next header may be wrong on purpose. */
export function seal(sa: Keys, sequence: bigint, inner: Uint8Array, sealing: Sealing = {}): Uint8Array {
  const block = sa.cipher === 'null' ? 4 : 16
  const fill = (block - ((inner.length + 2) % block)) % block
  const padding = sealing.padding ?? Uint8Array.from({ length: fill }, (_, index) => index + 1)
  const next = sealing.nextHeader ?? (inner[0] >> 4 === 6 ? 41 : 4)
  const plain = Buffer.concat([inner, padding, Uint8Array.of(padding.length, next)])
  return sealRaw(sa, sequence, plain, sealing.iv)
}

/** The same with the bytes to encrypt given whole. */
export function sealRaw(sa: Keys, sequence: bigint, plain: Uint8Array, iv?: Uint8Array): Uint8Array {
  const vector = iv ?? randomBytes(ivBytes(sa))
  const header = Buffer.alloc(8)
  header.writeUInt32BE(sa.spi)
  header.writeUInt32BE(Number(sequence & 0xffffffffn), 4)
  const covered = Buffer.concat([header, vector, crypt(sa, vector, plain, true)])
  return Buffer.concat([covered, icv(sa, covered, sequence)])
}

export type Opened = {
  spi: number
  sequence: number
  iv: Uint8Array
  inner: Uint8Array
  nextHeader: number
  padding: Uint8Array
}

/** Opens a datagram; throws when it is not authentic. `sequence`: the full number, whose low half it must carry. */
export function unseal(sa: Keys, sequence: bigint, datagram: Uint8Array): Opened {
  const bytes = Buffer.from(datagram)
  const end = bytes.length - icvBytes(sa)
  if (!icv(sa, bytes.subarray(0, end), sequence).equals(bytes.subarray(end))) throw new Error('ICV')
  const iv = bytes.subarray(8, 8 + ivBytes(sa))
  const plain = crypt(sa, iv, bytes.subarray(8 + ivBytes(sa), end), false)
  const padding = plain.at(-2)!
  return {
    spi: bytes.readUInt32BE(0),
    sequence: bytes.readUInt32BE(4),
    iv,
    inner: plain.subarray(0, plain.length - 2 - padding),
    padding: plain.subarray(plain.length - 2 - padding, plain.length - 2),
    nextHeader: plain.at(-1)!,
  }
}
