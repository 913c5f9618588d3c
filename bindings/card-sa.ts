// An SA as the control plane describes it, checked and written into a reserved record of the card.
//
// Keys are copied once, straight into the record's key fields; the card wipes them there as soon as it has expanded
// them. No other copy is made here.

import type { CardSa, EspCipher, Integrity, TrafficSelector } from '../control/ports.ts'
import {
  CIPHER_3DES,
  CIPHER_AES_CBC,
  CIPHER_AES_GCM_16,
  CIPHER_CHACHA20_POLY1305,
  CIPHER_DES,
  CIPHER_NULL,
  DIRECTION_IN,
  DIRECTION_OUT,
  INTEGRITY_MD5_96,
  INTEGRITY_NONE,
  INTEGRITY_SHA1_96,
  INTEGRITY_SHA256_128,
  INTEGRITY_SHA384_192,
  INTEGRITY_SHA512_256,
  MAX_REPLAY_WINDOW,
  MIN_REPLAY_WINDOW,
  PROTOCOL_AH,
  PROTOCOL_ESP,
  SA_ASP,
  SA_BUNDLE,
  SA_CIPHER,
  SA_COLD_BYTES,
  SA_DESTINATION_COUNT,
  SA_DIRECTION,
  SA_FLAG_ESN,
  SA_FLAGS,
  SA_HARD_BYTES,
  SA_HARD_PACKETS,
  SA_HARD_SECONDS,
  SA_INTEGRITY,
  SA_INTEGRITY_KEY,
  SA_INTEGRITY_KEY_BYTES,
  SA_KEY,
  SA_KEY_BYTES,
  SA_PROTOCOL,
  SA_RESERVED,
  SA_SALT,
  SA_SELECTOR_FIRST,
  SA_SOFT_BYTES,
  SA_SOFT_PACKETS,
  SA_SOURCE_COUNT,
  SA_SPI,
  SA_STATE,
  SA_TABLE,
  SA_TUNNEL,
  SA_WINDOW,
  SELECTOR_BYTES,
  SELECTOR_END,
  SELECTOR_END_PORT,
  SELECTOR_FAMILY,
  SELECTOR_PROTOCOL,
  SELECTOR_START,
  SELECTOR_START_PORT,
} from '../dataplane-as/abi.ts'
import { CardError } from './card-error.ts'
import type { CardMemory } from './memory.ts'

/** `salt`: bytes of the nonce behind the key; `table`: needs a big table */
type Built = { number: number; keyBytes: number; salt?: number; table?: boolean }

/** The suites this card is built for. A later one adds a row here and its kernel there. */
const CIPHERS: Partial<Record<EspCipher, Built>> = {
  des: { number: CIPHER_DES, keyBytes: 8 },
  '3des': { number: CIPHER_3DES, keyBytes: 24 },
  'aes-128': { number: CIPHER_AES_CBC, keyBytes: 16 },
  'aes-192': { number: CIPHER_AES_CBC, keyBytes: 24 },
  'aes-256': { number: CIPHER_AES_CBC, keyBytes: 32 },
  'aes-gcm-128': { number: CIPHER_AES_GCM_16, keyBytes: 16, salt: 4, table: true },
  'aes-gcm-256': { number: CIPHER_AES_GCM_16, keyBytes: 32, salt: 4, table: true },
  'chacha20-poly1305': { number: CIPHER_CHACHA20_POLY1305, keyBytes: 32, salt: 4 },
  null: { number: CIPHER_NULL, keyBytes: 0 },
}
const INTEGRITIES: Partial<Record<Integrity, Built>> = {
  md5: { number: INTEGRITY_MD5_96, keyBytes: 16 },
  sha1: { number: INTEGRITY_SHA1_96, keyBytes: 20 },
  sha256: { number: INTEGRITY_SHA256_128, keyBytes: 32 },
  sha384: { number: INTEGRITY_SHA384_192, keyBytes: 48 },
  sha512: { number: INTEGRITY_SHA512_256, keyBytes: 64 },
  none: { number: INTEGRITY_NONE, keyBytes: 0 },
}
const SMALLEST_SPI = 256
const LARGEST_U32 = 0xffffffff

