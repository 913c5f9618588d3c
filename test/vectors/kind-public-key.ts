/** ECDH and RSA vectors of NIST CAVP and Wycheproof, through the jobs that the engine uses. */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { runCryptoJob } from '../../control/crypto/jobs.ts'
import type { DhGroup, SignatureHash } from '../../control/ports.ts'
import { concat } from '../../control/wire/bytes.ts'
import { derBits, derNull, derOid, derSequence, derUnsigned } from '../../control/wire/der.ts'
import { sameBytes, sameVerdict } from './compare.ts'
import type { VectorKind, VectorResult } from './kind.ts'
import { deriveChecked } from './kind-ike.ts'
import { parsePrivateRsa } from './rsa-private.ts'
import { bytesOf, field, hexBytes, parseRsp } from './rsp.ts'

const curves: Record<string, DhGroup> = { 'P-256': 19, 'P-384': 20, 'P-521': 21 }
const fieldBytes: Record<string, number> = { 'P-256': 32, 'P-384': 48, 'P-521': 66 }

/** Coordinates and scalars without the leading zeros, or with more of them, than the field has bytes. */
function fit(bytes: Uint8Array, length: number): Uint8Array {
  const fitted = new Uint8Array(length)
  const kept = bytes.subarray(Math.max(0, bytes.length - length))
  fitted.set(kept, length - kept.length)
  return fitted
}

/** KAS_ECC_CDH: ZIUT is the x coordinate that both sides share; QIUT is our public value. */
export const nistEcdh: VectorKind = {
  name: 'nist-ecdh',
  matches: (_path, content) => /^QCAVSx = /m.test(content) && /^ZIUT = /m.test(content),
  run: (_path, content) =>
    parseRsp(content).map((record): VectorResult => {
      const { section } = record
      const id = `${section} ${field(record, 'COUNT')}`
      const group = curves[section]
      if (!group) return { id, outcome: 'not-built', note: section }
      const point = (name: string) =>
        concat(...['X', 'Y'].map((axis) => fit(bytesOf(record, name + axis), fieldBytes[section])))
      const secret = deriveChecked(group, fit(bytesOf(record, 'DIUT'), fieldBytes[section]), point('QCAVS'))
      return sameBytes(id, field(record, 'ZIUT'), secret)
    }),
}

type RsaCase = {
  mod: number
  n: string
  e: string
  d?: string
  sha: string
  msg: string
  sig: string
  result?: 'P' | 'F'
}

const signatureHashes: Record<string, SignatureHash> = {
  SHA1: 'sha1',
  SHA256: 'sha256',
  SHA384: 'sha384',
  SHA512: 'sha512',
  'SHA-256': 'sha256',
  'SHA-384': 'sha384',
  'SHA-512': 'sha512',
}

/** Values of the file may have lost a leading zero digit. */
const number = (text: string): Uint8Array => hexBytes(text.length % 2 === 0 ? text : `0${text}`)

function rsaSpki(n: string, e: string): Uint8Array {
  const key = derSequence(derUnsigned(number(n)), derUnsigned(number(e)))
  return derSequence(derSequence(derOid('1.2.840.113549.1.1.1'), derNull()), derBits(key))
}

/** Verdict of the verify job; a refused key or signature is false. */
function isVerified(spki: Uint8Array, hash: SignatureHash, data: Uint8Array, signature: Uint8Array): boolean {
  const result = runCryptoJob({
    kind: 'verify',
    spki,
    algorithm: { key: 'rsa-pkcs1', hash },
    data,
    signature,
  })
  return result.kind === 'verify' && result.valid
}

/** Signs as IKE does; PKCS #1 v1.5 is deterministic, so the signature must be the file's. */
function signed(key: KeyObject, hash: SignatureHash, data: Uint8Array): Uint8Array | null {
  const result = runCryptoJob({ kind: 'sign', key, algorithm: { key: 'rsa-pkcs1', hash }, data })
  return result.kind === 'sign' ? result.signature : null
}

