/**
 * AES-CBC vectors of NIST: CAVP response files (known answers, multi-block, Monte Carlo) and the worked
 * examples of SP 800-38A. Every block goes through the WASM kernels.
 */
import { type CipherCase, compared, kernelBench, runCiphers } from './kernel-cases.ts'
import type { VectorKind, VectorResult } from './kind.ts'
import { bytesOf, field, hexBytes, parseRsp, type RspRecord } from './rsp.ts'

const directions = { ENCRYPT: 'encrypt', DECRYPT: 'decrypt' } as const
type Direction = (typeof directions)[keyof typeof directions]

/** Known-answer and multi-block files, and Monte Carlo files. */
export const nistAesCbc: VectorKind = {
  name: 'nist-aes-cbc',
  matches: (path, content) => path.endsWith('.rsp') && /^# AESVS .* test data for CBC\b/m.test(content),
  run: function* (_path, content) {
    const records = parseRsp(content)
    const monteCarlo = /^# AESVS MCT /m.test(content)
    for (const [section, direction] of Object.entries(directions)) {
      const own = records.filter((record) => record.section === section)
      if (own.length === 0) throw new Error(`no records in [${section}]`)
      yield* monteCarlo ? own.map((record) => runMonteCarlo(direction, record)) : runKnown(direction, own)
    }
  },
}

const names = { encrypt: ['PLAINTEXT', 'CIPHERTEXT'], decrypt: ['CIPHERTEXT', 'PLAINTEXT'] } as const

function idOf(direction: Direction, record: RspRecord): string {
  return `${direction} ${field(record, 'COUNT')}`
}

/** Known answers: one message each. */
function runKnown(direction: Direction, records: readonly RspRecord[]): VectorResult[] {
  const [input, output] = names[direction]
  const cases: CipherCase[] = records.map((record) => ({
    id: idOf(direction, record),
    message: { key: bytesOf(record, 'KEY'), iv: bytesOf(record, 'IV'), data: bytesOf(record, input) },
    expected: bytesOf(record, output),
  }))
  return runCiphers(direction, cases)
}

/**
 * One outer step of the Monte Carlo test (AESAVS §6.4.2): 1,000 blocks, each CBC-chained to the one before;
 * the input of a block is the output of the last but one, the first two being the given input and the IV.
 * The records hold the start of every outer step, so each can be run on its own.
 */
function runMonteCarlo(direction: Direction, record: RspRecord): VectorResult {
  const [input, output] = names[direction]
  const [key, iv, data] = ['KEY', 'IV', input].map((name) => bytesOf(record, name))
  const bench = kernelBench()
  bench.clear()
  const placed = bench.cipherJobs([{ key, iv, data }])
  const { kernels, bytes, scratch } = bench
  const kernel = direction === 'encrypt' ? kernels.aesCbcEncrypt : kernels.aesCbcDecrypt
  const at = placed.data[0]
  const [chain, block] = [bytes.subarray(at - 16, at), bytes.subarray(at, at + 16)]
  let beforeLast = iv
  for (let j = 0; j < 1000; j++) {
    const given = block.slice()
    kernel(placed.jobs, 1, key.length / 4 + 6, scratch)
    const result = block.slice()
    if (j === 999) return compared(idOf(direction, record), result, bytesOf(record, output))
    chain.set(direction === 'encrypt' ? result : given)
    block.set(beforeLast)
    beforeLast = result
  }
  throw new Error('unreachable')
}

/** The worked examples of SP 800-38A (nist-examples/AES_CBC.txt). */
export const nistAesExamples: VectorKind = {
  name: 'nist-aes-examples',
  matches: (path, content) => path.endsWith('.txt') && /^CBC-AES\d+ \(Encryption\)/m.test(content),
  run: function* (_path, content) {
    const [preamble, ...sections] = content.split(/^(?=CBC-AES\d+ \((?:En|De)cryption\))/m)
    const iv = exampleValue(preamble, 'IV')
    for (const section of sections) {
      const [title, way] = /^CBC-AES\d+ \((Encryption|Decryption)\)/.exec(section)!
      const [direction, input, output] =
        way === 'Encryption'
          ? (['encrypt', 'Plaintext', 'Ciphertext'] as const)
          : (['decrypt', 'Ciphertext', 'Plaintext'] as const)
      const message = { key: exampleValue(section, 'Key'), iv, data: exampleValue(section, input) }
      yield* runCiphers(direction, [{ id: title, message, expected: exampleValue(section, output) }])
    }
  },
}

/** The bytes below a line `NAME is`, up to the first line that is neither hex words, blank nor a rule. */
function exampleValue(section: string, name: string): Uint8Array {
  const lines = section.split(/\r?\n/)
  const start = lines.findIndex((line) => line.trim() === `${name} is`)
  if (start < 0) throw new Error(`example without "${name} is"`)
  let hex = ''
  for (const line of lines.slice(start + 1)) {
    if (/^\s*$|^-+$/.test(line)) continue
    if (!/^([0-9A-F]{8}\s*)+$/.test(line)) break
    hex += line.replace(/\s/g, '')
  }
  return hexBytes(hex)
}
