// Makes key pairs, CA certificates and certificates for gateways: for the lab and for tests.
//
// Own DER, signed by node:crypto. The profile is small on purpose: version 3, random 16-byte serial, critical
// basicConstraints and keyUsage, key identifiers, subjectAltName.

import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto'
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
  derUnsigned,
  readBitBytes,
  readChildren,
  readWhole,
  Tag,
} from '../wire/der.ts'
import { encodeDn, parseDnText } from '../wire/dn.ts'
import { readCertificate } from './certificate.ts'
import { extensionIds } from './extensions.ts'
import { decodePem, encodePem } from './pem.ts'

/** A CA or an end entity: certificate and private key as PEM (PKCS #8), and the key itself. */
export type MadeCertificate = { certificate: string; der: Uint8Array; key: KeyObject; privateKey: string }

export type KeyKind = 'rsa-2048' | 'rsa-3072' | 'p256' | 'ed25519'

/** A fresh private key. */
export function makeKey(kind: KeyKind = 'rsa-3072'): KeyObject {
  if (kind === 'ed25519') return generateKeyPairSync('ed25519').privateKey
  if (kind === 'p256') return generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey
  return generateKeyPairSync('rsa', { modulusLength: kind === 'rsa-2048' ? 2048 : 3072 }).privateKey
}

/** PKCS #8 PEM of a private key, to be written with mode 0600. */
export function privateKeyPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}

const dayMs = 86_400_000

type Common = {
  /** `O=Provider, CN=pe1`; throws RangeError on a text that is no distinguished name */
  subject: string
  /** wall clock, milliseconds since 1970 */
  now: number
  /** days from one day before now; 3650 for a CA, 825 for a certificate */
  days?: number
  hash?: SignatureHash
}
export type CaOptions = Common & { key?: KeyObject; pathLength?: number; issuer?: MadeCertificate }
export type IssueOptions = Common & {
  ca: MadeCertificate
  altNames: Identity[]
  /** public key to certify, or the private key it belongs to */
  publicKey: KeyObject
}

function nameOf(subject: string): Uint8Array {
  const dn = parseDnText(subject)
  if (!dn) throw new RangeError(`no distinguished name: ${subject}`)
  return encodeDn(dn)
}

/** GeneralizedTime from 2050, UTCTime before (RFC 5280 §4.1.2.5). */
function timeOf(wall: number): Uint8Array {
  const text = `${new Date(wall).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`
  return text < '2050' ? derText(Tag.UTC_TIME, text.slice(2)) : derText(Tag.GENERALIZED_TIME, text)
}

function extension(oid: string, critical: boolean, value: Uint8Array): Uint8Array {
  return critical
    ? derSequence(derOid(oid), derBoolean(true), derOctets(value))
    : derSequence(derOid(oid), derOctets(value))
}

function altName(identity: Identity): Uint8Array {
  switch (identity.kind) {
    case 'fqdn':
      return derText(context(2, false), identity.value)
    case 'user-fqdn':
      return derText(context(1, false), identity.value)
    case 'address': {
      const bytes = addressBytes(identity.value)
      if (bytes) return der(context(7, false), bytes)
      break
    }
    case 'dn':
      return der(context(4), nameOf(identity.value))
  }
  throw new RangeError(`no alternative name: ${identity.kind} ${identity.value}`)
}

/** SHA-1 of the key's BIT STRING contents (RFC 5280 §4.2.1.2, method 1). */
function keyId(spki: Uint8Array): Uint8Array {
  return digest('sha1', readBitBytes(readChildren(readWhole(spki), Tag.SEQUENCE)?.[1])!)
}

function signatureFor(key: KeyObject, hash: SignatureHash): SignatureAlgorithm {
  if (key.asymmetricKeyType === 'ed25519') return { key: 'ed25519', hash: 'identity' }
  return { key: key.asymmetricKeyType === 'rsa' ? 'rsa-pkcs1' : 'ecdsa', hash }
}

type Contents = Common & {
  issuer: Uint8Array
  subjectDer: Uint8Array
  spki: Uint8Array
  extensions: Uint8Array[]
}

