// Certification path validation (RFC 5280 §6.1) for IKE (RFC 4945): from a peer's certificate to a trusted CA.
//
// Order: the leaf is read and judged, then issuers are searched depth first among the intermediates the peer sent
// and our trust anchors. A candidate is an issuer by name only until its signature over the certificate below
// has been verified. Work is capped: 10 certificates, depth 8, 32 signatures; a loop cannot come back to itself.
//
// Policies where the RFCs leave a choice: an extendedKeyUsage must name any, ipsecIKE or one of the old IPsec
// usages (RFC 4945 §5.1.3.12); keyUsage of the leaf must allow signatures; trust anchors are judged like any other CA
// of the path, dates included; a CRL counts only while fresh and signed by the issuer, else it is as if absent.

import type { Identity } from '../config/model.ts'
import type { TrustAnchor } from '../sa/contract.ts'
import { equalBytes } from '../wire/bytes.ts'
import { matchesDn } from '../wire/dn.ts'
import { describeIdentity } from '../wire/identity.ts'
import { type Certificate, certificateText, readCertificate } from './certificate.ts'
import { type Crl, isFresh, isOnCrl, readCrl } from './crl.ts'
import { constraintViolation, type GeneralName } from './general-name.ts'
import { certificateHasIdentity } from './identity.ts'
import { type Refusal, refuse } from './reasons.ts'
import { type Gate, gatesOf, judgeAlgorithm, judgeKey, verifies } from './signature.ts'

/** Caps of security C11. */
export const maxPresented = 10
export const maxDepth = 8
const maxVerifications = 32

export type ChainInput = {
  /** DER of the peer's own certificate: the first CERT payload */
  leaf: Uint8Array
  /** DER of the other certificates it sent, in any order; malformed and unrelated ones are passed over */
  intermediates: Uint8Array[]
  trust: TrustAnchor[]
  /** DER of CRLs, of any issuer and age */
  crls: Uint8Array[]
  /** wall clock, milliseconds since 1970 */
  now: number
  /** legacy-crypto permit: SHA-1 signatures and RSA keys of 1024-2047 bits in the path */
  allowSha1: boolean
  /** the ID payload's identity, which the certificate must name; null: judged elsewhere */
  identity: Identity | null
  /** without a fresh CRL of each issuer the chain is refused; false by default */
  strictCrl?: boolean
}

/** spki: SubjectPublicKeyInfo of the leaf, what AUTH must verify with. gates: legacy items that were used. */
export type ChainResult =
  | { ok: true; spki: Uint8Array; subject: string; anchor: string; notAfter: number; gates: Gate[] }
  | Refusal

type Anchor = { name: string; certificate: Certificate }
type Search = {
  input: ChainInput
  intermediates: Certificate[]
  anchors: Anchor[]
  crls: Crl[]
  verifications: number
}
/** path[0] is the leaf; the last one is the anchor. */
type Found = { ok: true; path: Certificate[]; anchor: string }

/** Dates, key and critical extensions: what every certificate of a path must pass. */
function judgeCommon(certificate: Certificate, search: Search): Refusal | null {
  const who = certificateText(certificate)
  const { now, allowSha1 } = search.input
  if (now < certificate.notBefore) return refuse('certificate-not-yet-valid', who, day(certificate.notBefore))
  if (now > certificate.notAfter) return refuse('certificate-expired', who, day(certificate.notAfter))
  const { unknownCritical } = certificate.extensions
  if (unknownCritical !== null) return refuse('certificate-critical', who, unknownCritical)
  return judgeKey(certificate.spki, who, allowSha1)
}

const day = (time: number): string => new Date(time).toISOString().slice(0, 16).replace('T', ' ')

const ikeUsages = new Set([
  '2.5.29.37.0', // anyExtendedKeyUsage
  '1.3.6.1.5.5.7.3.17', // id-kp-ipsecIKE
  '1.3.6.1.5.5.7.3.5', // ipsecEndSystem
  '1.3.6.1.5.5.7.3.6', // ipsecTunnel
  '1.3.6.1.5.5.7.3.7', // ipsecUser
  '1.3.6.1.5.5.8.2.2', // iKEIntermediate
])

