// The store as data: one row a certificate, key pair or CRL. A file that cannot be read is a row with a fault, so that
// one broken file hides no other. Private keys are opened to name their public half; nothing of them is shown.

import type { KeyObject } from 'node:crypto'
import { createPublicKey } from 'node:crypto'
import { digest } from '../crypto/suite.ts'
import type { Files } from '../ports.ts'
import { equalBytes, hex } from '../wire/bytes.ts'
import type { Certificate } from './certificate.ts'
import { crlLabels, readCertificateFile } from './certificate-file.ts'
import { type Crl, isFresh, readCrl, revokedSerials } from './crl.ts'
import { spkiOf } from './encode.ts'
import { generalNameText } from './general-name.ts'
import { keyFingerprint, keyText, keyView } from './keypair.ts'
import { readDerObjects } from './pem.ts'
import { type Result, refuse } from './reasons.ts'
import { readFile, readPrivateKey, storePaths } from './store.ts'

export const showKinds = ['trust', 'identity', 'keypair', 'crl'] as const
export type ShowKind = (typeof showKinds)[number]

/** Members by kind: see certificateRow, identityRow, keyRow, crlRow; times are ISO 8601, fault is null or a sentence. */
export type PkiRow = { name: string; fault: string | null; [member: string]: unknown }

type ReadFiles = Pick<Files, 'read' | 'readSecret' | 'list' | 'exists'>
type View = { files: ReadFiles; store: string; wall: number }

const rooms: Record<ShowKind, string> = { trust: 'trust', identity: 'certs', keypair: 'private', crl: 'crl' }
const fileName = /^(.+)\.(pem|crl)$/

/** Rows of a kind, by name; `name` null: all. Refused when there is no entry of the name. */
export function showPki(view: View, kind: ShowKind, name: string | null): Result<PkiRow[]> {
  const directory = `${view.store}/${rooms[kind]}`
  const listed = listNames(view.files, directory, kind)
  if (!listed.ok) return listed
  const files = listed.value.filter((each) => name === null || nameOf(each) === name)
  if (name !== null && files.length === 0) return refuse('store-missing', `${kind} ${name}`, directory)
  return {
    ok: true,
    value: files.flatMap((file) => rowsOf(view, kind, nameOf(file), `${directory}/${file}`)),
  }
}

const nameOf = (file: string): string => file.replace(fileName, '$1')

function listNames(files: ReadFiles, directory: string, kind: ShowKind): Result<string[]> {
  if (!files.exists(directory)) return { ok: true, value: [] }
  try {
    const wanted = kind === 'crl' ? fileName : /^[^.].*\.pem$/
    return { ok: true, value: files.list(directory).filter((file) => wanted.test(file)) }
  } catch (error) {
    return refuse('store-file', directory, error instanceof Error ? error.message : String(error))
  }
}

function rowsOf(view: View, kind: ShowKind, name: string, path: string): PkiRow[] {
  if (kind === 'keypair') return [keyRow(view, name, path)]
  const content = readFile(path, (each) => view.files.read(each))
  if (!content.ok) return [{ name, file: path, fault: content.sentence }]
  if (kind === 'crl') return crlRows(view, name, path, content.value)
  const list = readCertificateFile(content.value, path)
  if (!list.ok) return [{ name, file: path, fault: list.sentence }]
  return kind === 'identity'
    ? [identityRow(view, name, path, list.value)]
    : list.value.map((each) => certificateRow(view, name, path, each))
}

const time = (wall: number): string => new Date(wall).toISOString()

function validity({ notBefore, notAfter }: Certificate, wall: number): string {
  return wall < notBefore ? 'not-yet-valid' : wall > notAfter ? 'expired' : 'valid'
}

function publicKeyOf(certificate: Certificate): string {
  try {
    const key = { key: Buffer.from(certificate.spki), format: 'der', type: 'spki' } as const
    return keyText(keyView(createPublicKey(key)))
  } catch {
    return 'unknown' // OpenSSL does not know every kind of key that a certificate may hold
  }
}