/** TBSCertificate, signed. */
function signCertificate(contents: Contents, issuerKey: KeyObject): Uint8Array {
  const algorithm = signatureFor(issuerKey, contents.hash ?? 'sha256')
  const identifier = encodeAlgorithm(algorithm)
  const notBefore = contents.now - dayMs
  const serial = new Uint8Array(randomBytes(16))
  serial[0] = (serial[0] & 0x7f) | 0x40
  const tbs = derSequence(
    der(context(0), der(Tag.INTEGER, Uint8Array.of(2))),
    derUnsigned(serial),
    identifier,
    contents.issuer,
    derSequence(timeOf(notBefore), timeOf(notBefore + (contents.days ?? 825) * dayMs)),
    contents.subjectDer,
    contents.spki,
    der(context(3), derSequence(...contents.extensions)),
  )
  const bytes = sign(algorithm.hash === 'identity' ? null : algorithm.hash, tbs, issuerKey)
  return derSequence(tbs, identifier, derBits(bytes))
}

function finish(certificate: Uint8Array, key: KeyObject): MadeCertificate {
  return {
    certificate: encodePem('CERTIFICATE', certificate),
    der: certificate,
    key,
    privateKey: privateKeyPem(key),
  }
}

/** keyCertSign and cRLSign, bits 5 and 6; digitalSignature, bit 0. */
const caUsage = () => extension(extensionIds.keyUsage, true, der(Tag.BIT_STRING, Uint8Array.of(1, 0x06)))
const leafUsage = () => extension(extensionIds.keyUsage, true, der(Tag.BIT_STRING, Uint8Array.of(7, 0x80)))

function keyIdExtensions(spki: Uint8Array, issuerSpki: Uint8Array): Uint8Array[] {
  const authority = derSequence(der(context(0, false), keyId(issuerSpki)))
  return [
    extension(extensionIds.subjectKeyId, false, derOctets(keyId(spki))),
    extension(extensionIds.authorityKeyId, false, authority),
  ]
}

const spkiOf = (key: KeyObject): Uint8Array => createPublicKey(key).export({ type: 'spki', format: 'der' })

/** A self-signed CA, or an intermediate one when `issuer` is given. */
export function createCa(options: CaOptions): MadeCertificate {
  const key = options.key ?? makeKey()
  const spki = spkiOf(key)
  const subjectDer = nameOf(options.subject)
  const { issuer, pathLength } = options
  const issuerKey = issuer?.key ?? key
  const limit = pathLength === undefined ? [] : [derUnsigned(Uint8Array.of(pathLength))]
  const extensions = [
    extension(extensionIds.basicConstraints, true, derSequence(derBoolean(true), ...limit)),
    caUsage(),
    ...keyIdExtensions(spki, spkiOf(issuerKey)),
  ]
  const contents = {
    ...options,
    days: options.days ?? 3650,
    issuer: issuer ? subjectOf(issuer) : subjectDer,
    subjectDer,
    spki,
    extensions,
  }
  return finish(signCertificate(contents, issuerKey), key)
}

function subjectOf(made: MadeCertificate): Uint8Array {
  const read = readCertificate(made.der)
  if (!read.ok) throw new RangeError(read.sentence)
  return read.value.subject.der
}

/** A certificate for a gateway as PEM. The CA's key signs with hash (sha256). */
export function issueCertificate(options: IssueOptions): string {
  const { ca, publicKey, altNames } = options
  const spki =
    publicKey.type === 'private'
      ? spkiOf(publicKey)
      : new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }))
  const names = altNames.map(altName)
  const extensions = [
    extension(extensionIds.basicConstraints, true, derSequence()),
    leafUsage(),
    ...(names.length > 0 ? [extension(extensionIds.altNames, false, derSequence(...names))] : []),
    ...keyIdExtensions(spki, spkiOf(ca.key)),
  ]
  const contents = {
    ...options,
    issuer: subjectOf(ca),
    subjectDer: nameOf(options.subject),
    spki,
    extensions,
  }
  return encodePem('CERTIFICATE', signCertificate(contents, ca.key))
}

/** A CA read back from its two PEM texts, to issue more. Throws RangeError when one of them is none. */
export function readCa(certificate: string, privateKey: string): MadeCertificate {
  const block = decodePem(new TextEncoder().encode(certificate))?.find((each) => each.label === 'CERTIFICATE')
  if (!block) throw new RangeError('no certificate in PEM')
  return { certificate, der: block.der, key: createPrivateKey(privateKey), privateKey }
}
