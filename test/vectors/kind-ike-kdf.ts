/** NIST CAVP SP 800-135: the key derivation of IKEv2 with nonces and secrets of many lengths. */
import { childKeymat, deriveIkeKeys, rekeySkeyseed, skeyseed } from '../../control/crypto/keys.ts'
import { type HashName, prfLength, prfPlus } from '../../control/crypto/suite.ts'
import { concat } from '../../control/wire/bytes.ts'
import { sameBytes } from './compare.ts'
import type { VectorKind, VectorResult } from './kind.ts'
import { hexBytes } from './rsp.ts'

type KdfRecord = { hash: string; fields: Map<string, string> }

/** Records with the hash of the bracketed lines above them; names hold blanks and signs, so parseRsp does not fit. */
function parseKdf(content: string): KdfRecord[] {
  const records: KdfRecord[] = []
  let hash = ''
  for (const line of content.split(/\r?\n/)) {
    hash = /^\[(SHA-\d+)\]/.exec(line)?.[1] ?? hash
    const pair = /^([^=]+?) = (\S*)\s*$/.exec(line)
    if (!pair) continue
    if (pair[1] === 'COUNT') records.push({ hash, fields: new Map() })
    records.at(-1)?.fields.set(pair[1], pair[2])
  }
  return records
}

const hashes: Record<string, HashName> = {
  'SHA-1': 'sha1',
  'SHA-256': 'sha256',
  'SHA-384': 'sha384',
  'SHA-512': 'sha512',
}

function textOf(record: KdfRecord, name: string): string {
  const value = record.fields.get(name)
  if (value === undefined) throw new Error(`record without ${name}`)
  return value
}

/** The first bytes of expected that `got` covers must be its own: key sets are shorter or longer than the file's stream. */
function samePrefix(id: string, expected: string, got: Uint8Array): VectorResult {
  const length = Math.min(expected.length / 2, got.length)
  return sameBytes(id, expected.slice(0, 2 * length), got.subarray(0, length))
}

/** KEYMAT through childKeymat, as long as AES-256 with SHA-512 makes it. */
function keymat(
  prf: HashName,
  skD: Uint8Array,
  ni: Uint8Array,
  nr: Uint8Array,
  sharedSecret: Uint8Array | null,
): Uint8Array {
  const keys = childKeymat({ prf, skD, ni, nr, sharedSecret, cipher: 'aes-256', integrity: 'sha512' })
  const sides = [keys.initiatorToResponder, keys.responderToInitiator]
  return concat(...sides.flatMap((side) => [side.encryptionKey, side.integrityKey]))
}

/** One record: SKEYSEED, the SK_* stream both raw and cut, Child SA streams, SKEYSEED of a rekey. */
function* runRecord(record: KdfRecord, index: number): Iterable<VectorResult> {
  const id = `${index} ${record.hash} COUNT ${textOf(record, 'COUNT')}`
  const prf = hashes[record.hash]
  if (!prf) {
    yield { id, outcome: 'not-built', note: `prf-${record.hash.toLowerCase()}` }
    return
  }
  const bytes = (name: string) => hexBytes(textOf(record, name))
  const [ni, nr, sharedSecret, fresh] = ['Ni', 'Nr', 'g^ir', 'g^ir (new)'].map(bytes)
  const [spiI, spiR] = ['SPIi', 'SPIr'].map((name) => BigInt(`0x${textOf(record, name)}`))
  const input = { prf, integrity: prf, cipher: 'aes-128', ni, nr, spiI, spiR, sharedSecret } as const
  const stream = textOf(record, 'DKM')
  const skD = hexBytes(stream).subarray(0, prfLength(prf))
  const seed = skeyseed(input)
  yield sameBytes(`${id} SKEYSEED`, textOf(record, 'SKEYSEED'), seed)
  const spis = hexBytes(textOf(record, 'SPIi') + textOf(record, 'SPIr'))
  yield sameBytes(`${id} DKM`, stream, prfPlus(prf, seed, concat(ni, nr, spis), stream.length / 2))
  const { d, ai, ar, ei, er, pi, pr } = deriveIkeKeys(input)
  yield samePrefix(`${id} SK_*`, stream, concat(d, ai, ar, ei, er, pi, pr))
  yield samePrefix(`${id} KEYMAT`, textOf(record, 'DKM(Child SA)'), keymat(prf, skD, ni, nr, null))
  yield samePrefix(
    `${id} KEYMAT with PFS`,
    textOf(record, 'DKM(Child SA D-H)'),
    keymat(prf, skD, ni, nr, fresh),
  )
  const rekeyed = rekeySkeyseed(prf, skD, { ...input, sharedSecret: fresh })
  yield sameBytes(`${id} rekey`, textOf(record, 'SKEYSEED(Rekey)'), rekeyed)
}

export const nistIkev2Kdf: VectorKind = {
  name: 'nist-ikev2-kdf',
  matches: (path, content) => path.endsWith('.rsp') && /^SKEYSEED\(Rekey\) = /m.test(content),
  run: function* (_path, content) {
    for (const [index, record] of parseKdf(content).entries()) yield* runRecord(record, index)
  },
}

/** IKEv1 derivations and exchanges: counted until IKEv1 is built. */
export const ikev1NotBuilt: VectorKind = {
  name: 'ikev1',
  matches: (path, content) =>
    (path.endsWith('.rsp') && /^SKEYID_d = /m.test(content)) ||
    (path.endsWith('.json') && /"skeyid_d":/i.test(content)),
  run: (path, content) => {
    const oneCase = path.endsWith('.rsp') ? /^COUNT = /gm : /"skeyid_d":/gi
    return [...content.matchAll(oneCase)].map(
      (_, index): VectorResult => ({ id: `case ${index + 1}`, outcome: 'not-built', note: 'ikev1' }),
    )
  },
}