/** Whether the card can protect with this pair; explains why not. */
export function refuseSuite(sa: Pick<CardSa, 'protocol' | 'cipher' | 'integrity'>): string | null {
  if (sa.protocol === 'ah') return refuseAh(sa)
  if (CIPHERS[sa.cipher] === undefined) return notBuilt('ESP cipher', sa.cipher, Object.keys(CIPHERS))
  if (isAead(sa.cipher))
    return sa.integrity === 'none' ? null : `${sa.cipher} authenticates by itself; leave out ${sa.integrity}`
  if (sa.cipher === 'null' && sa.integrity === 'none')
    return 'ESP that neither encrypts nor authenticates protects nothing; add an integrity algorithm'
  if (INTEGRITIES[sa.integrity] === undefined) {
    return notBuilt('ESP integrity', sa.integrity, Object.keys(INTEGRITIES))
  }
  return null
}

/** Ciphers with an ICV of their own: those whose key brings a salt. */
function isAead(cipher: EspCipher): boolean {
  return CIPHERS[cipher]?.salt !== undefined
}

function refuseAh({ cipher, integrity }: Pick<CardSa, 'cipher' | 'integrity'>): string | null {
  if (cipher !== 'null') return `AH does not encrypt; give it cipher null, not ${cipher}`
  if (integrity === 'none') return 'AH without integrity does nothing; add an integrity algorithm'
  return INTEGRITIES[integrity] === undefined
    ? notBuilt('AH integrity', integrity, Object.keys(INTEGRITIES))
    : null
}

function notBuilt(what: string, offered: string, built: string[]): string {
  return `${what} ${offered} is not built into this card; built are ${built.join(', ')}`
}

/** Throws CardError, naming the field, when the card would refuse the SA. */
export function checkSa(sa: CardSa): void {
  const refused = refuseSuite(sa)
  if (refused !== null) throw new CardError(refused)
  const name = `SA with SPI 0x${sa.spi.toString(16)}`
  const fail = (text: string): never => {
    throw new CardError(`${name}: ${text}`)
  }
  if (!Number.isInteger(sa.spi) || sa.spi < SMALLEST_SPI || sa.spi > LARGEST_U32)
    fail('an SPI is 256 to 2^32 - 1')
  checkKey(sa.encryptionKey, CIPHERS[sa.cipher]!, sa.cipher, fail)
  checkKey(sa.integrityKey, INTEGRITIES[sa.integrity]!, sa.integrity, fail)
  if (sa.bundle !== undefined && sa.protocol !== 'ah') fail('only AH can have another SA inside')
  if (!windowHolds(sa.replayWindow)) fail('a replay window is 0 or a power of two from 32 to 4096')
  if ((sa.source.length === 0) !== (sa.destination.length === 0)) fail('selectors for one side only')
  for (const selector of [...sa.source, ...sa.destination]) checkSelector(selector, fail)
  for (const limit of [sa.hardSeconds, sa.hardBytes, sa.hardPackets, sa.softBytes, sa.softPackets]) {
    if (!Number.isSafeInteger(limit) || limit < 0) fail('a lifetime is a whole number, 0 for none')
  }
  if (sa.hardSeconds > LARGEST_U32) fail('a lifetime of more than 2^32 - 1 seconds')
}

function checkKey(key: Uint8Array, built: Built, algorithm: string, fail: (text: string) => never): void {
  const bytes = built.keyBytes + (built.salt ?? 0)
  if (key.length === bytes) return
  const salted = built.salt === undefined ? '' : `, salt included`
  fail(`${algorithm} takes a key of ${bytes} bytes${salted}, ${key.length} were given`)
}

function windowHolds(window: number): boolean {
  if (window === 0) return true
  return window >= MIN_REPLAY_WINDOW && window <= MAX_REPLAY_WINDOW && Number.isInteger(Math.log2(window))
}

