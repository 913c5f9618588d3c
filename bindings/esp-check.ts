// A second opinion on the card's datagrams, from node:crypto: the engine compiles the card's vector code in ways of its
// own (wide-vectors.ts), and a gateway must notice before the first packet if what it made computes something else.

import { type CipherGCMTypes, createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto'
import type { EspCipher, Integrity } from '../control/ports.ts'

const ESP_HEADER = 8
const CBC_IV = 16
const AEAD_IV = 8
const TAG = 16
const SALT = 4
const ICV_BYTES: Partial<Record<Integrity, number>> = {
  md5: 12,
  sha1: 12,
  sha256: 16,
  sha384: 24,
  sha512: 32,
}
const CBC: Partial<Record<EspCipher, string>> = {
  'aes-128': 'aes-128-cbc',
  'aes-192': 'aes-192-cbc',
  'aes-256': 'aes-256-cbc',
}
const AEAD: Partial<Record<EspCipher, string>> = {
  'aes-gcm-128': 'aes-128-gcm',
  'aes-gcm-256': 'aes-256-gcm',
  'chacha20-poly1305': 'chacha20-poly1305',
}

/** What a datagram is protected with. */
export type Protection = {
  cipher: EspCipher
  integrity: Integrity
  encryptionKey: Uint8Array
  integrityKey: Uint8Array
}

/**
 * Plaintext of an ESP datagram (RFC 4303 §2) with its trailer, or null when it is not authentic. 32-bit sequence
 * numbers, and the suites of the tables above only: throws on others.
 */
export function openEsp(datagram: Uint8Array, protection: Protection): Uint8Array | null {
  const aead = AEAD[protection.cipher]
  return aead === undefined ? openCbc(datagram, protection) : openAead(aead, datagram, protection)
}

function openCbc(datagram: Uint8Array, { cipher, integrity, ...keys }: Protection): Uint8Array | null {
  const [name, icvBytes] = [CBC[cipher], ICV_BYTES[integrity]]
  if (name === undefined || icvBytes === undefined)
    throw new Error(`no second opinion on ${cipher} ${integrity}`)
  const end = datagram.length - icvBytes
  const icv = createHmac(integrity, keys.integrityKey).update(datagram.subarray(0, end)).digest()
  if (!timingSafeEqual(icv.subarray(0, icvBytes), datagram.subarray(end))) return null
  const payload = ESP_HEADER + CBC_IV
  const decipher = createDecipheriv(name, keys.encryptionKey, datagram.subarray(ESP_HEADER, payload))
  return decipher.setAutoPadding(false).update(datagram.subarray(payload, end))
}

/** RFC 4106 and RFC 7634: the salt stands behind the key. */
function openAead(name: string, datagram: Uint8Array, { encryptionKey }: Protection): Uint8Array | null {
  const [key, salt] = [encryptionKey.subarray(0, -SALT), encryptionKey.subarray(-SALT)]
  const payload = ESP_HEADER + AEAD_IV
  const end = datagram.length - TAG
  const nonce = Buffer.concat([salt, datagram.subarray(ESP_HEADER, payload)])
  const decipher = createDecipheriv(name as CipherGCMTypes, key, nonce, { authTagLength: TAG })
  decipher.setAAD(datagram.subarray(0, ESP_HEADER)).setAuthTag(datagram.subarray(end))
  const plaintext = decipher.update(datagram.subarray(payload, end))
  try {
    decipher.final()
    return plaintext
  } catch {
    return null
  }
}
