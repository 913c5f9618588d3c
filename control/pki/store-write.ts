// What `asegate pki` does to the store: key pairs, requests, imports, deletions. Every step is judged before the first
// byte is written; a private key is never overwritten, never shown, and wiped here once it is written.

import type { KeyObject } from 'node:crypto'
import type { Identity } from '../config/model.ts'
import { readRsaKey } from '../crypto/public-key.ts'
import { wipe } from '../crypto/suite.ts'
import type { StoreFiles } from '../ports.ts'
import { type Certificate, readCertificate } from './certificate.ts'
import { readCertificateFile } from './certificate-file.ts'
import { spkiOf } from './encode.ts'
import { arrangeChain, type Imported, importCertificate, importCrl, importTrust } from './import.ts'
import { generateKeyPair, type KeyRequest, keyView, pairFingerprint } from './keypair.ts'
import { encodePem, encodePemBytes } from './pem.ts'
import { type Refusal, type Result, refuse } from './reasons.ts'
import { createRequest } from './request.ts'
import { namePattern, readFile, readPrivateKey, storePaths } from './store.ts'

/** The store, and when it is: wall is milliseconds since 1970. */
export type Place = { files: StoreFiles; store: string; wall: number }

/** What was done, for a program and for a person; notes are what the operator should look at. */
export type Done = { data: Record<string, unknown>; notes: string[] }

export const importKinds = ['trust', 'certificate', 'crl'] as const
export type ImportKind = (typeof importKinds)[number]
export const deleteKinds = [...importKinds, 'keypair'] as const
export type DeleteKind = (typeof deleteKinds)[number]

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

function nameFault(name: string): Refusal | null {
  return namePattern.test(name) ? null : refuse('store-name', name)
}

/** Runs a write; the port speaks in exceptions. */
function attempt(path: string, write: () => void): Refusal | null {
  try {
    write()
    return null
  } catch (error) {
    return refuse('store-write', path, messageOf(error))
  }
}

/** PKCS #8 without passphrase, mode 0600, only where nothing is yet. */
function writeKey({ files }: Place, path: string, key: KeyObject): Refusal | null {
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' })
  const pem = encodePemBytes('PRIVATE KEY', pkcs8)
  const refused = attempt(path, () => files.create(path, pem))
  wipe(pkcs8, pem)
  return refused && files.exists(path) ? refuse('store-exists', path) : refused
}

/** The key pair of a name, as it lies in the store. */
function loadKeyPair({ files, store }: Place, name: string): Result<KeyObject> {
  const path = storePaths(store, name).privateKey
  if (!files.exists(path)) return refuse('store-missing', `keypair ${name}`, path)
  return readPrivateKey(path, files)
}

/** `generate keypair NAME ...` */
export function generate(place: Place, name: string, request: KeyRequest): Result<Done> {
  const paths = storePaths(place.store, name)
  const early =
    nameFault(name) ??
    (place.files.exists(paths.privateKey) ? refuse('store-exists', paths.privateKey) : null)
  if (early) return early
  const key = generateKeyPair(request)
  if (!key.ok) return key
  const refused = writeKey(place, paths.privateKey, key.value)
  if (refused) return refused
  const notes = place.files.exists(paths.certificate)
    ? [`${paths.certificate} belongs to an older key pair: request and import a new certificate`]
    : []
  const fingerprint = pairFingerprint(key.value)
  return {
    ok: true,
    value: { data: { name, ...keyView(key.value), fingerprint, file: paths.privateKey }, notes },
  }
}

export type RequestWords = { subject: string; altNames: Identity[]; file: string | null }

/** `request NAME subject STRING ...`: the PEM is in data, and in the file where one is named. */
export function request(place: Place, name: string, words: RequestWords): Result<Done> {
  const fault = nameFault(name)
  if (fault) return fault
  const key = loadKeyPair(place, name)
  if (!key.ok) return key
  const { subject, altNames, file } = words
  const der = createRequest({ key: key.value, subject, altNames })
  if (!der.ok) return der
  const pem = encodePem('CERTIFICATE REQUEST', der.value)
  const refused = file === null ? null : attempt(file, () => place.files.write(file, utf8(pem)))
  if (refused) return refused
  const notes = altNames.length > 0 ? [] : ['the request has no alt-name: only local-id dn will fit it']
  return { ok: true, value: { data: { name, subject, file, request: pem }, notes } }
}

/** Every CA certificate of the store, trusted or sent along; broken files are passed over, show names them. */
function authorities({ files, store }: Place): Certificate[] {
  return ['trust', 'certs'].flatMap((room) => {
    const directory = `${store}/${room}`
    const names = files.exists(directory) ? files.list(directory) : []
    return names
      .filter((name) => name.endsWith('.pem'))
      .flatMap((name) => {
        const content = readFile(`${directory}/${name}`, (path) => files.read(path))
        const list = content.ok ? readCertificateFile(content.value, name) : content
        return list.ok ? list.value : []
      })
  })
}

