/** HMAC vectors: RFC 2202, 4231 and 4868, NIST CAVP, Wycheproof, all through the WASM kernels. */
import type { HashName } from '../kernel-jobs.ts'
import { type HashCase, runHashes } from './kernel-cases.ts'
import type { VectorKind, VectorResult } from './kind.ts'
import { bytesOf, field, hexBytes, parseRsp } from './rsp.ts'

/** A case with the name of its hash as the file spells it, e.g. `SHA256`. */
type NamedCase = HashCase & { hash: string }

const built: ReadonlyMap<string, HashName> = new Map([
  ['MD5', 'md5'],
  ['SHA1', 'sha1'],
  ['SHA256', 'sha256'],
  ['SHA384', 'sha384'],
  ['SHA512', 'sha512'],
])

/** Runs the cases of each hash in one call, and says of the others that they are not built. */
function* runCases(cases: readonly NamedCase[]): Iterable<VectorResult> {
  for (const [hash, group] of Map.groupBy(cases, (one) => one.hash)) {
    const kernel = built.get(hash)
    if (kernel) yield* runHashes(kernel, group)
    else {
      const note = `hmac-${hash.toLowerCase()}`
      yield* group.map(({ id }): VectorResult => ({ id, outcome: 'not-built', note }))
    }
  }
}

type RfcFile = {
  tests: { name: string; alg: string; key: string; data: string; mac: string; truncated: string }[]
}

/** hmac/rfc-hmac.json: every case twice, with the whole digest and with the truncation that IPsec uses. */
export const rfcHmac: VectorKind = {
  name: 'rfc-hmac',
  matches: (path, content) =>
    path.endsWith('.json') && /"alg": "HMAC-/.test(content) && /"truncated_bits"/.test(content),
  run: (_path, content) => {
    const { tests } = JSON.parse(content) as RfcFile
    return runCases(
      tests.flatMap(({ name, alg, key, data, mac, truncated }) =>
        [mac, truncated].map((tag) => ({
          id: `${name}, ${tag.length * 4} bits`,
          hash: alg.replace(/^HMAC-/, ''),
          message: { key: hexBytes(key), data: hexBytes(data), icvBytes: tag.length / 2 },
          expected: hexBytes(tag),
          valid: true,
        })),
      ),
    )
  },
}

const hashOfDigest = new Map([
  ['20', 'SHA1'],
  ['28', 'SHA224'],
  ['32', 'SHA256'],
  ['48', 'SHA384'],
  ['64', 'SHA512'],
])

/** NIST CAVP HMAC.rsp: keys of any length, tags from 10 bytes up. */
export const nistHmac: VectorKind = {
  name: 'nist-hmac',
  matches: (path, content) =>
    path.endsWith('.rsp') && /^\[L=\d+\]/m.test(content) && /^Mac = /m.test(content),
  run: (_path, content) =>
    runCases(
      parseRsp(content).map((record) => {
        const length = record.section.replace(/^L=/, '')
        const hash = hashOfDigest.get(length)
        if (!hash) throw new Error(`unknown digest length ${length}`)
        const tag = bytesOf(record, 'MAC')
        return {
          id: `L=${length} ${field(record, 'COUNT')}`,
          hash,
          message: { key: bytesOf(record, 'KEY'), data: bytesOf(record, 'MSG'), icvBytes: tag.length },
          expected: tag,
          valid: true,
        }
      }),
    ),
}

type WycheproofFile = {
  algorithm: string
  testGroups: {
    tagSize: number
    tests: { tcId: number; key: string; msg: string; tag: string; result: string }[]
  }[]
}

/** wycheproof/hmac_*_test.json: valid tags must come out, invalid ones must not. */
export const wycheproofHmac: VectorKind = {
  name: 'wycheproof-hmac',
  matches: (path, content) => path.endsWith('.json') && /"algorithm": ?"HMACSHA\d+"/.test(content),
  run: (_path, content) => {
    const { algorithm, testGroups } = JSON.parse(content) as WycheproofFile
    return runCases(
      testGroups.flatMap(({ tagSize, tests }) =>
        tests.map(({ tcId, key, msg, tag, result }) => ({
          id: `tcId ${tcId}`,
          hash: algorithm.replace(/^HMAC/, ''),
          message: { key: hexBytes(key), data: hexBytes(msg), icvBytes: tagSize / 8 },
          expected: hexBytes(tag),
          valid: result === 'valid',
        })),
      ),
    )
  },
}
