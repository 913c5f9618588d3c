// Transform identifiers (RFC 7296 §3.3.2 and the IANA IKEv2 registry) <-> the names of the configuration language.

import type { DhGroup, EspCipher, Integrity, Kem } from '../ports.ts'
import type { Transform } from './types.ts'
import { TransformType } from './types.ts'

type CipherRow = { name: EspCipher; id: number; keyLength?: number; aead: boolean }

/** RFC 7296 §3.3.2, RFC 4106 (GCM, 16-byte ICV), RFC 7634; key length in bits where the cipher has a choice. */
const ciphers: CipherRow[] = [
  { name: 'des', id: 2, aead: false },
  { name: '3des', id: 3, aead: false },
  { name: 'null', id: 11, aead: false },
  { name: 'aes-128', id: 12, keyLength: 128, aead: false },
  { name: 'aes-192', id: 12, keyLength: 192, aead: false },
  { name: 'aes-256', id: 12, keyLength: 256, aead: false },
  { name: 'aes-gcm-128', id: 20, keyLength: 128, aead: true },
  { name: 'aes-gcm-256', id: 20, keyLength: 256, aead: true },
  { name: 'chacha20-poly1305', id: 28, aead: true },
]
const integrityIds = { md5: 1, sha1: 2, sha256: 12, sha384: 13, sha512: 14 } as const
/** draft-ietf-ipsecme-ikev2-mlkem: numbers of the registry that holds the Diffie-Hellman groups too. */
const kemIds = { 'mlkem-512': 35, 'mlkem-768': 36, 'mlkem-1024': 37 } as const
const prfIds = { md5: 1, sha1: 2, sha256: 5, sha384: 6, sha512: 7 } as const

export type HashName = Exclude<Integrity, 'none'>

/** ENCR transform of a cipher. */
export function cipherTransform(name: EspCipher): Transform {
  const row = ciphers.find((each) => each.name === name)!
  return row.keyLength === undefined
    ? { type: TransformType.ENCR, id: row.id }
    : { type: TransformType.ENCR, id: row.id, keyLength: row.keyLength }
}

/** True for ciphers that carry their own integrity check (RFC 5282). */
export function isAead(name: EspCipher): boolean {
  return ciphers.some((each) => each.name === name && each.aead)
}

export function integrityTransform(name: HashName): Transform {
  return { type: TransformType.INTEG, id: integrityIds[name] }
}

export function prfTransform(name: HashName): Transform {
  return { type: TransformType.PRF, id: prfIds[name] }
}

export function dhTransform(group: DhGroup): Transform {
  return { type: TransformType.DH, id: group }
}

/** The additional key exchanges of a suite, one transform type each from ADDKE1 on (RFC 9370 §2.2.1). */
export function additionalTransforms(kems: readonly Kem[] = []): Transform[] {
  return kems.map((kem, index) => ({ type: TransformType.ADDKE1 + index, id: kemIds[kem] }))
}

/** True for ADDKE1 to ADDKE7. */
export function isAdditional(type: number): boolean {
  return type >= TransformType.ADDKE1 && type <= TransformType.ADDKE7
}

/** Number of a method in a KE payload. */
export function kemId(kem: Kem): number {
  return kemIds[kem]
}

export function esnTransform(esn: boolean): Transform {
  return { type: TransformType.ESN, id: esn ? 1 : 0 }
}

const nameOf = (ids: Record<string, number>, id: number): string | undefined =>
  Object.keys(ids).find((name) => ids[name] === id)

/** Why a transform is no usable member of its type, or null: key length rules of §3.3.5, foreign attributes (§3.3.6). */
export function transformFault(transform: Transform): string | null {
  if (transform.attributes) return `attribute ${transform.attributes[0].type} not understood`
  if (transform.type !== TransformType.ENCR) {
    return transform.keyLength === undefined ? null : 'key length where none is defined'
  }
  const rows = ciphers.filter((row) => row.id === transform.id)
  if (rows.length === 0 || rows.some((row) => row.keyLength === transform.keyLength)) return null
  if (rows[0].keyLength === undefined) return 'key length where none is defined'
  return transform.keyLength === undefined ? 'key length missing' : `key length ${transform.keyLength}`
}

const typeNames: Record<number, string> = {
  1: 'encryption',
  2: 'prf',
  3: 'authentication',
  4: 'dh-group',
  5: 'esn',
}

/** `encryption`, `prf`, `authentication`, `dh-group`, `esn`, `additional-ke`: the statement that decides over a transform type. */
export function transformTypeName(type: number): string {
  return isAdditional(type) ? 'additional-ke' : (typeNames[type] ?? `transform type ${type}`)
}

const encryptionNames: Record<number, string> = {
  12: 'aes-cbc',
  13: 'aes-ctr',
  14: 'aes-ccm-8',
  16: 'aes-ccm-16',
  18: 'aes-gcm-8',
  19: 'aes-gcm-12',
  20: 'aes-gcm',
  23: 'camellia-cbc',
}

function encryptionText(transform: Transform): string {
  const rows = ciphers.filter((row) => row.id === transform.id)
  const exact = rows.find((row) => row.keyLength === transform.keyLength)
  if (exact) return exact.name
  const base = encryptionNames[transform.id] ?? rows[0]?.name ?? `encr-${transform.id}`
  return transform.keyLength === undefined ? base : `${base}-${transform.keyLength}`
}

/** Configuration name of a transform; a number with its type where asegate has no name for it. */
export function describeTransform(transform: Transform): string {
  const { type, id } = transform
  const suffix = transform.attributes ? '?' : ''
  if (type === TransformType.ENCR) return encryptionText(transform) + suffix
  if (type === TransformType.PRF) return `prf-${nameOf(prfIds, id) ?? id}${suffix}`
  if (type === TransformType.INTEG)
    return (id === 0 ? 'none' : (nameOf(integrityIds, id) ?? `integ-${id}`)) + suffix
  if (type === TransformType.DH) return `group-${id === 0 ? 'none' : id}${suffix}`
  if (type === TransformType.ESN) return (id === 0 ? 'no-esn' : id === 1 ? 'esn' : `esn-${id}`) + suffix
  if (isAdditional(type)) return (id === 0 ? 'no-additional-ke' : (nameOf(kemIds, id) ?? `ke-${id}`)) + suffix
  return `type${type}-${id}${suffix}`
}
