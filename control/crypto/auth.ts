// Authentication of the IKE SA: signed octets and PSK (RFC 7296 §2.15), signatures by method 14 (RFC 7427).

import type { KeyObject } from 'node:crypto'
import type { SignatureAlgorithm, SignatureHash } from '../ports.ts'
import { concat, equalBytes, hex, u16, u16Bytes } from '../wire/bytes.ts'
import {
  context,
  der,
  derNull,
  derOid,
  derSequence,
  readChildren,
  readOid,
  readSmall,
  readWhole,
  Tag,
} from '../wire/der.ts'
import { malformed } from '../wire/reasons.ts'
import type { Decoded } from '../wire/types.ts'
import { type HashName, prf, prfLength, wipe } from './suite.ts'

/** Authentication methods, RFC 7296 §3.8 and RFC 7427 §7. */
export const AuthMethodId = { RSA: 1, PSK: 2, SIGNATURE: 14 } as const

/**
 * The octets that AUTH covers (§2.15): the sender's IKE_SA_INIT message as it was on the wire | the other side's
 * nonce | prf(SK_p, body of the sender's ID payload) [| IntAuth, RFC 9242 §3.3.2]. skP and idRaw are the sender's; idRaw
 * with reserved bytes as received.
 */
export function authOctets(
  message: Uint8Array,
  nonce: Uint8Array,
  prfHash: HashName,
  skP: Uint8Array,
  idRaw: Uint8Array,
  intAuth: Uint8Array = new Uint8Array(0),
): Uint8Array {
  return concat(message, nonce, prf(prfHash, skP, idRaw), intAuth)
}

const keyPad = new TextEncoder().encode('Key Pad for IKEv2')

/** AUTH data of method 2: prf(prf(PSK, "Key Pad for IKEv2"), octets) (§2.15). */
export function pskAuth(prfHash: HashName, psk: Uint8Array, octets: Uint8Array): Uint8Array {
  const key = prf(prfHash, psk, keyPad)
  const auth = prf(prfHash, key, octets)
  wipe(key)
  return auth
}

const hashOids: Record<SignatureHash, string> = {
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
}
const signatureHashes = Object.keys(hashOids) as SignatureHash[]
const rsaOids = [5, 11, 12, 13].map((arc) => `1.2.840.113549.1.1.${arc}`)
const ecdsaOids = ['1.2.840.10045.4.1', ...[2, 3, 4].map((arc) => `1.2.840.10045.4.3.${arc}`)]
const pssOid = '1.2.840.113549.1.1.10'
const mgf1Oid = '1.2.840.113549.1.1.8'

type NamedAlgorithm = { algorithm: SignatureAlgorithm; encoding: Uint8Array }

/** PSS parameters with MGF1 over the same hash and a salt as long as the hash (RFC 7427 §A.4, RFC 8017 §A.2.3). */
function pssEncoding(hash: SignatureHash): Uint8Array {
  const hashAlgorithm = derSequence(derOid(hashOids[hash]), derNull())
  const salt = der(Tag.INTEGER, Uint8Array.of(prfLength(hash)))
  const parameters = derSequence(
    der(context(0), hashAlgorithm),
    der(context(1), derSequence(derOid(mgf1Oid), hashAlgorithm)),
    der(context(2), salt),
  )
  return derSequence(derOid(pssOid), parameters)
}

/** Every AlgorithmIdentifier of RFC 7427 appendix A and RFC 8420 in the encoding that we send. */
const algorithms: NamedAlgorithm[] = [
  ...signatureHashes.map(
    (hash, index): NamedAlgorithm => ({
      algorithm: { key: 'rsa-pkcs1', hash },
      encoding: derSequence(derOid(rsaOids[index]), derNull()),
    }),
  ),
  ...signatureHashes.map(
    (hash, index): NamedAlgorithm => ({
      algorithm: { key: 'ecdsa', hash },
      encoding: derSequence(derOid(ecdsaOids[index])),
    }),
  ),
  ...signatureHashes.map(
    (hash): NamedAlgorithm => ({ algorithm: { key: 'rsa-pss', hash }, encoding: pssEncoding(hash) }),
  ),
  { algorithm: { key: 'ed25519', hash: 'identity' }, encoding: derSequence(derOid('1.3.101.112')) },
]

/** DER of an AlgorithmIdentifier; every combination that SignatureAlgorithm makes sensible exists. */
export function encodeAlgorithm(algorithm: SignatureAlgorithm): Uint8Array {
  const row = algorithms.find(
    (each) => each.algorithm.key === algorithm.key && each.algorithm.hash === algorithm.hash,
  )
  if (!row) throw new RangeError(`no signature algorithm ${algorithm.key} with ${algorithm.hash}`)
  return row.encoding
}

/** PSS written out in another way, e.g. with defaults left out or hash algorithms without NULL: the meaning decides. */
function readPss(parameters: Uint8Array | undefined): SignatureAlgorithm | null {
  const fields = parameters ? readChildren(readWhole(parameters), Tag.SEQUENCE) : []
  if (
    !fields ||
    fields.some((field) => ![context(0), context(1), context(2), context(3)].includes(field.tag))
  )
    return null
  const inside = (number: number) => {
    const field = fields.find((each) => each.tag === context(number))
    return field ? readWhole(field.content) : undefined
  }
  const hashName = (element: ReturnType<typeof inside>): SignatureHash | null => {
    if (element === undefined) return 'sha1' // RFC 8017 §A.2.3 default
    const oid = readOid(readChildren(element, Tag.SEQUENCE)?.[0])
    return signatureHashes.find((hash) => hashOids[hash] === oid) ?? null
  }
  const hash = hashName(inside(0))
  const mgf = inside(1)
  const mgfParts = mgf === undefined ? undefined : readChildren(mgf, Tag.SEQUENCE)
  if (mgf !== undefined && readOid(mgfParts?.[0]) !== mgf1Oid) return null
  const mgfHash = hashName(mgf === undefined ? undefined : (mgfParts?.[1] ?? null))
  const saltField = inside(2)
  const salt = saltField === undefined ? 20 : readSmall(saltField)
  if (hash === null || hash !== mgfHash || salt !== prfLength(hash) || inside(3) !== undefined) return null
  return { key: 'rsa-pss', hash }
}

