// What an operator brings along: CA certificates, own certificates, CRLs. Judged before they enter the store, and put
// into the order and form in which the store has them. Pure: bytes in, objects or a refusal out.

import type { KeyObject } from 'node:crypto'
import { publicKeyFault } from '../crypto/public-key.ts'
import { equalBytes } from '../wire/bytes.ts'
import { matchesDn } from '../wire/dn.ts'
import { type Certificate, certificateText } from './certificate.ts'
import { crlLabels, readCertificateFile } from './certificate-file.ts'
import { type Crl, isFresh, readCrl, revokedSerials } from './crl.ts'
import { spkiOf } from './encode.ts'
import { encodePem, readDerObjects } from './pem.ts'
import { type Refusal, type Result, refuse } from './reasons.ts'
import { verifies } from './signature.ts'
import { maxPresented } from './validate.ts'

/** What goes into the store, and what the operator should know of it. */
export type Imported = { pem: string; notes: string[] }

const day = (time: number): string => new Date(time).toISOString().slice(0, 10)

/** Dates never refuse an import: a certificate may be brought in before its time. */
function dateNotes(certificate: Certificate, wall: number): string[] {
  const who = certificateText(certificate)
  if (wall > certificate.notAfter) return [`${who} has expired on ${day(certificate.notAfter)}`]
  return wall < certificate.notBefore ? [`${who} is not valid before ${day(certificate.notBefore)}`] : []
}

const isSelfIssued = (each: Certificate): boolean => matchesDn(each.issuer.dn, each.subject.dn)

/** Why a certificate cannot be trusted as a CA, or null: the same that path validation asks of an anchor. */
function caFault(certificate: Certificate, path: string): Refusal | null {
  const who = `${path}: ${certificateText(certificate)}`
  const { basicConstraints, keyUsage, unknownCritical } = certificate.extensions
  if (!basicConstraints?.ca) return refuse('certificate-not-ca', who, 'basicConstraints')
  if (keyUsage && !keyUsage.has('keyCertSign'))
    return refuse('certificate-not-ca', who, 'keyUsage without keyCertSign')
  if (unknownCritical !== null) return refuse('certificate-critical', who, unknownCritical)
  const fault = publicKeyFault(certificate.spki)
  if (fault) return refuse('certificate-key', who, fault)
  const isDamaged =
    certificate.signature.algorithm !== null &&
    isSelfIssued(certificate) &&
    !verifies(certificate.signature, certificate.spki)
  return isDamaged ? refuse('certificate-signature', who, 'self-signed') : null
}

/** CA certificates to be trusted, one or more, intermediates too: each becomes an anchor. wall: ms since 1970. */
export function importTrust(content: Uint8Array, path: string, wall: number): Result<Imported> {
  const list = readCertificateFile(content, path)
  if (!list.ok) return list
  for (const certificate of list.value) {
    const fault = caFault(certificate, path)
    if (fault) return fault
  }
  return { ok: true, value: imported(list.value, wall) }
}

function imported(list: Certificate[], wall: number): Imported {
  return {
    pem: list.map(({ der }) => encodePem('CERTIFICATE', der)).join(''),
    notes: list.flatMap((each) => dateNotes(each, wall)),
  }
}

/** From the own certificate upwards, each one's issuer next; a self-signed root is what the peer has, so it stays out. */
function chainFrom(leaf: Certificate, others: Certificate[]): Certificate[] {
  const chain = [leaf]
  for (;;) {
    const last = chain[chain.length - 1]
    const isIssuer = (each: Certificate) =>
      matchesDn(last.issuer.dn, each.subject.dn) && verifies(last.signature, each.spki)
    const issuer = isSelfIssued(last)
      ? undefined
      : others.find((each) => !chain.includes(each) && isIssuer(each))
    if (!issuer || isSelfIssued(issuer)) return chain
    chain.push(issuer)
  }
}

/** The own certificate of a key pair, and the intermediates to send with it, in whatever order the file has them. */
export function importCertificate(
  content: Uint8Array,
  path: string,
  key: KeyObject,
  wall: number,
): Result<Imported> {
  const list = readCertificateFile(content, path)
  return list.ok ? arrangeChain(list.value, path, key, wall) : list
}

/** As importCertificate, for certificates that are read already. */
export function arrangeChain(
  list: Certificate[],
  path: string,
  key: KeyObject,
  wall: number,
): Result<Imported> {
  const spki = spkiOf(key)
  const leaf = list.find((each) => equalBytes(each.spki, spki))
  if (!leaf) return refuse('store-mismatch', `${path}: ${certificateText(list[0])}`)
  const fault = publicKeyFault(leaf.spki)
  if (fault) return refuse('certificate-key', `${path}: ${certificateText(leaf)}`, fault)
  const chain = chainFrom(
    leaf,
    list.filter((each) => each !== leaf),
  )
  if (chain.length > maxPresented) return refuse('certificate-count', path, `at most ${maxPresented}`)
  const result = imported(chain, wall)
  const left = list.filter((each) => !chain.includes(each))
  const notes = left.map((each) => `${certificateText(each)} was left out: ${leftOutWhy(each)}`)
  return { ok: true, value: { pem: result.pem, notes: [...result.notes, ...notes] } }
}

const leftOutWhy = (certificate: Certificate): string =>
  isSelfIssued(certificate)
    ? 'a peer has the root itself; to trust it, import it with import trust'
    : 'it is no issuer of the chain'

/** Does the CRL come from one of the CAs of its name? null: none of that name is known. */
function crlVerifies(crl: Crl, authorities: Certificate[]): boolean | null {
  const named = authorities.filter((each) => matchesDn(crl.issuer.dn, each.subject.dn))
  return named.length === 0 ? null : named.some((each) => verifies(crl.signature, each.spki))
}

function crlNotes(crl: Crl, isVerified: boolean | null, wall: number): string[] {
  const who = `CRL of "${crl.issuer.text}"`
  const age = isFresh(crl, wall) ? [] : [`${who} is not fresh: ${freshness(crl)}`]
  return isVerified === null ? [...age, `${who}: no CA of that name is in the store`] : age
}

/** `from 2026-06-01 to 2026-07-01`. */
function freshness({ thisUpdate, nextUpdate }: Crl): string {
  return `from ${day(thisUpdate)} to ${nextUpdate === null ? 'no stated end' : day(nextUpdate)}`
}

/** Complete CRLs, one or more; authorities: every CA certificate of the store. A stale list is taken, with a note. */
export function importCrl(
  content: Uint8Array,
  path: string,
  authorities: Certificate[],
  wall: number,
): Result<Imported> {
  const list = readDerObjects(content, crlLabels)
  if (!list?.length) return refuse('store-content', path, 'no CRL in PEM or DER')
  const notes: string[] = []
  for (const der of list) {
    const crl = readCrl(der)
    if (!crl || revokedSerials(crl) === null)
      return refuse('store-content', path, 'a malformed or partial CRL')
    const isVerified = crlVerifies(crl, authorities)
    if (isVerified === false) return refuse('crl-signature', path, crl.issuer.text)
    notes.push(...crlNotes(crl, isVerified, wall))
  }
  return { ok: true, value: { pem: list.map((der) => encodePem('X509 CRL', der)).join(''), notes } }
}
