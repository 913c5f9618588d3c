/**
 * Speed of the kernels against node:crypto per message, in one process and interleaved.
 *
 *   node --no-liftoff [--experimental-wasm-revectorize] bench/kernel-speed.ts [BYTES] [MESSAGES] [SECONDS] [NAME]
 *
 * Every repetition works on MESSAGES messages of BYTES bytes (default 128 of 1408), each under a key of its
 * own unless the line says "one key"; with NAME, only the kernels whose name matches it. BYTES may be `imix`: 64, 576 and 1408 bytes 7 : 4 : 1, shuffled. The figure is the best repetition: this says what the code can do, not
 * what a busy machine gives. Absolute figures move with the clock; compare ratios.
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto'
import { type AeadName, type HashName, KernelBench } from '../test/kernel-jobs.ts'
import type { Variant } from '../test/kernel-wasm.ts'

/** One line of the table: the kernel and node:crypto do the same work. */
type Contest = {
  name: string
  kernel: () => void
  reference: () => void
  /** Puts back what the kernel needs; not measured. */
  prepare?: () => void
}

const size = process.argv[2] ?? '1408'
const count = Number(process.argv[3] ?? 128)
const wide = process.execArgv.includes('--experimental-wasm-revectorize')
const seconds = Number(process.argv[4] ?? 4)

/** Lengths of the messages in bytes. */
const lengths = Array.from({ length: count }, (_, i) => {
  if (size !== 'imix') return Number(size)
  const place = (i * 5) % 12
  return place < 7 ? 64 : place < 11 ? 576 : 1408
})
const total = lengths.reduce((sum, length) => sum + length, 0)

/** AES-CBC over `count` messages in place; the ever-changing content does not matter. */
function cipherContest(keyBytes: number, direction: 'encrypt' | 'decrypt', oneKey: boolean): Contest {
  const bench = new KernelBench(undefined, wide)
  const shared = randomBytes(keyBytes)
  const messages = lengths.map((bytes) => ({
    key: oneKey ? shared : randomBytes(keyBytes),
    iv: randomBytes(16),
    data: randomBytes(bytes - (bytes % 16)),
  }))
  const { jobs } = bench.cipherJobs(messages)
  const { kernels, scratch } = bench
  const kernel = direction === 'encrypt' ? kernels.aesCbcEncrypt : kernels.aesCbcDecrypt
  const create = direction === 'encrypt' ? createCipheriv : createDecipheriv
  const name = `aes-${keyBytes * 8}-cbc`
  return {
    name: `${name} ${direction}${oneKey ? ', one key' : ''}`,
    kernel: () => kernel(jobs, count, keyBytes / 4 + 6, scratch),
    reference: () => {
      for (const { key, iv, data } of messages) {
        const cipher = create(name, key, iv).setAutoPadding(false)
        cipher.update(data)
        cipher.final()
      }
    },
  }
}

/** HMAC over `count` messages. */
function hashContest(hash: HashName, keyBytes: number, icvBytes: number): Contest {
  const bench = new KernelBench(undefined, wide)
  const messages = lengths.map((bytes) => ({
    key: randomBytes(keyBytes),
    data: randomBytes(bytes),
    icvBytes,
  }))
  const { jobs } = bench.hashJobs(hash, messages)
  return {
    name: `hmac-${hash}`,
    kernel: () => bench.runHmac(hash, jobs, count),
    reference: () => {
      for (const { key, data } of messages) createHmac(hash, key).update(data).digest()
    },
  }
}