function judgeImport(
  place: Place,
  kind: ImportKind,
  name: string,
  content: Uint8Array,
  path: string,
): Result<Imported> {
  if (kind === 'trust') return importTrust(content, path, place.wall)
  if (kind === 'crl') return importCrl(content, path, authorities(place), place.wall)
  const key = loadKeyPair(place, name)
  return key.ok ? importCertificate(content, path, key.value, place.wall) : key
}

/** `import (trust|certificate|crl) NAME file PATH`: takes the place of what has the name already. */
export function importFile(place: Place, kind: ImportKind, name: string, path: string): Result<Done> {
  const fault = nameFault(name)
  if (fault) return fault
  const content = readFile(path, (each) => place.files.read(each))
  if (!content.ok) return content
  const judged = judgeImport(place, kind, name, content.value, path)
  if (!judged.ok) return judged
  const paths = storePaths(place.store, name)
  const target = paths[kind]
  const { files } = place
  const refused = attempt(target, () => {
    files.write(target, utf8(judged.value.pem))
    if (kind === 'crl' && files.exists(paths.crlDer)) files.remove(paths.crlDer)
  })
  if (refused) return refused
  const { pem, notes } = judged.value
  return { ok: true, value: { data: { kind, name, file: target, objects: countObjects(pem) }, notes } }
}

const countObjects = (pem: string): number => pem.split('-----BEGIN ').length - 1

/** What a PKCS #12 file holds (RFC 7292). */
export type Pkcs12 = { key: KeyObject; certificates: Uint8Array[] }

/** `import pkcs12 NAME file PATH`: key pair and chain at once; an equal key pair may be there already. */
export function importPkcs12(place: Place, name: string, path: string, content: Pkcs12): Result<Done> {
  const fault = nameFault(name)
  if (fault) return fault
  const list = content.certificates.map(readCertificate)
  const broken = list.find((each) => !each.ok)
  if (broken && !broken.ok) return { ...broken, sentence: `${path}: ${broken.sentence}` }
  const certificates = list.flatMap((each) => (each.ok ? [each.value] : []))
  if (certificates.length === 0) return refuse('pkcs12-content', path, 'no certificate')
  const chain = arrangeChain(certificates, path, content.key, place.wall)
  if (!chain.ok) return chain
  const refused = writePair(place, name, content.key, chain.value.pem)
  if (refused) return refused
  const fingerprint = pairFingerprint(content.key)
  const data = { kind: 'pkcs12', name, ...keyView(content.key), fingerprint }
  const notes = [...chain.value.notes, ...shortKeyNotes(content.key)]
  return { ok: true, value: { data: { ...data, objects: countObjects(chain.value.pem) }, notes } }
}

function shortKeyNotes(key: KeyObject): string[] {
  const rsa = readRsaKey(spkiOf(key))
  const bits = rsa && rsa !== 'malformed' ? rsa.modulusBits : 2048
  return bits < 2048 ? [`the RSA key has ${bits} bits, which needs legacy-crypto permit`] : []
}

/** Both files or none: a key that was written first goes when the certificate cannot be written. */
function writePair(place: Place, name: string, key: KeyObject, pem: string): Refusal | null {
  const paths = storePaths(place.store, name)
  const known = place.files.exists(paths.privateKey) ? loadKeyPair(place, name) : null
  if (known && !known.ok) return known
  if (known && pairFingerprint(known.value) !== pairFingerprint(key))
    return refuse('store-exists', paths.privateKey)
  const refused = known ? null : writeKey(place, paths.privateKey, key)
  if (refused) return refused
  const failed = attempt(paths.certificate, () => place.files.write(paths.certificate, utf8(pem)))
  if (failed && !known) attempt(paths.privateKey, () => place.files.remove(paths.privateKey))
  return failed
}

/** `delete (trust|certificate|crl|keypair) NAME` */
export function remove(place: Place, kind: DeleteKind, name: string): Result<Done> {
  const fault = nameFault(name)
  if (fault) return fault
  const { files } = place
  const paths = storePaths(place.store, name)
  const candidates = {
    trust: [paths.trust],
    certificate: [paths.certificate],
    crl: [paths.crl, paths.crlDer],
    keypair: [paths.privateKey],
  }[kind].filter((path) => files.exists(path))
  if (candidates.length === 0)
    return refuse('store-missing', `${kind} ${name}`, paths[kind === 'keypair' ? 'privateKey' : kind])
  for (const path of candidates) {
    const refused = attempt(path, () => files.remove(path))
    if (refused) return refused
  }
  return { ok: true, value: { data: { kind, name, files: candidates }, notes: [] } }
}
