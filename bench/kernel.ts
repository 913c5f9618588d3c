// `bench kernel`: one algorithm over the messages of a burst, each under a key of its own, against node:crypto per
// message. Directions: encryption and hashing are "out", decryption is "in".

import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto'
import { joinsVectors, joinVectors } from '../bindings/wide-vectors.ts'
import { type HashName, hashes, KernelBench } from '../test/kernel-jobs.ts'
import { type Report, type Row, rowOf, type Selection } from './report.ts'
import { type Contest, hold } from './rounds.ts'
import { batchOf, lengthsOf, type Size } from './traffic.ts'

type Direction = 'out' | 'in'
type Kernel = {
  name: string
  directions: Direction[]
  contest: (direction: Direction, lengths: number[]) => Contest
}

const AES_KEY_BYTES = [16, 24, 32]
const HASH_KEY_BYTES: Record<string, number> = { md5: 16, sha1: 20, sha256: 32, sha384: 48, sha512: 64 }

const KERNELS: readonly Kernel[] = [
  ...AES_KEY_BYTES.map((keyBytes) => ({
    name: `aes-${keyBytes * 8}-cbc`,
    directions: ['out', 'in'] as Direction[],
    contest: (direction: Direction, lengths: number[]) => aesCbc(keyBytes, direction, lengths),
  })),
  ...(Object.keys(hashes) as HashName[]).map((hash) => ({
    name: `hmac-${hash}`,
    directions: ['out'] as Direction[],
    contest: (_: Direction, lengths: number[]) => hmac(hash, lengths),
  })),
]

export function benchKernels(selection: Selection, announce: (row: Row) => void): Report {
  const report: Report = { rows: [], left: [] }
  joinVectors()
  for (const kernel of KERNELS.filter(({ name }) => selection.suites(name))) {
    for (const direction of selection.directions.filter((each) => kernel.directions.includes(each))) {
      for (const size of selection.sizes) {
        const row = measure(kernel, direction, size, selection)
        report.rows.push(row)
        announce(row)
      }
    }
  }
  return report
}

function measure(kernel: Kernel, direction: Direction, size: Size, { pace }: Selection): Row {
  const lengths = lengthsOf(size, batchOf(size))
  return rowOf(kernel.name, direction, size, lengths, hold(kernel.contest(direction, lengths), pace))
}

/** In place over and over: the ever-changing content does not matter. Lengths are cut to whole blocks on both sides. */
function aesCbc(keyBytes: number, direction: Direction, lengths: number[]): Contest {
  const bench = new KernelBench(undefined, joinsVectors())
  const messages = lengths.map((bytes) => ({
    key: randomBytes(keyBytes),
    iv: randomBytes(16),
    data: randomBytes(bytes - (bytes % 16)),
  }))
  const { jobs } = bench.cipherJobs(messages)
  const { kernels, scratch } = bench
  const kernel = direction === 'out' ? kernels.aesCbcEncrypt : kernels.aesCbcDecrypt
  const create = direction === 'out' ? createCipheriv : createDecipheriv
  const name = `aes-${keyBytes * 8}-cbc`
  const reference = () => {
    for (const { key, iv, data } of messages) {
      const cipher = create(name, key, iv).setAutoPadding(false)
      cipher.update(data)
      cipher.final()
    }
  }
  const run = () => kernel(jobs, messages.length, keyBytes / 4 + 6, scratch)
  return { candidate: { run }, reference: { run: reference }, units: lengths.length }
}

function hmac(hash: HashName, lengths: number[]): Contest {
  const bench = new KernelBench(undefined, joinsVectors())
  const messages = lengths.map((bytes) => ({
    key: randomBytes(HASH_KEY_BYTES[hash]),
    data: randomBytes(bytes),
    icvBytes: 12,
  }))
  const { jobs } = bench.hashJobs(hash, messages)
  const reference = () => {
    for (const { key, data } of messages) createHmac(hash, key).update(data).digest()
  }
  const run = () => bench.runHmac(hash, jobs, messages.length)
  return { candidate: { run }, reference: { run: reference }, units: lengths.length }
}