/** An AEAD over `count` messages in place, each with 8 bytes of AAD as in ESP; open always finds valid tags. */
function aeadContest(
  algorithm: AeadName,
  keyBytes: number,
  direction: 'seal' | 'open',
  variant: Variant,
  oneKey: boolean,
): Contest {
  const bench = new KernelBench(variant, wide)
  const shared = randomBytes(keyBytes)
  const messages = lengths.map((bytes) => ({
    key: oneKey ? shared : randomBytes(keyBytes),
    nonce: randomBytes(12),
    aad: randomBytes(8),
    data: randomBytes(bytes),
  }))
  const { jobs, data } = bench.aeadJobs(algorithm, messages)
  const from = Math.min(...data)
  const run = (way: 'seal' | 'open') => bench.runAead(algorithm, way, jobs, count, keyBytes)
  run('seal')
  const sealed = bench.bytes.slice(from)
  const name = algorithm === 'aes-gcm' ? (`aes-${keyBytes * 8}-gcm` as 'aes-128-gcm') : algorithm
  const options = { authTagLength: 16 }
  const ciphertexts = messages.map(({ key, nonce, aad, data }) => {
    const cipher = createCipheriv(name as 'aes-128-gcm', key, nonce, options).setAAD(aad)
    return {
      key,
      nonce,
      aad,
      data: Buffer.concat([cipher.update(data), cipher.final()]),
      tag: cipher.getAuthTag(),
    }
  })
  const seal = () => {
    for (const { key, nonce, aad, data } of messages) {
      const cipher = createCipheriv(name as 'aes-128-gcm', key, nonce, options).setAAD(aad)
      cipher.update(data)
      cipher.final()
      cipher.getAuthTag()
    }
  }
  const open = () => {
    for (const { key, nonce, aad, data, tag } of ciphertexts) {
      const cipher = createDecipheriv(name as 'aes-128-gcm', key, nonce, options)
        .setAAD(aad)
        .setAuthTag(tag)
      cipher.update(data)
      cipher.final()
    }
  }
  return {
    name: [
      `${name} ${direction}`,
      ...(oneKey ? ['one key'] : []),
      ...(variant === 'relaxed' ? [variant] : []),
    ].join(', '),
    kernel: () => run(direction),
    reference: direction === 'seal' ? seal : open,
    prepare: direction === 'open' ? () => bench.bytes.set(sealed, from) : undefined,
  }
}

/** Best time of each function in ms, all of them in turn until the time is over. */
function interleave(work: { run: () => void; prepare?: () => void }[]): number[] {
  const best = work.map(() => Number.POSITIVE_INFINITY)
  for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
    work.forEach(({ run, prepare }, i) => {
      prepare?.()
      const start = performance.now()
      run()
      best[i] = Math.min(best[i], performance.now() - start)
    })
  }
  return best
}

const all = [
  cipherContest(16, 'encrypt', false),
  cipherContest(16, 'encrypt', true),
  cipherContest(16, 'decrypt', false),
  cipherContest(16, 'decrypt', true),
  cipherContest(32, 'encrypt', false),
  cipherContest(32, 'decrypt', false),
  ...(['plain', 'relaxed'] as const).flatMap((variant) => [
    aeadContest('aes-gcm', 16, 'seal', variant, true),
    aeadContest('aes-gcm', 16, 'seal', variant, false),
    aeadContest('aes-gcm', 16, 'open', variant, true),
    aeadContest('aes-gcm', 32, 'seal', variant, true),
    aeadContest('chacha20-poly1305', 32, 'seal', variant, true),
    aeadContest('chacha20-poly1305', 32, 'open', variant, true),
  ]),
  hashContest('md5', 16, 12),
  hashContest('sha1', 20, 12),
  hashContest('sha256', 32, 16),
  hashContest('sha384', 48, 24),
  hashContest('sha512', 64, 32),
]
const contests = all.filter(({ name }) => new RegExp(process.argv[5] ?? '').test(name))
const best = interleave(
  contests.flatMap(({ kernel, reference, prepare }) => [{ run: kernel, prepare }, { run: reference }]),
)
console.log(`${count} messages of ${size} bytes, best of ${seconds} s interleaved, Node ${process.version}`)
contests.forEach(({ name }, i) => {
  const [kernel, reference] = [0, 1].map((k) => total / best[2 * i + k] / 1000)
  const row = [
    name.padEnd(36),
    kernel.toFixed(0).padStart(6),
    'MB/s',
    reference.toFixed(0).padStart(6),
    'node:crypto',
  ]
  console.log(`${row.join(' ')}  ${(kernel / reference).toFixed(2)}x`)
})
