// The certificate store: a directory, and the names that the configuration gives to files elsewhere.
//
//   STORE/private/NAME.pem   private key, PKCS #8 or PKCS #1 PEM without passphrase, mode 0600 or 0640
//   STORE/certs/NAME.pem     own certificate, then the intermediates to send with it
//   STORE/trust/NAME.pem     CA certificates that are trusted under this name, one or more
//   STORE/crl/NAME.pem       CRLs, one or more; STORE/crl/NAME.crl for DER
//
// NAME is a NAME of the configuration language. `pki trust NAME file PATH`, `pki crl ...` and `pki identity ...` win
// over the store. Certificates and CRLs may be PEM or DER wherever they lie. Nothing is written here: store-write.ts.

import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import type { Pki } from '../config/model.ts'
import { publicKeyFault } from '../crypto/public-key.ts'
import { wipe } from '../crypto/suite.ts'
import type { Files } from '../ports.ts'
import type { LocalCertificate, TrustAnchor } from '../sa/contract.ts'
import { equalBytes } from '../wire/bytes.ts'
import { certificateText, readCertificate } from './certificate.ts'
import { crlLabels, readCertificateFile } from './certificate-file.ts'
import { readCrl } from './crl.ts'
import { readDerObjects } from './pem.ts'
import { type Refusal, type Result, refuse } from './reasons.ts'

type ReadFiles = Pick<Files, 'read' | 'readSecret' | 'exists' | 'list'>

/** A name that is a file name and nothing more: the NAME of the configuration language. */
export const namePattern = /^[A-Za-z][A-Za-z0-9._-]{0,31}$/

/** Where the four kinds of objects of a name lie in the store. */
export function storePaths(store: string, name: string) {
  return {
    privateKey: `${store}/private/${name}.pem`,
    certificate: `${store}/certs/${name}.pem`,
    trust: `${store}/trust/${name}.pem`,
    crl: `${store}/crl/${name}.pem`,
    crlDer: `${store}/crl/${name}.crl`,
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** Content of a file, or why there is none. */
export function readFile(path: string, read: (path: string) => Uint8Array): Result<Uint8Array> {
  try {
    return { ok: true, value: read(path) }
  } catch (error) {
    return refuse('store-file', path, messageOf(error)) // the Files port speaks in exceptions
  }
}

/** DER of all certificates of a file, each well-formed. */
function readCertificates(path: string, files: ReadFiles): Result<Uint8Array[]> {
  const content = readFile(path, (each) => files.read(each))
  if (!content.ok) return content
  const list = readCertificateFile(content.value, path)
  return list.ok ? { ok: true, value: list.value.map(({ der }) => der) } : list
}

/** A private key; its bytes are wiped once OpenSSL holds them. */
export function readPrivateKey(path: string, files: Pick<Files, 'readSecret'>): Result<KeyObject> {
  const content = readFile(path, (each) => files.readSecret(each))
  if (!content.ok) return content
  const bytes = content.value
  try {
    const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return { ok: true, value: createPrivateKey({ key, format: 'pem' }) }
  } catch (error) {
    return refuse('store-content', path, `no private key in PEM without passphrase: ${messageOf(error)}`)
  } finally {
    wipe(bytes)
  }
}

/** The key must be the one that the certificate certifies, and one that a peer can accept. */
function matchKey(key: KeyObject, certificate: Uint8Array, path: string): Refusal | null {
  const read = readCertificate(certificate)
  if (!read.ok) return read
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' })
  const who = `${path}: ${certificateText(read.value)}`
  if (!equalBytes(spki, read.value.spki)) return refuse('store-mismatch', who)
  const fault = publicKeyFault(read.value.spki)
  return fault ? refuse('certificate-key', who, fault) : null
}

/** Loads private key and certificates of an identity: from its statement, else from the store. */
export function loadIdentity(pki: Pki, name: string, files: ReadFiles): Result<LocalCertificate> {
  const configured = pki.identity.get(name)
  if (!configured && !namePattern.test(name)) return refuse('store-name', name)
  const stored = storePaths(pki.store, name)
  const keyPath = configured?.key ?? stored.privateKey
  const certificatePath = configured?.certificate ?? stored.certificate
  if (!configured && !files.exists(certificatePath)) {
    return refuse('store-missing', `identity ${name}`, certificatePath)
  }
  const chain = readCertificates(certificatePath, files)
  if (!chain.ok) return chain
  const key = readPrivateKey(keyPath, files)
  if (!key.ok) return key
  const refused = matchKey(key.value, chain.value[0], certificatePath)
  return refused ?? { ok: true, value: { key: key.value, chain: chain.value } }
}

/** Loads the CA certificates of a trust name: from its statement, else from the store. */
export function loadTrust(pki: Pki, name: string, files: ReadFiles): Result<TrustAnchor[]> {
  const configured = pki.trust.get(name)
  if (!configured && !namePattern.test(name)) return refuse('store-name', name)
  const path = configured?.path ?? storePaths(pki.store, name).trust
  if (!configured && !files.exists(path)) return refuse('store-missing', `trust ${name}`, path)
  const list = readCertificates(path, files)
  if (!list.ok) return list
  return { ok: true, value: list.value.map((der) => ({ name, der })) }
}

function readCrls(path: string, files: ReadFiles): Result<Uint8Array[]> {
  const content = readFile(path, (each) => files.read(each))
  if (!content.ok) return content
  const list = readDerObjects(content.value, crlLabels)
  const isGood = list && list.length > 0 && list.every((der) => readCrl(der) !== null)
  return isGood
    ? { ok: true, value: list }
    : refuse('store-content', path, 'no CRL, or a malformed or partial one')
}

/** CRLs of every `pki crl` statement and every file of the store's crl directory. */
export function loadCrls(pki: Pki, files: ReadFiles): Result<Uint8Array[]> {
  const directory = `${pki.store}/crl`
  const stored = files.exists(directory) ? files.list(directory) : []
  const names = stored.filter(
    (file) => /\.(pem|crl)$/.test(file) && !pki.crl.has(file.replace(/\.(pem|crl)$/, '')),
  )
  const paths = [
    ...[...pki.crl.values()].map(({ path }) => path),
    ...names.map((file) => `${directory}/${file}`),
  ]
  const crls: Uint8Array[] = []
  for (const path of paths) {
    const read = readCrls(path, files)
    if (!read.ok) return read
    crls.push(...read.value)
  }
  return { ok: true, value: crls }
}
