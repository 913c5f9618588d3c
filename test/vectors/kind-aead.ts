/**
 * AES-GCM and ChaCha20-Poly1305 vectors: Wycheproof, NIST CAVP, the worked examples of SP 800-38D. Valid ones
 * are opened and sealed, invalid ones must be refused and leave their data as it is. The kernels take nonces of
 * 12 bytes and tags of 16 only, which is what ESP has (RFC 4106 §4, §6; RFC 7634 §2).
 */
import type { AeadMessage, AeadName } from '../kernel-jobs.ts'
import { compared, kernelBench } from './kernel-cases.ts'
import type { VectorKind, VectorResult } from './kind.ts'
import { bytesOf, field, hexBytes, hexText, parseRsp } from './rsp.ts'

/** `plain` undefined: the ciphertext must be refused. */
type AeadCase = {
  id: string
  key: Uint8Array
  nonce: Uint8Array
  aad: Uint8Array
  plain?: Uint8Array
  ciphertext: Uint8Array
  tag: Uint8Array
}

const NONCE_BYTES = 12
const TAG_BYTES = 16

/** Runs the cases; those of one key length share their lanes. The results stand in the order of the cases. */
function runAeads(algorithm: AeadName, cases: readonly AeadCase[]): VectorResult[] {
  const results = new Map<AeadCase, VectorResult>()
  const fitting = cases.filter((one) => one.nonce.length === NONCE_BYTES)
  for (const group of Map.groupBy(fitting, ({ key }) => key.length).values()) {
    const whole = group.filter(({ tag }) => tag.length === TAG_BYTES)
    const opened = run(algorithm, 'open', whole, ({ ciphertext, tag }) => ({ data: ciphertext, tag }))
    whole.forEach((one, i) => {
      results.set(one, judgeOpened(one, opened[i]))
    })
    const short = group.filter(({ tag }) => tag.length !== TAG_BYTES)
    for (const [one, result] of runTruncated(algorithm, short)) results.set(one, result)
    const valid = group.filter(({ plain }) => plain !== undefined)
    const sealed = run(algorithm, 'seal', valid, ({ plain }) => ({ data: plain! }))
    valid.forEach((one, i) => {
      if (results.get(one)!.outcome === 'passed') results.set(one, judgeSealed(one, sealed[i]))
    })
  }
  return cases.map((one) => results.get(one) ?? otherNonce(algorithm, one))
}

/** Runs a kernel over cases of one key length. */
function run(
  algorithm: AeadName,
  direction: 'seal' | 'open',
  cases: readonly AeadCase[],
  content: (one: AeadCase) => Pick<AeadMessage, 'data' | 'tag'>,
) {
  if (cases.length === 0) return []
  const bench = kernelBench()
  bench.clear()
  return bench.aead(
    algorithm,
    direction,
    cases.map((one) => ({ key: one.key, nonce: one.nonce, aad: one.aad, ...content(one) })),
  )
}

function judgeOpened(one: AeadCase, { data, ok }: { data: Uint8Array; ok: boolean }): VectorResult {
  const { id, plain, ciphertext } = one
  if (ok !== (plain !== undefined)) {
    return { id, outcome: 'failed', note: ok ? 'an invalid tag was accepted' : 'a valid tag was refused' }
  }
  return compared(id, data, plain ?? ciphertext)
}

function judgeSealed(one: AeadCase, { data, tag }: { data: Uint8Array; tag: Uint8Array }): VectorResult {
  const expected = Buffer.concat([one.ciphertext, one.tag])
  return compared(one.id, Buffer.concat([data, tag.subarray(0, one.tag.length)]), expected)
}

/**
 * Truncated tags, which the kernels do not verify: the tag that belongs to the ciphertext is made by sealing
 * what it decrypts to (sealing twice gives back the text), and must begin as the case says, or not so.
 */
function runTruncated(algorithm: AeadName, cases: readonly AeadCase[]): [AeadCase, VectorResult][] {
  const plains = run(algorithm, 'seal', cases, ({ ciphertext }) => ({ data: ciphertext }))
  const plainOf = new Map(cases.map((one, i) => [one, plains[i].data]))
  const tags = run(algorithm, 'seal', cases, (one) => ({ data: plainOf.get(one)! }))
  return cases.map((one, i) => {
    const { id, plain, tag } = one
    const equal = hexText(tags[i].tag.subarray(0, tag.length)) === hexText(tag)
    if (equal === (plain !== undefined)) return [one, { id, outcome: 'passed' }]
    return [one, { id, outcome: 'failed', note: equal ? 'an invalid tag fits' : 'a valid tag does not fit' }]
  })
}

