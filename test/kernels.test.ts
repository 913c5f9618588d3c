/** The WASM kernels against naive oracles and node:crypto: keys, lengths, lane mixes, and what may be written. */
import assert from 'node:assert/strict'
import { createCipheriv, createHash, createHmac, randomBytes, randomInt } from 'node:crypto'
import { suite, test } from 'node:test'
import { CIPHER_JOB_BYTES, HASH_JOB_BYTES } from '../dataplane-as/crypto/job.ts'
import {
  KERNEL_SCRATCH_BYTES,
  SCRATCH_AES_KEYS,
  SCRATCH_AES_WIPE_BYTES,
  SCRATCH_HASH_STATES,
} from '../dataplane-as/crypto/scratch.ts'
import { type CipherMessage, type HashMessage, type HashName, KernelBench } from './kernel-jobs.ts'
import { KERNEL_MEMORY_BYTES } from './kernel-wasm.ts'
import { cbc } from './oracle/aes.ts'
import { digest, hmac } from './oracle/hmac.ts'

const bench = new KernelBench()
const keySizes = [16, 24, 32]
const digestBytes = { md5: 16, sha1: 20, sha256: 32, sha384: 48, sha512: 64 }
const hashNames = Object.keys(digestBytes) as HashName[]

const cipherMessage = (keyBytes: number, blocks: number): CipherMessage => ({
  key: randomBytes(keyBytes),
  iv: randomBytes(16),
  data: randomBytes(16 * blocks),
})

/** AES-CBC of node:crypto without padding. */
function reference({ key, iv, data }: CipherMessage): Uint8Array {
  const cipher = createCipheriv(`aes-${key.length * 8}-cbc`, key, iv).setAutoPadding(false)
  return Buffer.concat([cipher.update(data), cipher.final()])
}

