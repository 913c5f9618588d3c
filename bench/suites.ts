// The suites that are measured: the name in tables and JSON, and what card and reference need to know of each.

import { randomBytes } from 'node:crypto'
import type { CardSa, EspCipher, Integrity } from '../control/ports.ts'

export type Suite = {
  name: string
  protocol: 'esp' | 'ah'
  cipher: EspCipher
  /** bytes of key material the control plane derives: key, and salt for the AEADs */
  keyBytes: number
  integrity: Integrity
  integrityKeyBytes: number
}

const row = (
  name: string,
  cipher: EspCipher,
  keyBytes: number,
  integrity: Integrity,
  integrityKeyBytes: number,
  protocol: 'esp' | 'ah' = 'esp',
): Suite => ({ name, protocol, cipher, keyBytes, integrity, integrityKeyBytes })

/** In the order of the tables. */
export const SUITES: readonly Suite[] = [
  row('aes-128+sha1', 'aes-128', 16, 'sha1', 20),
  row('aes-128+sha256', 'aes-128', 16, 'sha256', 32),
  row('aes-256+sha256', 'aes-256', 32, 'sha256', 32),
  row('3des+sha1', '3des', 24, 'sha1', 20),
  row('3des+md5', '3des', 24, 'md5', 16),
  row('null+md5', 'null', 0, 'md5', 16),
  row('null+sha1', 'null', 0, 'sha1', 20),
  row('aes-gcm-128', 'aes-gcm-128', 20, 'none', 0),
  row('chacha20-poly1305', 'chacha20-poly1305', 36, 'none', 0),
  row('ah+sha1', 'null', 0, 'sha1', 20, 'ah'),
]

export type SuiteKeys = Pick<CardSa, 'encryptionKey' | 'integrityKey' | 'spi'>

/** Fresh keys for one measurement. */
export function keysFor(suite: Suite): SuiteKeys {
  return {
    spi: 0x1001,
    encryptionKey: randomBytes(suite.keyBytes),
    integrityKey: randomBytes(suite.integrityKeyBytes),
  }
}
