// Certification requests (PKCS #10, RFC 2986): subject, public key and wished-for names, signed with the key.

import type { KeyObject } from 'node:crypto'
import type { Identity } from '../config/model.ts'
import { publicKeyFault } from '../crypto/public-key.ts'
import { context, der, derOid, derSequence, derUnsigned, Tag } from '../wire/der.ts'
import { parseDnText } from '../wire/dn.ts'
import { describeIdentity } from '../wire/identity.ts'
import { altNameDer, extension, nameDer, signedDer, spkiOf } from './encode.ts'
import { extensionIds } from './extensions.ts'
import { type Result, refuse } from './reasons.ts'

export type RequestOptions = {
  key: KeyObject
  /** `O=Provider, CN=pe1` */
  subject: string
  /** every kind but key-id */
  altNames: Identity[]
}

const extensionRequestId = '1.2.840.113549.1.9.14' // PKCS #9 extensionRequest (RFC 2985 §5.4.2)

function encodeAltNames(identities: Identity[]): Result<Uint8Array[]> {
  const names: Uint8Array[] = []
  for (const identity of identities) {
    try {
      names.push(altNameDer(identity))
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      return refuse('request-alt-name', describeIdentity(identity))
    }
  }
  return { ok: true, value: names }
}

/** keyUsage digitalSignature and the names: what a CA may copy into the certificate (RFC 4945 §5.1.3). */
function extensionRequest(names: Uint8Array[]): Uint8Array {
  const usage = extension(extensionIds.keyUsage, true, der(Tag.BIT_STRING, Uint8Array.of(7, 0x80)))
  const altNames = names.length === 0 ? [] : [extension(extensionIds.altNames, false, derSequence(...names))]
  return derSequence(derOid(extensionRequestId), der(Tag.SET, derSequence(usage, ...altNames)))
}

/** Why a key that was brought along cannot sign a request, or null. */
function keyFault(key: KeyObject): string | null {
  if (!['rsa', 'ec', 'ed25519'].includes(key.asymmetricKeyType ?? '')) return `${key.asymmetricKeyType} key`
  return publicKeyFault(spkiOf(key))
}

/** DER of a request. Refused when the subject is no distinguished name or a name cannot stand in a certificate. */
export function createRequest(options: RequestOptions): Result<Uint8Array> {
  const { key, subject } = options
  const fault = keyFault(key)
  if (fault) return refuse('key-parameters', 'key pair', fault)
  if (!parseDnText(subject)) return refuse('request-subject', subject)
  const names = encodeAltNames(options.altNames)
  if (!names.ok) return names
  const info = derSequence(
    derUnsigned(Uint8Array.of(0)),
    nameDer(subject),
    spkiOf(key),
    der(context(0), extensionRequest(names.value)),
  )
  return { ok: true, value: signedDer(key, undefined, () => info) }
}