/** HMAC of node:crypto, truncated. */
function referenceMac(hash: HashName, { key, data, extra, icvBytes }: HashMessage): Uint8Array {
  return createHmac(hash, key)
    .update(data)
    .update(extra ?? '')
    .digest()
    .subarray(0, icvBytes)
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** Both directions give what `expected` says; messages are described in the failure. */
function assertCipher(messages: CipherMessage[], expected: Uint8Array[]): void {
  const about = messages.map(({ data }) => data.length / 16).join(',')
  bench.clear()
  const encrypted = bench.cipher('encrypt', messages)
  assert.deepEqual(encrypted.map(hex), expected.map(hex), `encrypt, blocks ${about}`)
  bench.clear()
  const decrypted = bench.cipher(
    'decrypt',
    messages.map((message, i) => ({ ...message, data: expected[i] })),
  )
  assert.deepEqual(
    decrypted.map(hex),
    messages.map(({ data }) => hex(data)),
    `decrypt, blocks ${about}`,
  )
}

/** The memory's content outside the given ranges, to be compared before and after a call. */
function outside(ranges: [start: number, length: number][]): Uint8Array {
  const copy = bench.bytes.slice()
  for (const [start, length] of ranges) copy.fill(0, start, start + length)
  return copy
}

suite('AES-CBC', () => {
  test('agrees with the oracle for every block count from 0 to 20', () => {
    for (const keyBytes of keySizes) {
      for (let blocks = 0; blocks <= 20; blocks++) {
        const message = cipherMessage(keyBytes, blocks)
        assertCipher([message], [cbc('encrypt', message.key, message.iv, message.data)])
      }
    }
  })

  test('decrypts what the oracle decrypts', () => {
    const message = cipherMessage(16, 17)
    bench.clear()
    const [plain] = bench.cipher('decrypt', [message])
    assert.equal(hex(plain), hex(cbc('decrypt', message.key, message.iv, message.data)))
  })

  test('agrees with node:crypto for 1 to 40 jobs of mixed keys and lengths', () => {
    for (const keyBytes of keySizes) {
      for (let jobs = 1; jobs <= 40; jobs++) {
        const messages = Array.from({ length: jobs }, () => cipherMessage(keyBytes, randomInt(0, 24)))
        assertCipher(messages, messages.map(reference))
      }
    }
  })

  test('keeps lanes apart when some share a key and one is long', () => {
    const shared = randomBytes(16)
    for (let round = 0; round < 20; round++) {
      const messages = Array.from({ length: 30 }, (_, i) => {
        const message = cipherMessage(16, i === round ? 120 : randomInt(1, 12))
        return i % 3 === 0 ? message : { ...message, key: shared }
      })
      assertCipher(messages, messages.map(reference))
    }
  })

  test('takes more jobs than one portion', () => {
    const messages = Array.from({ length: 1100 }, () => cipherMessage(16, randomInt(0, 6)))
    assertCipher(messages, messages.map(reference))
  })

  test('writes nothing but the blocks, at the very end of memory too, and wipes the sliced keys', () => {
    for (const direction of ['encrypt', 'decrypt'] as const) {
      bench.clear()
      const messages = Array.from({ length: 11 }, () => cipherMessage(32, randomInt(1, 30)))
      const { jobs, data } = bench.cipherJobs(messages)
      assert.equal(data[0] + messages[0].data.length, KERNEL_MEMORY_BYTES)
      const ranges: [number, number][] = data.map((at, i) => [at, messages[i].data.length])
      ranges.push([bench.scratch, KERNEL_SCRATCH_BYTES])
      const before = outside(ranges)
      const kernel = direction === 'encrypt' ? bench.kernels.aesCbcEncrypt : bench.kernels.aesCbcDecrypt
      kernel(jobs, messages.length, 14, bench.scratch)
      assert.ok(Buffer.from(before).equals(outside(ranges)), `${direction} wrote elsewhere`)
      const keys = bench.scratch + SCRATCH_AES_KEYS
      assert.ok(bench.bytes.subarray(keys, keys + SCRATCH_AES_WIPE_BYTES).every((byte) => byte === 0))
    }
  })

  test('does nothing for no jobs', () => {
    bench.clear()
    const before = outside([[bench.scratch, KERNEL_SCRATCH_BYTES]])
    bench.kernels.aesCbcEncrypt(bench.reserve(CIPHER_JOB_BYTES, 4), 0, 10, bench.scratch)
    bench.kernels.aesCbcDecrypt(bench.reserve(CIPHER_JOB_BYTES, 4), 0, 10, bench.scratch)
    assert.ok(Buffer.from(before).equals(outside([[bench.scratch, KERNEL_SCRATCH_BYTES]])))
  })

  test('a key of another length traps', () => {
    const key = bench.reserve(64)
    for (const length of [0, 8, 15, 17, 33, -16]) {
      assert.throws(() => bench.kernels.aesExpandKey(key, length, bench.scratch), WebAssembly.RuntimeError)
    }
  })
})

suite('HMAC', () => {
  test('the oracle itself agrees with node:crypto', () => {
    const text = randomBytes(300)
    for (const hash of hashNames) {
      for (const part of [Buffer.from('abc'), text, text.subarray(0, 111), text.subarray(0, 112)]) {
        assert.equal(hex(digest(hash, part)), createHash(hash).update(part).digest('hex'))
      }
    }
  })

  test('agrees with the oracle for every length from 0 to 200, with and without extra bytes', () => {
    for (const hash of hashNames) {
      const icvBytes = digestBytes[hash]
      for (let length = 0; length <= 200; length++) {
        const plain = { key: randomBytes(20), data: randomBytes(length), icvBytes }
        const extended = { ...plain, extra: randomBytes(4) }
        const expected = [
          hmac(hash, plain.key, plain.data),
          hmac(hash, plain.key, Buffer.concat([plain.data, extended.extra])),
        ]
        bench.clear()
        const icvs = bench.hmac(hash, [plain, extended])
        assert.deepEqual(icvs.map(hex), expected.map(hex), `${hash}, ${length} bytes`)
      }
    }
  })

  test('prepares keys of every length from 0 to 260', () => {
    for (const hash of hashNames) {
      for (let length = 0; length <= 260; length++) {
        const message = { key: randomBytes(length), data: randomBytes(33), icvBytes: digestBytes[hash] }
        bench.clear()
        const [icv] = bench.hmac(hash, [message])
        assert.equal(hex(icv), hex(referenceMac(hash, message)), `${hash}, key of ${length} bytes`)
      }
    }
  })

  test('agrees with node:crypto for 1 to 40 jobs of mixed keys, lengths and truncations', () => {
    for (const hash of hashNames) {
      for (let jobs = 1; jobs <= 40; jobs++) {
        const messages = Array.from({ length: jobs }, () => ({
          key: randomBytes(randomInt(1, 80)),
          data: randomBytes(randomInt(0, 700)),
          extra: randomInt(2) === 0 ? undefined : randomBytes(4),
          icvBytes: randomInt(0, digestBytes[hash] + 1),
        }))
        bench.clear()
        const expected = messages.map((message) => hex(referenceMac(hash, message)))
        assert.deepEqual(bench.hmac(hash, messages).map(hex), expected, `${hash}, ${jobs} jobs`)
      }
    }
  })

  test('agrees with node:crypto where messages are alike and where some are not, of one key and of many', () => {
    for (const hash of hashNames) {
      for (let length = 0; length <= 150; length++) {
        bench.clear()
        const count = 1 + (length % 30)
        const shared = randomBytes(20)
        const messages = Array.from({ length: count }, (_, i) => ({
          key: length % 2 === 0 ? shared : randomBytes(randomInt(0, 80)),
          data: randomBytes(length % 3 === 0 ? length : length + (i % 4)),
          extra: length % 7 === 0 && i % 5 === 0 ? randomBytes(4) : undefined,
          icvBytes: [12, 16, 4, 15][length % 4],
        }))
        const expected = messages.map((message) => hex(referenceMac(hash, message)))
        assert.deepEqual(
          bench.hmac(hash, messages).map(hex),
          expected,
          `${hash}, ${count} of ${length} bytes`,
        )
      }
    }
  })

  test('takes more jobs than one portion and messages of 64 KB', () => {
    for (const hash of hashNames) {
      const messages = Array.from({ length: 1100 }, (_, i) => ({
        key: randomBytes(20),
        data: randomBytes(i === 700 ? 65535 : randomInt(0, 200)),
        icvBytes: 12,
      }))
      bench.clear()
      const expected = messages.map((message) => hex(referenceMac(hash, message)))
      assert.deepEqual(bench.hmac(hash, messages).map(hex), expected)
    }
  })

  test('writes nothing but the ICVs, reads no byte behind memory, and wipes the states', () => {
    for (const hash of hashNames) {
      for (const length of [0, 1, 16, 51, 52, 55, 56, 63, 64, 65, 111, 112, 120, 127, 128, 129, 140]) {
        bench.clear()
        const messages = Array.from({ length: 9 }, (_, i) => ({
          key: randomBytes(20),
          data: randomBytes(i === 0 ? length : randomInt(0, 300)),
          icvBytes: 12,
        }))
        const { jobs, data, icvs } = bench.hashJobs(hash, messages)
        assert.equal(data[0] + length, KERNEL_MEMORY_BYTES)
        const ranges: [number, number][] = icvs.map((at) => [at, 12])
        ranges.push([bench.scratch, KERNEL_SCRATCH_BYTES])
        const before = outside(ranges)
        bench.runHmac(hash, jobs, messages.length)
        assert.ok(Buffer.from(before).equals(outside(ranges)), `${hash}, ${length} bytes: wrote elsewhere`)
        const secrets = bench.bytes.subarray(
          bench.scratch + SCRATCH_HASH_STATES,
          bench.scratch + KERNEL_SCRATCH_BYTES,
        )
        assert.ok(
          secrets.every((byte) => byte === 0),
          'hash states stay in scratch',
        )
      }
    }
  })

  test('does nothing for no jobs, and an unknown hash traps', () => {
    bench.clear()
    const jobs = bench.reserve(HASH_JOB_BYTES, 4)
    const before = outside([[bench.scratch, KERNEL_SCRATCH_BYTES]])
    for (const hash of hashNames) bench.runHmac(hash, jobs, 0)
    assert.ok(Buffer.from(before).equals(outside([[bench.scratch, KERNEL_SCRATCH_BYTES]])))
    for (const unknown of [-1, 0, 6]) {
      assert.throws(
        () => bench.kernels.hmacPrepare(unknown, jobs, 20, bench.scratch),
        WebAssembly.RuntimeError,
      )
    }
  })
})
