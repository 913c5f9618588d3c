// Makes key pairs, CA certificates and certificates for gateways: for the lab and for tests.
//
// The profile is small on purpose: version 3, random 16-byte serial, critical basicConstraints and keyUsage, key
// identifiers, subjectAltName. Revocation lists: make-crl.ts.

import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import type { Identity } from '../config/model.ts'
import type { SignatureHash } from '../ports.ts'
import { context, der, derBoolean, derOctets, derSequence, derUnsigned, Tag } from '../wire/der.ts'
import { readCertificate } from './certificate.ts'
import {
  altNameDer,
  authorityKeyId,
  extension,
  keyId,
  nameDer,
  signedDer,
  spkiOf,
  timeDer,
} from './encode.ts'
import { extensionIds } from './extensions.ts'
import { decodePem, encodePem } from './pem.ts'

export { type CrlOptions, createCrl, serialOf } from './make-crl.ts'

/** A CA or an end entity: certificate and private key as PEM (PKCS #8), and the key itself. */
export type MadeCertificate = { certificate: string; der: Uint8Array; key: KeyObject; privateKey: string }

export type KeyKind = 'rsa-2048' | 'rsa-3072' | 'rsa-4096' | 'p256' | 'p384' | 'p521' | 'ed25519'

const curveNames: Partial<Record<KeyKind, string>> = {
  p256: 'prime256v1',
  p384: 'secp384r1',
  p521: 'secp521r1',
}

/** A fresh private key. */
export function makeKey(kind: KeyKind = 'rsa-3072'): KeyObject {
  const namedCurve = curveNames[kind]
  if (namedCurve !== undefined) return generateKeyPairSync('ec', { namedCurve }).privateKey
  if (kind === 'ed25519') return generateKeyPairSync('ed25519').privateKey
  return generateKeyPairSync('rsa', { modulusLength: Number(kind.slice(4)) }).privateKey
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
  /** sha256, on P-384 and P-521 the hash of the curve's strength */
  hash?: SignatureHash
}
export type CaOptions = Common & {
  key?: KeyObject
  pathLength?: number
  issuer?: MadeCertificate
  /** keyUsage with cRLSign; true */
  signsCrls?: boolean
}
export type IssueOptions = Common & {
  ca: MadeCertificate
  altNames: Identity[]
  /** public key to certify, or the private key it belongs to */
  publicKey: KeyObject
}

type Contents = Common & {
  issuer: Uint8Array
  subjectDer: Uint8Array
  spki: Uint8Array
  extensions: Uint8Array[]
}

/** 16 random bytes, positive and never shorter (RFC 5280 §4.1.2.2). */
function freshSerial(): Uint8Array {
  const serial = new Uint8Array(randomBytes(16))
  serial[0] = (serial[0] & 0x7f) | 0x40
  return serial
}

/** TBSCertificate, signed. */
function signCertificate(contents: Contents, issuerKey: KeyObject): Uint8Array {
  const notBefore = contents.now - dayMs
  return signedDer(issuerKey, contents.hash, (identifier) =>
    derSequence(
      der(context(0), der(Tag.INTEGER, Uint8Array.of(2))),
      derUnsigned(freshSerial()),
      identifier,
      contents.issuer,
      derSequence(timeDer(notBefore), timeDer(notBefore + (contents.days ?? 825) * dayMs)),
      contents.subjectDer,
      contents.spki,
      der(context(3), derSequence(...contents.extensions)),
    ),
  )
}

function finish(certificate: Uint8Array, key: KeyObject): MadeCertificate {
  return {
    certificate: encodePem('CERTIFICATE', certificate),
    der: certificate,
    key,
    privateKey: privateKeyPem(key),
  }
}

/** keyCertSign and cRLSign, bits 5 and 6; digitalSignature, bit 0; unused bits first (X.690 §11.2.2). */
const caUsage = (signsCrls: boolean) =>
  extension(
    extensionIds.keyUsage,
    true,
    der(Tag.BIT_STRING, signsCrls ? Uint8Array.of(1, 0x06) : Uint8Array.of(2, 0x04)),
  )
const leafUsage = () => extension(extensionIds.keyUsage, true, der(Tag.BIT_STRING, Uint8Array.of(7, 0x80)))

function keyIdExtensions(spki: Uint8Array, issuerSpki: Uint8Array): Uint8Array[] {
  return [
    extension(extensionIds.subjectKeyId, false, derOctets(keyId(spki))),
    extension(extensionIds.authorityKeyId, false, authorityKeyId(issuerSpki)),
  ]
}

/** A self-signed CA, or an intermediate one when `issuer` is given. */
export function createCa(options: CaOptions): MadeCertificate {
  const key = options.key ?? makeKey()
  const spki = spkiOf(key)
  const subjectDer = nameDer(options.subject)
  const { issuer, pathLength } = options
  const issuerKey = issuer?.key ?? key
  const limit = pathLength === undefined ? [] : [derUnsigned(Uint8Array.of(pathLength))]
  const extensions = [
    extension(extensionIds.basicConstraints, true, derSequence(derBoolean(true), ...limit)),
    caUsage(options.signsCrls ?? true),
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

/** A certificate for a gateway as PEM. The CA's key signs with hash. */
export function issueCertificate(options: IssueOptions): string {
  const { ca, publicKey, altNames } = options
  const spki = spkiOf(publicKey)
  const names = altNames.map(altNameDer)
  const extensions = [
    extension(extensionIds.basicConstraints, true, derSequence()),
    leafUsage(),
    ...(names.length > 0 ? [extension(extensionIds.altNames, false, derSequence(...names))] : []),
    ...keyIdExtensions(spki, spkiOf(ca.key)),
  ]
  const contents = {
    ...options,
    issuer: subjectOf(ca),
    subjectDer: nameDer(options.subject),
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