/** SigVer15 (result P or F) and SigGen15 (n, e, d: sign and verify). */
export const nistRsa: VectorKind = {
  name: 'nist-rsa-pkcs1',
  matches: (path, content) => path.endsWith('.json') && /186-3rsatestvectors/.test(content),
  run: function* (_path, content) {
    const keys = new Map<string, KeyObject>()
    for (const [index, one] of (JSON.parse(content) as { tests: RsaCase[] }).tests.entries()) {
      const hash = signatureHashes[one.sha]
      const id = `${index} RSA-${one.mod} ${one.sha}`
      const [data, signature] = [number(one.msg), number(one.sig)]
      const isGood = isVerified(rsaSpki(one.n, one.e), hash, data, signature)
      yield sameVerdict(`${id} verify`, one.result !== 'F', isGood)
      if (one.d === undefined) continue
      const key =
        keys.get(one.n) ??
        createPrivateKey({ key: parsePrivateRsa(one.n, one.e, one.d), format: 'der', type: 'pkcs1' })
      keys.set(one.n, key)
      yield sameBytes(`${id} sign`, one.sig, signed(key, hash, data))
    }
  },
}

type Case = { tcId: number; flags: string[]; result: 'valid' | 'invalid' | 'acceptable' }
type Group<T> = { publicKeyDer?: string; sha?: string; tests: (Case & T)[] }
type Wycheproof<T> = { testGroups: Group<T>[] }
type DhCase = { public: string; private: string; shared: string }

/** Acceptable cases may end either way, but a secret that comes out must be right, and an all-zero one must not. */
function runX25519(one: Case & DhCase): VectorResult {
  const id = `tcId ${one.tcId}`
  const secret = deriveChecked(31, hexBytes(one.private), hexBytes(one.public))
  if (one.flags.includes('ZeroSharedSecret'))
    return sameVerdict(`${id} (acceptable: refused)`, false, secret !== null)
  return sameBytes(one.result === 'acceptable' ? `${id} (acceptable: computed)` : id, one.shared, secret)
}

export const wycheproofX25519: VectorKind = {
  name: 'wycheproof-x25519',
  matches: (path, content) => path.endsWith('.json') && /"curve": ?"curve25519"/.test(content),
  run: (_path, content) =>
    (JSON.parse(content) as Wycheproof<DhCase>).testGroups.flatMap(({ tests }) => tests.map(runX25519)),
}

/** IKE carries x | y: an uncompressed point loses its first byte, anything else goes in as it is and must be refused. */
function runEcpoint(one: Case & DhCase): VectorResult {
  const id = `tcId ${one.tcId}`
  const point = hexBytes(one.public)
  const isUncompressed = point.length === 65 && point[0] === 4
  const secret = deriveChecked(19, fit(hexBytes(one.private), 32), isUncompressed ? point.subarray(1) : point)
  return one.result === 'valid' ? sameBytes(id, one.shared, secret) : sameVerdict(id, false, secret !== null)
}

export const wycheproofEcdh: VectorKind = {
  name: 'wycheproof-ecdh-p256',
  matches: (path, content) =>
    path.endsWith('.json') && /"ecdh_ecpoint_test_schema/.test(content) && /"secp256r1"/.test(content),
  run: (_path, content) =>
    (JSON.parse(content) as Wycheproof<DhCase>).testGroups.flatMap(({ tests }) => tests.map(runEcpoint)),
}

export const wycheproofRsa: VectorKind = {
  name: 'wycheproof-rsa-pkcs1',
  matches: (path, content) => path.endsWith('.json') && /"algorithm": ?"RSASSA-PKCS1-v1_5"/.test(content),
  run: (_path, content) =>
    (JSON.parse(content) as Wycheproof<{ msg: string; sig: string }>).testGroups.flatMap((group) =>
      group.tests.map(({ tcId, flags, msg, sig, result }) => {
        const hash = signatureHashes[group.sha!]
        const isGood = isVerified(hexBytes(group.publicKeyDer!), hash, hexBytes(msg), hexBytes(sig))
        return sameVerdict(`tcId ${tcId}`, result === 'valid', isGood, flags.join(', '))
      }),
    ),
}