/** keyUsage and extendedKeyUsage of the leaf (RFC 4945 §5.1.3.2, §5.1.3.12). */
function judgeUsage(leaf: Certificate): Refusal | null {
  const { keyUsage, extendedKeyUsage } = leaf.extensions
  if (keyUsage && !keyUsage.has('digitalSignature') && !keyUsage.has('nonRepudiation')) {
    return refuse('certificate-usage', certificateText(leaf), 'keyUsage without digitalSignature')
  }
  if (extendedKeyUsage && !extendedKeyUsage.some((usage) => ikeUsages.has(usage))) {
    return refuse(
      'certificate-usage',
      certificateText(leaf),
      `extendedKeyUsage ${extendedKeyUsage.slice(0, 5).join(', ')}`,
    )
  }
  return null
}

/** basicConstraints, keyUsage and path length of an issuer with `below` non-self-issued CAs between it and the leaf (§6.1.4 k-n). */
function judgeIssuer(issuer: Certificate, below: number, search: Search): Refusal | null {
  const who = certificateText(issuer)
  const { basicConstraints, keyUsage } = issuer.extensions
  if (!basicConstraints?.ca) return refuse('certificate-not-ca', who, 'basicConstraints')
  if (keyUsage && !keyUsage.has('keyCertSign'))
    return refuse('certificate-not-ca', who, 'keyUsage without keyCertSign')
  const { pathLength } = basicConstraints
  if (pathLength !== null && below > pathLength)
    return refuse('certificate-path-length', who, `limit ${pathLength}`)
  return judgeCommon(issuer, search)
}

const isSelfIssued = (certificate: Certificate): boolean =>
  matchesDn(certificate.issuer.dn, certificate.subject.dn)

/** Key identifiers tell apart issuers of one name; they never refuse, the signature does. Likely ones first. */
function byKeyId(child: Certificate, candidates: Certificate[]): Certificate[] {
  const wanted = child.extensions.authorityKeyId
  const likely = (each: Certificate): boolean =>
    wanted !== null &&
    each.extensions.subjectKeyId !== null &&
    equalBytes(wanted, each.extensions.subjectKeyId)
  return [...candidates.filter(likely), ...candidates.filter((each) => !likely(each))]
}

/** Verifies one signature within the cap; the signature algorithm was judged before. */
function isSignedBy(child: Certificate, issuer: Certificate, search: Search): boolean {
  search.verifications += 1
  return search.verifications <= maxVerifications && verifies(child.signature, issuer.spki)
}

/** Names of every certificate below a CA against its constraints; self-issued CAs are exempt, the leaf never (§6.1.3 b, c). */
function judgeNames(path: Certificate[]): Refusal | null {
  for (let above = path.length - 1; above > 0; above--) {
    const constraints = path[above].extensions.nameConstraints
    if (!constraints) continue
    for (const [index, certificate] of path.slice(0, above).entries()) {
      if (index > 0 && isSelfIssued(certificate)) continue
      const faults = namesOf(certificate).map((name) => constraintViolation(name, constraints))
      const fault = faults.find((each) => each !== null)
      if (fault) return refuse('certificate-names', certificateText(certificate), fault)
    }
  }
  return null
}

const emailType = '1.2.840.113549.1.9.1'

/** Everything constraints apply to: alternative names, a subject that is not empty, and mail addresses in it (§4.2.1.10). */
function namesOf(certificate: Certificate): GeneralName[] {
  const { subject, extensions } = certificate
  const altNames = extensions.altNames ?? []
  const subjectName: GeneralName[] = subject.dn.length > 0 ? [{ kind: 'dn', value: subject.dn }] : []
  const mails = subject.dn
    .flat()
    .filter((attribute) => attribute.type === emailType && attribute.text !== null)
  const mailNames = mails.map((attribute): GeneralName => ({ kind: 'email', value: attribute.text! }))
  return [...altNames, ...subjectName, ...mailNames]
}

/**
 * The newest of an issuer's fresh lists whose signature holds: only it says anything (security L8, L9). An older one
 * may still be fresh and hold a certificate that was on hold then.
 */
function usableCrls(issuer: Certificate, search: Search): Crl[] {
  const { now, allowSha1 } = search.input
  const { keyUsage } = issuer.extensions
  if (keyUsage && !keyUsage.has('cRLSign')) return []
  const usable = search.crls.filter((crl) => {
    if (!isFresh(crl, now) || !matchesDn(crl.issuer.dn, issuer.subject.dn)) return false
    const isAllowed = judgeAlgorithm(crl.signature, 'CRL', allowSha1) === null
    return isAllowed && verifies(crl.signature, issuer.spki)
  })
  const newest = usable.reduce((latest, crl) => Math.max(latest, crl.thisUpdate), 0)
  return usable.filter((crl) => crl.thisUpdate === newest)
}

