/** ESP tunnel mode, one packet at a time, over node:crypto: what the card must agree with (RFC 4303). */
import { type CipherGCMTypes, createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto'
import type { CardSa, EspCipher, Integrity } from '../../control/ports.ts'

type Keys = Pick<CardSa, 'spi' | 'cipher' | 'encryptionKey' | 'integrity' | 'integrityKey' | 'esn'>

/** iv: bytes in the packet; key: bytes with the salt of an AEAD; openssl: the AEADs' and block ciphers' name there. */
type CipherRow = { iv: number; block: number; key: number; openssl: string; aead?: boolean }

/** DES is triple DES with one key three times: OpenSSL has no DES without its legacy provider. */
export const CIPHERS: Record<EspCipher, CipherRow> = {
  des: { iv: 8, block: 8, key: 8, openssl: 'des-ede3-cbc' },
  '3des': { iv: 8, block: 8, key: 24, openssl: 'des-ede3-cbc' },
  'aes-128': { iv: 16, block: 16, key: 16, openssl: 'aes-128-cbc' },
  'aes-192': { iv: 16, block: 16, key: 24, openssl: 'aes-192-cbc' },
  'aes-256': { iv: 16, block: 16, key: 32, openssl: 'aes-256-cbc' },
  'aes-gcm-128': { iv: 8, block: 4, key: 20, openssl: 'aes-128-gcm', aead: true },
  'aes-gcm-256': { iv: 8, block: 4, key: 36, openssl: 'aes-256-gcm', aead: true },
  'chacha20-poly1305': { iv: 8, block: 4, key: 36, openssl: 'chacha20-poly1305', aead: true },
  null: { iv: 0, block: 4, key: 0, openssl: '' },
}
export const INTEGRITIES: Record<Integrity, { icv: number; key: number }> = {
  md5: { icv: 12, key: 16 },
  sha1: { icv: 12, key: 20 },
  sha256: { icv: 16, key: 32 },
  sha384: { icv: 24, key: 48 },
  sha512: { icv: 32, key: 64 },
  none: { icv: 0, key: 0 },
}
const TAG_BYTES = 16

const ivBytes = (sa: Keys) => CIPHERS[sa.cipher].iv
const isAead = (sa: Keys) => CIPHERS[sa.cipher].aead === true
const icvBytes = (sa: Keys) => (isAead(sa) ? TAG_BYTES : INTEGRITIES[sa.integrity].icv)

function highHalf(sequence: bigint): Buffer {
  const high = Buffer.alloc(4)
  high.writeUInt32BE(Number(sequence >> 32n))
  return high
}

/** HMAC over the packet and, with ESN, the high half of its number (RFC 4303 §2.2.1). */
function icv(sa: Keys, covered: Uint8Array, sequence: bigint): Buffer {
  if (sa.integrity === 'none') return Buffer.alloc(0)
  const hmac = createHmac(sa.integrity, sa.integrityKey).update(covered)
  if (sa.esn) hmac.update(highHalf(sequence))
  return hmac.digest().subarray(0, icvBytes(sa))
}

function crypt(sa: Keys, iv: Uint8Array, data: Uint8Array, encrypt: boolean): Buffer {
  if (sa.cipher === 'null') return Buffer.from(data)
  const key = sa.cipher === 'des' ? Buffer.concat(Array(3).fill(sa.encryptionKey)) : sa.encryptionKey
  const create = encrypt ? createCipheriv : createDecipheriv
  const cipher = create(CIPHERS[sa.cipher].openssl, key, iv).setAutoPadding(false)
  return Buffer.concat([cipher.update(data), cipher.final()])
}

/** Nonce: salt and IV; AAD: SPI and number, with ESN the whole number (RFC 4106 §5, RFC 7634 §2). */
function aead(sa: Keys, header: Uint8Array, iv: Uint8Array, sequence: bigint, decrypt: boolean) {
  const key = sa.encryptionKey.subarray(0, -4)
  const nonce = Buffer.concat([sa.encryptionKey.subarray(-4), iv])
  const name = CIPHERS[sa.cipher].openssl as CipherGCMTypes
  const options = { authTagLength: TAG_BYTES }
  const cipher = decrypt
    ? createDecipheriv(name, key, nonce, options)
    : createCipheriv(name, key, nonce, options)
  const parts = [header.subarray(0, 4), ...(sa.esn ? [highHalf(sequence)] : []), header.subarray(4, 8)]
  cipher.setAAD(Buffer.concat(parts))
  return cipher
}

function sealAead(sa: Keys, header: Uint8Array, iv: Uint8Array, plain: Uint8Array, sequence: bigint): Buffer {
  const cipher = aead(sa, header, iv, sequence, false)
  const secret = [cipher.update(plain), cipher.final()]
  if (!('getAuthTag' in cipher)) throw new Error('no cipher')
  return Buffer.concat([header, iv, ...secret, cipher.getAuthTag()])
}

function openAead(sa: Keys, bytes: Buffer, sequence: bigint): Buffer {
  const end = bytes.length - TAG_BYTES
  const cipher = aead(sa, bytes.subarray(0, 8), bytes.subarray(8, 16), sequence, true)
  if (!('setAuthTag' in cipher)) throw new Error('no decipher')
  cipher.setAuthTag(bytes.subarray(end))
  return Buffer.concat([cipher.update(bytes.subarray(16, end)), cipher.final()])
}

export type Sealing = { nextHeader?: number; padding?: Uint8Array; iv?: Uint8Array }

/** A datagram with this inside; padding and next header may be wrong on purpose. */
export function seal(sa: Keys, sequence: bigint, inner: Uint8Array, sealing: Sealing = {}): Uint8Array {
  const { block } = CIPHERS[sa.cipher]
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
  if (isAead(sa)) return sealAead(sa, header, vector, plain, sequence)
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
  const iv = bytes.subarray(8, 8 + ivBytes(sa))
  const plain = isAead(sa) ? openAead(sa, bytes, sequence) : openSeparate(sa, bytes, iv, sequence)
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

/** Ciphers with an integrity algorithm of its own: the ICV first. */
function openSeparate(sa: Keys, bytes: Buffer, iv: Uint8Array, sequence: bigint): Buffer {
  const end = bytes.length - icvBytes(sa)
  if (!icv(sa, bytes.subarray(0, end), sequence).equals(bytes.subarray(end))) throw new Error('ICV')
  return crypt(sa, iv, bytes.subarray(8 + ivBytes(sa), end), false)
}
