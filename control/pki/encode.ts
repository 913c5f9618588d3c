// What certificates, CRLs and requests are written with: names, times, extensions, key identifiers, the signed frame.
// Own DER, signed by node:crypto. Texts that are none throw RangeError: our callers check what an operator typed.

import { createPublicKey, type KeyObject, sign } from 'node:crypto'
import type { Identity } from '../config/model.ts'
import { encodeAlgorithm } from '../crypto/auth.ts'
import { digest } from '../crypto/suite.ts'
import type { SignatureAlgorithm, SignatureHash } from '../ports.ts'
import { addressBytes } from '../wire/address.ts'
import {
  context,
  der,
  derBits,
  derBoolean,
  derOctets,
  derOid,
  derSequence,
  derText,
  readBitBytes,
  readChildren,
  readWhole,
  Tag,
} from '../wire/der.ts'
import { encodeDn, parseDnText } from '../wire/dn.ts'

/** DER of a distinguished name in text form. */
export function nameDer(subject: string): Uint8Array {
  const dn = parseDnText(subject)
  if (!dn) throw new RangeError(`no distinguished name: ${subject}`)
  return encodeDn(dn)
}

/** GeneralizedTime from 2050, UTCTime before (RFC 5280 §4.1.2.5). wall: milliseconds since 1970. */
export function timeDer(wall: number): Uint8Array {
  const text = `${new Date(wall).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`
  return text < '2050' ? derText(Tag.UTC_TIME, text.slice(2)) : derText(Tag.GENERALIZED_TIME, text)
}

/** One Extension; value is its contents (RFC 5280 §4.2). */
export function extension(oid: string, critical: boolean, value: Uint8Array): Uint8Array {
  return critical
    ? derSequence(derOid(oid), derBoolean(true), derOctets(value))
    : derSequence(derOid(oid), derOctets(value))
}

const visible = /^[\x21-\x7e]{1,255}$/

/** GeneralName of an identity (RFC 5280 §4.2.1.6, RFC 4945 §3.1). A key-id is in no certificate. */
export function altNameDer(identity: Identity): Uint8Array {
  const { kind, value } = identity
  const isText = visible.test(value)
  if (kind === 'fqdn' && isText) return derText(context(2, false), value)
  if (kind === 'user-fqdn' && isText) return derText(context(1, false), value)
  const bytes = kind === 'address' ? addressBytes(value) : null
  if (bytes) return der(context(7, false), bytes)
  if (kind === 'dn') return der(context(4), nameDer(value))
  throw new RangeError(`no alternative name: ${kind} ${value}`)
}

/** SHA-1 of the key's BIT STRING contents (RFC 5280 §4.2.1.2, method 1). */
export function keyId(spki: Uint8Array): Uint8Array {
  return digest('sha1', readBitBytes(readChildren(readWhole(spki), Tag.SEQUENCE)?.[1])!)
}

/** AuthorityKeyIdentifier contents that name the key. */
export function authorityKeyId(issuerSpki: Uint8Array): Uint8Array {
  return derSequence(der(context(0, false), keyId(issuerSpki)))
}

/** SubjectPublicKeyInfo of a public key, or of the public half of a private one. */
export function spkiOf(key: KeyObject): Uint8Array {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  return new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }))
}

const curveHashes: Record<string, SignatureHash> = { secp384r1: 'sha384', secp521r1: 'sha512' }

/** What a key signs certificates with: `hash` where it is given, else SHA-256, on greater curves their own. */
export function signatureFor(key: KeyObject, hash?: SignatureHash): SignatureAlgorithm {
  if (key.asymmetricKeyType === 'ed25519') return { key: 'ed25519', hash: 'identity' }
  const curve = key.asymmetricKeyDetails?.namedCurve ?? ''
  const kind = key.asymmetricKeyType === 'rsa' ? 'rsa-pkcs1' : 'ecdsa'
  return { key: kind, hash: hash ?? curveHashes[curve] ?? 'sha256' }
}

/**
 * SEQUENCE { tbs, algorithm, signature }. `tbs` gets the AlgorithmIdentifier, because certificates and CRLs carry it
 * inside too.
 */
export function signedDer(
  key: KeyObject,
  hash: SignatureHash | undefined,
  tbs: (identifier: Uint8Array) => Uint8Array,
): Uint8Array {
  const algorithm = signatureFor(key, hash)
  const identifier = encodeAlgorithm(algorithm)
  const covered = tbs(identifier)
  const bytes = sign(algorithm.hash === 'identity' ? null : algorithm.hash, covered, key)
  return derSequence(covered, identifier, derBits(bytes))
}
