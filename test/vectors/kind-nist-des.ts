/**
 * 3DES vectors of NIST: CAVP response files (known answers, multi-block, Monte Carlo; ECB and CBC) and the
 * worked example of SP 800-38A. Every block goes through the WASM kernels. Where the three keys are equal the
 * case is one of single DES too and runs through those kernels as well.
 */
import { desKernel, placeDesJobs, runDes } from '../des-jobs.ts'
import type { CipherMessage } from '../kernel-jobs.ts'
import { compared, kernelBench } from './kernel-cases.ts'
import type { VectorKind, VectorResult } from './kind.ts'
import { bytesOf, field, hexBytes, hexText, parseRsp, type RspRecord } from './rsp.ts'

const directions = { ENCRYPT: 'encrypt', DECRYPT: 'decrypt' } as const
type Direction = (typeof directions)[keyof typeof directions]
const names = { encrypt: ['PLAINTEXT', 'CIPHERTEXT'], decrypt: ['CIPHERTEXT', 'PLAINTEXT'] } as const

type DesCase = { id: string; message: CipherMessage; expected: Uint8Array }

/** Response files of TDES in ECB or CBC mode. */
export const nistDes: VectorKind = {
  name: 'nist-tdes',
  matches: (path, content) => path.endsWith('.rsp') && /^# Config Info for : "tdes_values"/m.test(content),
  run: function* (_path, content) {
    const mode = /^# .* for (CBC|ECB)\s*$/m.exec(content)?.[1]
    if (mode === undefined) throw new Error('a TDES file of another mode than ECB and CBC')
    const records = parseRsp(content)
    const monteCarlo = /^# TDES Monte Carlo/m.test(content)
    if (monteCarlo && mode === 'ECB') throw new Error('the Monte Carlo test of ECB is not known here')
    for (const [section, direction] of Object.entries(directions)) {
      const own = records.filter((record) => record.section === section)
      if (own.length === 0) throw new Error(`no records in [${section}]`)
      yield* monteCarlo
        ? runMonteCarlo(direction, own)
        : runCases(
            direction,
            own.flatMap((record) => knownAnswers(direction, record, mode)),
          )
    }
  },
}

/** The three keys of a record, 24 bytes. */
function keysOf(record: RspRecord): Uint8Array {
  const parts = record.fields.has('KEYS') ? ['KEYS', 'KEYS', 'KEYS'] : ['KEY1', 'KEY2', 'KEY3']
  return Buffer.concat(parts.map((name) => bytesOf(record, name)))
}

/** The key as it is, and as a single one if all three are equal. */
function keyForms(key: Uint8Array): [suffix: string, key: Uint8Array][] {
  const parts = [0, 8, 16].map((at) => hexText(key.subarray(at, at + 8)))
  const forms: [string, Uint8Array][] = [['', key]]
  if (parts.every((part) => part === parts[0])) forms.push([', single DES', key.subarray(0, 8)])
  return forms
}

/** The cases of one record: ECB is CBC of single blocks with an IV of zeros. */
function knownAnswers(direction: Direction, record: RspRecord, mode: string): DesCase[] {
  const [input, output] = names[direction].map((name) => bytesOf(record, name))
  const iv = mode === 'CBC' ? bytesOf(record, 'IV') : new Uint8Array(8)
  if (mode === 'ECB' && input.length !== 8) throw new Error('an ECB case of more than one block')
  return keyForms(keysOf(record)).map(([suffix, key]) => ({
    id: `${direction} ${field(record, 'COUNT')}${suffix}`,
    message: { key, iv, data: input },
    expected: output,
  }))
}

/** Runs cases, those of one key length in one call; the results stand in the order of the cases. */
function runCases(direction: Direction, cases: readonly DesCase[]): VectorResult[] {
  const results = new Map<DesCase, VectorResult>()
  for (const group of Map.groupBy(cases, ({ message }) => message.key.length).values()) {
    const messages = group.map(({ message }) => message)
    const outputs = runDes(kernelBench(), direction, messages)
    group.forEach((one, i) => {
      results.set(one, compared(one.id, outputs[i], one.expected))
    })
  }
  return cases.map((one) => results.get(one)!)
}