function checkSelector(selector: TrafficSelector, fail: (text: string) => never): void {
  const bytes = selector.family === 4 ? 4 : 16
  if (selector.start.length !== bytes || selector.end.length !== bytes) {
    fail(`an IPv${selector.family} selector has addresses of ${bytes} bytes`)
  }
  const ports = [selector.startPort, selector.endPort]
  if (ports.some((port) => !Number.isInteger(port) || port < 0 || port > 65535)) fail('a port is 0 to 65535')
  if (!Number.isInteger(selector.protocol) || selector.protocol < 0 || selector.protocol > 255) {
    fail('a protocol is 0 to 255')
  }
}

/** Writes a checked SA into record `index`; its selectors lie at `selectors`, sources first; `bundle`: record + 1
 * of the ESP SA inside an AH SA, 0 for none. State is stored last. */
export function writeSa(
  memory: CardMemory,
  index: number,
  sa: CardSa,
  place: { direction: 'in' | 'out'; asp: number; tunnel: number; selectors: number; bundle: number },
): void {
  const record = memory.cold(index)
  memory.bytes.fill(0, record, record + SA_COLD_BYTES)
  const cipher = CIPHERS[sa.cipher]!
  const integrity = INTEGRITIES[sa.integrity]!
  const authentic = sa.integrity !== 'none' || isAead(sa.cipher)
  const fields: [number, number][] = [
    [SA_DIRECTION, place.direction === 'in' ? DIRECTION_IN : DIRECTION_OUT],
    [SA_SPI, sa.spi],
    [SA_PROTOCOL, sa.protocol === 'ah' ? PROTOCOL_AH : PROTOCOL_ESP],
    [SA_BUNDLE, place.bundle],
    [SA_TUNNEL, place.tunnel],
    [SA_ASP, place.asp],
    [SA_CIPHER, cipher.number],
    [SA_INTEGRITY, integrity.number],
    [SA_KEY_BYTES, cipher.keyBytes],
    [SA_INTEGRITY_KEY_BYTES, integrity.keyBytes],
    [SA_FLAGS, sa.esn ? SA_FLAG_ESN : 0],
    [SA_WINDOW, place.direction === 'in' && authentic ? sa.replayWindow : 0],
    [SA_TABLE, cipher.table === true ? index + 1 : 0],
    [SA_HARD_SECONDS, sa.hardSeconds],
    [SA_SELECTOR_FIRST, place.selectors],
    [SA_SOURCE_COUNT, sa.source.length],
    [SA_DESTINATION_COUNT, sa.destination.length],
  ]
  for (const [field, value] of fields) memory.setU32(record + field, value)
  memory.setU64(record + SA_HARD_BYTES, BigInt(sa.hardBytes))
  memory.setU64(record + SA_HARD_PACKETS, BigInt(sa.hardPackets))
  memory.setU64(record + SA_SOFT_BYTES, BigInt(sa.softBytes))
  memory.setU64(record + SA_SOFT_PACKETS, BigInt(sa.softPackets))
  writeSelectors(memory, place.selectors, [...sa.source, ...sa.destination])
  memory.bytes.set(sa.encryptionKey.subarray(0, cipher.keyBytes), record + SA_KEY)
  memory.bytes.set(sa.encryptionKey.subarray(cipher.keyBytes), record + SA_SALT)
  memory.bytes.set(sa.integrityKey, record + SA_INTEGRITY_KEY)
  memory.store(record + SA_STATE, SA_RESERVED)
}

function writeSelectors(memory: CardMemory, first: number, selectors: readonly TrafficSelector[]): void {
  for (const [offset, selector] of selectors.entries()) {
    const at = memory.selector(first + offset)
    memory.bytes.fill(0, at, at + SELECTOR_BYTES)
    memory.setU32(at + SELECTOR_FAMILY, selector.family)
    memory.setU32(at + SELECTOR_PROTOCOL, selector.protocol)
    memory.setU32(at + SELECTOR_START_PORT, selector.startPort)
    memory.setU32(at + SELECTOR_END_PORT, selector.endPort)
    memory.bytes.set(selector.start, at + SELECTOR_START)
    memory.bytes.set(selector.end, at + SELECTOR_END)
  }
}