/** The signature algorithm that a DER AlgorithmIdentifier names; null when unknown. PSS: one hash throughout, salt of its length. */
export function decodeAlgorithm(bytes: Uint8Array): SignatureAlgorithm | null {
  const known = algorithms.find((row) => equalBytes(row.encoding, bytes))
  if (known) return known.algorithm
  const parts = readChildren(readWhole(bytes), Tag.SEQUENCE)
  const isPss = parts && parts.length <= 2 && readOid(parts[0]) === pssOid
  return isPss ? readPss(parts[1]?.full) : null
}

/** AUTH data of method 14 (RFC 7427 §3): length of the AlgorithmIdentifier, it, the signature. */
export function encodeSignatureAuth(algorithm: SignatureAlgorithm, signature: Uint8Array): Uint8Array {
  const identifier = encodeAlgorithm(algorithm)
  return concat(Uint8Array.of(identifier.length), identifier, signature)
}

/** Takes AUTH data of method 14 apart. Whether hash and key are allowed is the caller's question. */
export function decodeSignatureAuth(
  data: Uint8Array,
): Decoded<{ algorithm: SignatureAlgorithm; signature: Uint8Array }> {
  const length = data[0] ?? 0
  if (length === 0 || data.length <= 1 + length) return malformed('ike-signature-format', 'length')
  const identifier = data.subarray(1, 1 + length)
  const algorithm = decodeAlgorithm(identifier)
  if (!algorithm) return malformed('ike-signature-format', hex(identifier.subarray(0, 32)))
  return { ok: true, value: { algorithm, signature: data.subarray(1 + length) } }
}

/** Hash algorithm numbers of SIGNATURE_HASH_ALGORITHMS (RFC 7427 §7, RFC 8420). */
const hashIds: Record<SignatureHash | 'identity', number> = {
  sha1: 1,
  sha256: 2,
  sha384: 3,
  sha512: 4,
  identity: 5,
}

/** Notify data of SIGNATURE_HASH_ALGORITHMS: 16-bit numbers. */
export function encodeHashAlgorithms(hashes: (SignatureHash | 'identity')[]): Uint8Array {
  return concat(...hashes.map((hash) => u16Bytes(hashIds[hash])))
}

/** The known hashes in a peer's list; unknown numbers are skipped, an odd byte at the end too. */
export function decodeHashAlgorithms(data: Uint8Array): (SignatureHash | 'identity')[] {
  const ids = Array.from({ length: data.length >> 1 }, (_, index) => u16(data, 2 * index))
  const names = Object.keys(hashIds) as (SignatureHash | 'identity')[]
  return names.filter((name) => ids.includes(hashIds[name]))
}

/** What we accept and announce: SHA-2 and, with the legacy gate open, SHA-1 (security B11). */
export function acceptedHashes(allowSha1: boolean): (SignatureHash | 'identity')[] {
  return [...(allowSha1 ? (['sha1'] as const) : []), 'sha256', 'sha384', 'sha512', 'identity']
}

/** Hashes by preference for a key: on curves the one as strong as the curve first (RFC 7427 §5, RFC 8247 §3.2). */
const hashOrders: Record<string, SignatureHash[]> = {
  rsa: ['sha256', 'sha384', 'sha512'],
  prime256v1: ['sha256', 'sha384', 'sha512'],
  secp384r1: ['sha384', 'sha512', 'sha256'],
  secp521r1: ['sha512', 'sha384', 'sha256'],
}

/** Hashes that a key may sign with: an RSA-PSS key may be bound to one (RFC 4055 §1.2). */
function hashOrder(key: KeyObject, allowSha1: boolean): SignatureHash[] {
  const { namedCurve, hashAlgorithm } = key.asymmetricKeyDetails ?? {}
  const order = hashOrders[namedCurve ?? 'rsa'] ?? []
  const all: SignatureHash[] = [...order, ...(allowSha1 ? (['sha1'] as const) : [])]
  return hashAlgorithm === undefined ? all : all.filter((hash) => hash === hashAlgorithm)
}

const signingKeys: Record<string, SignatureAlgorithm['key']> = {
  rsa: 'rsa-pkcs1',
  'rsa-pss': 'rsa-pss',
  ec: 'ecdsa',
}

/**
 * The algorithm to sign with under method 14: key type of our key, first hash of our order that the peer announced.
 * null: nothing in common, or no key to sign with. RSA keys sign PKCS #1 v1.5, which every peer of RFC 7427 has;
 * those that are certified for RSA-PSS alone sign that. Ed25519 needs the identity "hash" (RFC 8420 §2).
 */
export function chooseSignature(
  key: KeyObject,
  peerHashes: (SignatureHash | 'identity')[],
  allowSha1: boolean,
): SignatureAlgorithm | null {
  const type = key.asymmetricKeyType ?? ''
  if (type === 'ed25519') return peerHashes.includes('identity') ? { key: 'ed25519', hash: 'identity' } : null
  const hash = hashOrder(key, allowSha1).find((each) => peerHashes.includes(each))
  const kind = signingKeys[type]
  return hash === undefined || kind === undefined ? null : { key: kind, hash }
}