/**
 * The outer steps of a Monte Carlo test (SP 800-20 §5.1.5): 10,000 blocks each, every one CBC-chained to the one
 * before. In encryption the input of a block is the chaining value of the last one, in decryption the last
 * output. The records hold the start of every outer step, so all of them run side by side.
 */
function runMonteCarlo(direction: Direction, records: readonly RspRecord[]): VectorResult[] {
  const cases = records.flatMap((record) => knownAnswers(direction, record, 'CBC'))
  const results = new Map<DesCase, VectorResult>()
  for (const group of Map.groupBy(cases, ({ message }) => message.key.length).values()) {
    const outputs = chained(
      direction,
      group.map(({ message }) => message),
      10_000,
    )
    group.forEach((one, i) => {
      results.set(one, compared(one.id, outputs[i], one.expected))
    })
  }
  return cases.map((one) => results.get(one)!)
}

/** The outputs of the last of `steps` blocks, for messages of one block. */
function chained(direction: Direction, messages: readonly CipherMessage[], steps: number): Uint8Array[] {
  const bench = kernelBench()
  bench.clear()
  const { jobs, data, scratch } = placeDesJobs(bench, messages)
  const kernel = desKernel(bench, direction, messages[0].key.length)
  const pairs = data.map((at) => ({
    chain: new Int32Array(bench.bytes.buffer, at - 8, 2),
    block: new Int32Array(bench.bytes.buffer, at, 2),
  }))
  const before = new Int32Array(2 * messages.length)
  const remember = (what: 'chain' | 'block') => {
    pairs.forEach((pair, i) => {
      before.set(pair[what], 2 * i)
    })
  }
  for (let step = 1; step < steps; step++) {
    remember(direction === 'encrypt' ? 'chain' : 'block')
    kernel(jobs, messages.length, scratch)
    pairs.forEach(({ chain, block }, i) => {
      if (direction === 'encrypt') chain.set(block)
      const next = direction === 'encrypt' ? block : chain
      next[0] = before[2 * i]
      next[1] = before[2 * i + 1]
    })
  }
  kernel(jobs, messages.length, scratch)
  return data.map((at) => bench.bytes.slice(at, at + 8))
}

/** The worked example of SP 800-38A (nist-examples/TDES_CBC.txt). */
export const nistDesExamples: VectorKind = {
  name: 'nist-tdes-examples',
  matches: (path, content) => path.endsWith('.txt') && /^CBC-TDES \(Encryption\)/m.test(content),
  run: function* (_path, content) {
    const sections = content.split(/^(?=CBC-TDES \((?:En|De)cryption\))/m).slice(1)
    for (const [n, section] of sections.entries()) {
      const [title, way] = /^CBC-TDES \((Encryption|Decryption)\)/.exec(section)!
      const direction = way === 'Encryption' ? 'encrypt' : 'decrypt'
      const [input, output] = names[direction].map((name) => name[0] + name.slice(1).toLowerCase())
      const key = Buffer.concat(['Key1', 'Key2', 'Key3'].map((name) => exampleValue(section, name)))
      const message = { key, iv: exampleValue(section, 'IV'), data: exampleValue(section, input) }
      const id = `${title} ${n + 1}`
      yield* runCases(direction, [{ id, message, expected: exampleValue(section, output) }])
    }
  },
}

/** The bytes below a line `NAME is`: the lines of hex words that follow it. */
function exampleValue(section: string, name: string): Uint8Array {
  const lines = section.split(/\r?\n/).map((line) => line.trim())
  const start = lines.indexOf(`${name} is`) + 1
  if (start === 0) throw new Error(`example without "${name} is"`)
  const end = lines.findIndex((line, i) => i >= start && !/^([0-9A-F]{8}(\s+|$))+$/.test(line))
  return hexBytes(lines.slice(start, end).join('').replace(/\s/g, ''))
}