function judgeRevocation(path: Certificate[], search: Search): Refusal | null {
  for (let index = 0; index + 1 < path.length; index++) {
    const who = certificateText(path[index])
    const answers = usableCrls(path[index + 1], search).map((crl) => isOnCrl(crl, path[index].serial))
    if (answers.includes(true)) return refuse('certificate-revoked', who)
    if (search.input.strictCrl && !answers.includes(false)) return refuse('certificate-no-crl', who)
  }
  return null
}

/** A complete path: names and revocation need all of it. */
function judgePath(path: Certificate[], anchor: string, search: Search): Found | Refusal {
  return judgeNames(path) ?? judgeRevocation(path, search) ?? { ok: true, path, anchor }
}

/** Tries one issuer above the path: it must be a CA, allow this depth, and have made the signature. */
function tryIssuer(
  path: Certificate[],
  issuer: Certificate,
  anchor: string | null,
  search: Search,
): Found | Refusal {
  const child = path[path.length - 1]
  const below = path.slice(1).filter((each) => !isSelfIssued(each)).length
  const refused = judgeIssuer(issuer, below, search)
  if (refused) return refused
  if (!isSignedBy(child, issuer, search)) return refuse('certificate-signature', certificateText(child))
  return anchor === null
    ? searchIssuer([...path, issuer], search)
    : judgePath([...path, issuer], anchor, search)
}

/** Finds an issuer for the last certificate of the path; anchors are tried first. The first refusal is the one told. */
function searchIssuer(path: Certificate[], search: Search): Found | Refusal {
  const child = path[path.length - 1]
  const refusedAlgorithm = judgeAlgorithm(child.signature, certificateText(child), search.input.allowSha1)
  if (refusedAlgorithm) return refusedAlgorithm
  const isIssuer = (each: Certificate): boolean => matchesDn(child.issuer.dn, each.subject.dn)
  let told: Refusal | null = null
  for (const { name, certificate } of search.anchors) {
    if (!isIssuer(certificate)) continue
    const result = tryIssuer(path, certificate, name, search)
    if (result.ok) return result
    told ??= result
  }
  const isUsed = (each: Certificate): boolean => path.some((used) => equalBytes(used.der, each.der))
  const candidates = search.intermediates.filter((each) => isIssuer(each) && !isUsed(each))
  for (const issuer of path.length < maxDepth ? byKeyId(child, candidates) : []) {
    const result = tryIssuer(path, issuer, null, search)
    if (result.ok) return result
    told ??= result
  }
  return told ?? refuse('certificate-untrusted', certificateText(child), `issued by "${child.issuer.text}"`)
}

function readUsable(list: Uint8Array[]): Certificate[] {
  return list.map(readCertificate).flatMap((read) => (read.ok ? [read.value] : []))
}

function startSearch(input: ChainInput): Search {
  const anchors = input.trust.flatMap(({ name, der }) =>
    readUsable([der]).map((certificate) => ({ name, certificate })),
  )
  const crls = input.crls.map(readCrl).filter((crl) => crl !== null)
  return {
    input,
    intermediates: readUsable(input.intermediates),
    anchors,
    crls,
    verifications: 0,
  }
}

function identityRefusal(leaf: Certificate, identity: Identity): Refusal {
  const names = leaf.extensions.altNames?.length ?? 0
  const found = names === 0 ? 'it has no subjectAltName' : `${names} subjectAltName`
  return refuse('identity-mismatch', certificateText(leaf), `${describeIdentity(identity)}; ${found}`)
}

/**
 * Validates a peer's certificate for IKE. Never throws; malformed input is a refusal (security L11). On success AUTH
 * is to be verified with `spki`, and `gates` are to be made loud.
 */
export function validateChain(input: ChainInput): ChainResult {
  if (1 + input.intermediates.length > maxPresented) {
    return refuse('certificate-count', 'peer', `${1 + input.intermediates.length} certificates`)
  }
  const read = readCertificate(input.leaf)
  if (!read.ok) return read
  const leaf = read.value
  const search = startSearch(input)
  const refused = judgeCommon(leaf, search) ?? judgeUsage(leaf)
  if (refused) return refused
  const found = searchIssuer([leaf], search)
  if (!found.ok) return found
  if (input.identity && !certificateHasIdentity(leaf, input.identity))
    return identityRefusal(leaf, input.identity)
  const notAfter = Math.min(...found.path.map((certificate) => certificate.notAfter))
  const gates = gatesOf(found.path)
  return { ok: true, spki: leaf.spki, subject: leaf.subject.text, anchor: found.anchor, notAfter, gates }
}