function otherNonce(algorithm: AeadName, { id, nonce }: AeadCase): VectorResult {
  const note = `${algorithm} with a nonce of ${nonce.length * 8} bits (ESP has 96)`
  return { id, outcome: 'not-built', note }
}

type WycheproofTest = {
  tcId: number
  key: string
  iv: string
  aad: string
  msg: string
  ct: string
  tag: string
  result: string
}
type WycheproofFile = { testGroups: { tests: WycheproofTest[] }[] }

const algorithms = { 'AES-GCM': 'aes-gcm', 'CHACHA20-POLY1305': 'chacha20-poly1305' } as const
const wycheproofAlgorithm = /"algorithm": ?"(AES-GCM|CHACHA20-POLY1305)"/

/** wycheproof/aes_gcm_test.json and chacha20_poly1305_test.json. */
export const wycheproofAead: VectorKind = {
  name: 'wycheproof-aead',
  matches: (path, content) => path.endsWith('.json') && wycheproofAlgorithm.test(content),
  run: (_path, content) => {
    const algorithm = algorithms[wycheproofAlgorithm.exec(content)![1] as keyof typeof algorithms]
    const { testGroups } = JSON.parse(content) as WycheproofFile
    return runAeads(
      algorithm,
      testGroups.flatMap(({ tests }) =>
        tests.map(({ tcId, key, iv, aad, msg, ct, tag, result }) => ({
          id: `tcId ${tcId}`,
          key: hexBytes(key),
          nonce: hexBytes(iv),
          aad: hexBytes(aad),
          plain: result === 'valid' ? hexBytes(msg) : undefined,
          ciphertext: hexBytes(ct),
          tag: hexBytes(tag),
        })),
      ),
    )
  },
}

/** NIST CAVP gcmDecrypt*.rsp; a record without PT says FAIL. */
export const nistGcm: VectorKind = {
  name: 'nist-gcm',
  matches: (path, content) => path.endsWith('.rsp') && /^\[AADlen = /m.test(content),
  run: (_path, content) =>
    runAeads(
      'aes-gcm',
      parseRsp(content).map((record, i) => ({
        id: `record ${i + 1}, count ${field(record, 'COUNT')}`,
        key: bytesOf(record, 'KEY'),
        nonce: bytesOf(record, 'IV'),
        aad: bytesOf(record, 'AAD'),
        plain: record.fields.has('PT') ? bytesOf(record, 'PT') : undefined,
        ciphertext: bytesOf(record, 'CT'),
        tag: bytesOf(record, 'TAG'),
      })),
    ),
}

/** The worked examples of GCM (nist-examples/AES_GCM.txt). */
export const nistGcmExamples: VectorKind = {
  name: 'nist-gcm-examples',
  matches: (path, content) => path.endsWith('.txt') && /^GCM-AES128/m.test(content),
  run: (_path, content) =>
    runAeads(
      'aes-gcm',
      content.split(/^(?=GCM-AES\d+)/m).flatMap((part) => {
        const cipher = /^GCM-AES\d+/.exec(part)?.[0]
        if (!cipher) return []
        return part.split(/^(?=Example #\d+)/m).flatMap((section) => {
          const title = /^Example #\d+/.exec(section)?.[0]
          return title ? [exampleCase(`${cipher} ${title}`, section)] : []
        })
      }),
    ),
}

function exampleCase(id: string, section: string): AeadCase {
  const [key, nonce, aad, plain, ciphertext, tag] = ['K', 'IV', 'A', 'P', 'C', 'Tag'].map((name) =>
    exampleValue(section, name),
  )
  return { id, key, nonce, aad, plain, ciphertext, tag }
}

/** The bytes below the first line `NAME is`, up to the first line that is neither hex words, blank nor a rule. */
function exampleValue(section: string, name: string): Uint8Array {
  const lines = section.split(/\r?\n/)
  const start = lines.findIndex((line) => line.trim() === `${name} is`)
  if (start < 0) throw new Error(`example without "${name} is"`)
  let hex = ''
  for (const line of lines.slice(start + 1)) {
    if (/^\s*$|^-+$/.test(line)) continue
    if (!/^([0-9A-F]{2})+(\s+([0-9A-F]{2})+)*\s*$/.test(line)) break
    hex += line.replace(/\s/g, '')
  }
  return hexBytes(hex)
}