function signatureText({ algorithm, oid }: Certificate['signature']): string {
  return algorithm === null
    ? oid
    : algorithm.hash === 'identity'
      ? algorithm.key
      : `${algorithm.key} ${algorithm.hash}`
}

/** subject, issuer, serial (hex), notBefore, notAfter, state (`valid`, `expired`, `not-yet-valid`), key, signature, fingerprint (SHA-256 of the DER). */
function certificateRow(view: View, name: string, file: string, certificate: Certificate): PkiRow {
  return {
    name,
    subject: certificate.subject.text,
    issuer: certificate.issuer.text,
    serial: hex(certificate.serial),
    notBefore: time(certificate.notBefore),
    notAfter: time(certificate.notAfter),
    state: validity(certificate, view.wall),
    key: publicKeyOf(certificate),
    signature: signatureText(certificate.signature),
    fingerprint: hex(digest('sha256', certificate.der)),
    file,
    fault: null,
  }
}

/** As a certificate, with altNames, intermediates (subjects) and keyPair: `present`, `missing`, `differs`, `unreadable`. */
function identityRow(view: View, name: string, file: string, chain: Certificate[]): PkiRow {
  const [leaf, ...intermediates] = chain
  return {
    ...certificateRow(view, name, file, leaf),
    altNames: leaf.extensions.altNames?.map(generalNameText) ?? [],
    intermediates: intermediates.map(({ subject }) => subject.text),
    keyPair: keyPairState(view, name, leaf),
  }
}

function keyPairState(view: View, name: string, leaf: Certificate): string {
  const path = storePaths(view.store, name).privateKey
  if (!view.files.exists(path)) return 'missing'
  const key = readPrivateKey(path, view.files)
  if (!key.ok) return 'unreadable'
  return equalBytes(spkiOf(key.value), leaf.spki) ? 'present' : 'differs'
}

/** type, bits, curve, fingerprint (SHA-256 of the public key), certificate: `present`, `missing`, `differs`. */
function keyRow(view: View, name: string, file: string): PkiRow {
  const key = readPrivateKey(file, view.files)
  if (!key.ok) return { name, file, fault: key.sentence }
  const fingerprint = keyFingerprint(spkiOf(key.value))
  const certificate = certificateState(view, name, key.value)
  return { name, ...keyView(key.value), fingerprint, certificate, file, fault: null }
}

function certificateState(view: View, name: string, key: KeyObject): string {
  const path = storePaths(view.store, name).certificate
  if (!view.files.exists(path)) return 'missing'
  const content = readFile(path, (each) => view.files.read(each))
  const list = content.ok ? readCertificateFile(content.value, path) : content
  return list.ok && equalBytes(list.value[0].spki, spkiOf(key)) ? 'present' : 'differs'
}

function crlRows(view: View, name: string, file: string, content: Uint8Array): PkiRow[] {
  const list = readDerObjects(content, crlLabels) ?? []
  if (list.length === 0) return [{ name, file, fault: `${file}: no CRL` }]
  return list.map((der) => {
    const crl = readCrl(der)
    return crl ? crlRow(view, name, file, crl) : { name, file, fault: `${file}: a malformed or partial CRL` }
  })
}

/** issuer, thisUpdate, nextUpdate (null: none), state (`fresh`, `stale`, `not-yet-valid`), revoked (count), signature. */
function crlRow(view: View, name: string, file: string, crl: Crl): PkiRow {
  const state = isFresh(crl, view.wall) ? 'fresh' : view.wall < crl.thisUpdate ? 'not-yet-valid' : 'stale'
  return {
    name,
    issuer: crl.issuer.text,
    thisUpdate: time(crl.thisUpdate),
    nextUpdate: crl.nextUpdate === null ? null : time(crl.nextUpdate),
    state,
    revoked: revokedSerials(crl)?.length ?? null,
    signature: signatureText(crl.signature),
    file,
    fault: null,
  }
}
