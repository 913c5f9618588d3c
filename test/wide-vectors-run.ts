// The kernels for joined vectors against node:crypto; wide-vectors.test.ts runs this with vectors joined and without.

import assert from 'node:assert/strict'
import { createCipheriv, createHmac, randomBytes, randomInt } from 'node:crypto'
import { suite, test } from 'node:test'
import {
  KERNEL_SCRATCH_BYTES,
  SCRATCH_AES_KEYS,
  SCRATCH_AES_WIPE_BYTES,
} from '../dataplane-as/crypto/scratch.ts'
import { runDes } from './des-jobs.ts'
import {
  type AeadMessage,
  type AeadName,
  type CipherMessage,
  type HashName,
  hashes,
  KernelBench,
} from './kernel-jobs.ts'
import { KERNEL_MEMORY_BYTES } from './kernel-wasm.ts'

const bench = new KernelBench(undefined, true)

const message = (keyBytes: number, blocks: number): CipherMessage => ({
  key: randomBytes(keyBytes),
  iv: randomBytes(16),
  data: randomBytes(16 * blocks),
})

function reference({ key, iv, data }: CipherMessage): Buffer {
  const cipher = createCipheriv(`aes-${key.length * 8}-cbc`, key, iv).setAutoPadding(false)
  return Buffer.concat([cipher.update(data), cipher.final()])
}

/** Encrypts, compares with node:crypto, decrypts, compares with what it was. */
function check(messages: CipherMessage[]): void {
  const about = messages.map(({ data }) => data.length / 16).join(',')
  bench.clear()
  const encrypted = bench.cipher('encrypt', messages)
  const wrong = encrypted.findIndex((bytes, i) => !reference(messages[i]).equals(bytes))
  assert.equal(wrong, -1, `encrypt, message ${wrong} of blocks ${about}`)
  bench.clear()
  const sealed = messages.map((each, i) => ({ ...each, data: encrypted[i] }))
  const opened = bench.cipher('decrypt', sealed)
  const different = opened.findIndex((bytes, i) => !Buffer.from(messages[i].data).equals(bytes))
  assert.equal(different, -1, `decrypt, message ${different} of blocks ${about}`)
}

suite('AES-CBC over 64 lanes', () => {
  for (const keyBytes of [16, 24, 32]) {
    test(`${keyBytes * 8} bits: 1 to 130 messages, each under a key of its own`, () => {
      for (const count of [1, 8, 16, 17, 18, 31, 32, 33, 63, 64, 65, 80, 81, 130]) {
        check(Array.from({ length: count }, () => message(keyBytes, randomInt(0, 24))))
      }
    })

    test(`${keyBytes * 8} bits: one key, a few keys, long messages among short ones`, () => {
      const keys = Array.from({ length: 4 }, () => randomBytes(keyBytes))
      for (const used of [1, 2, 4]) {
        const messages = Array.from({ length: 100 }, (_, i) => {
          const blocks = i % 23 === 0 ? randomInt(60, 140) : randomInt(1, 10)
          return { ...message(keyBytes, blocks), key: keys[randomInt(used)] }
        })
        check(messages)
      }
    })
  }

  test('every block count of one message from 0 to 140', () => {
    for (let blocks = 0; blocks <= 140; blocks++) check([message(16, blocks)])
  })

  test('writes nothing but the blocks, at the very end of memory too, and wipes the sliced keys', () => {
    for (const direction of ['encrypt', 'decrypt'] as const) {
      bench.clear()
      const messages = Array.from({ length: 70 }, () => message(32, randomInt(1, 30)))
      const { jobs, data } = bench.cipherJobs(messages)
      assert.equal(data[0] + messages[0].data.length, KERNEL_MEMORY_BYTES)
      const untouched = (): Uint8Array => {
        const copy = bench.bytes.slice()
        for (const [i, each] of messages.entries()) copy.fill(0, data[i], data[i] + each.data.length)
        return copy.fill(0, bench.scratch, bench.scratch + KERNEL_SCRATCH_BYTES)
      }
      const before = untouched()
      const kernel = direction === 'encrypt' ? bench.kernels.aesCbcEncrypt : bench.kernels.aesCbcDecrypt
      kernel(jobs, messages.length, 14, bench.scratch)
      assert.ok(Buffer.from(before).equals(untouched()), `${direction} wrote elsewhere`)
      const keys = bench.scratch + SCRATCH_AES_KEYS
      assert.ok(bench.bytes.subarray(keys, keys + SCRATCH_AES_WIPE_BYTES).every((byte) => byte === 0))
    }
  })
})

suite('DES-CBC and 3DES-CBC over 256 lanes', () => {
  for (const keyBytes of [8, 24]) {
    test(`${keyBytes * 8} bits: 1 to 300 messages, under one key and under many`, () => {
      for (const [count, used] of [
        [1, 1],
        [12, 12],
        [30, 2],
        [70, 1],
        [100, 100],
        [300, 7],
      ]) {
        const keys = Array.from({ length: used }, () => randomBytes(keyBytes))
        const messages = Array.from({ length: count }, (_, i) => ({
          key: keys[i % used],
          iv: randomBytes(8),
          data: randomBytes(8 * (i % 29 === 3 ? randomInt(150, 400) : randomInt(0, 24))),
        }))
        const sealed = messages.map(({ key, iv, data }) => {
          const triple = keyBytes === 8 ? Buffer.concat([key, key, key]) : key
          const cipher = createCipheriv('des-ede3-cbc', triple, iv).setAutoPadding(false)
          return Buffer.concat([cipher.update(data), cipher.final()])
        })
        const encrypted = runDes(bench, 'encrypt', messages)
        assert.equal(
          encrypted.findIndex((bytes, i) => !sealed[i].equals(bytes)),
          -1,
          'encrypt',
        )
        const opened = runDes(
          bench,
          'decrypt',
          messages.map((message, i) => ({ ...message, data: sealed[i] })),
        )
        assert.equal(
          opened.findIndex((bytes, i) => !messages[i].data.equals(bytes)),
          -1,
          'decrypt',
        )
      }
    })
  }
})

suite('HMAC', () => {
  for (const hash of Object.keys(hashes) as HashName[]) {
    test(`${hash}: 1 to 70 messages of 0 to 300 bytes`, () => {
      for (const count of [1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 16, 17, 24, 25, 33, 70]) {
        const messages = Array.from({ length: count }, (_, i) => ({
          key: randomBytes(20),
          data: randomBytes(i % 3 === 0 ? 120 : randomInt(300)),
          icvBytes: 12,
        }))
        bench.clear()
        const icvs = bench.hmac(hash, messages).map((icv) => Buffer.from(icv).toString('hex'))
        const expected = messages.map(({ key, data }) =>
          createHmac(hash, key).update(data).digest('hex').slice(0, 24),
        )
        assert.deepEqual(icvs, expected, `${count} messages`)
      }
    })
  }
})

/** Seals and opens, both compared with node:crypto; afterwards no key stream is left in scratch. */
function checkAead(name: AeadName, messages: AeadMessage[]): void {
  const about = messages.map(({ data }) => data.length).join(',')
  const expected = messages.map(({ key, nonce, aad, data }) => {
    const algorithm = name === 'aes-gcm' ? `aes-${key.length * 8}-gcm` : name
    const cipher = createCipheriv(algorithm as 'aes-128-gcm', key, nonce, { authTagLength: 16 }).setAAD(aad)
    return { data: Buffer.concat([cipher.update(data), cipher.final()]), tag: cipher.getAuthTag() }
  })
  bench.clear()
  const sealed = bench.aead(name, 'seal', messages)
  const wrong = sealed.findIndex(
    ({ data, tag }, i) => !expected[i].data.equals(data) || !expected[i].tag.equals(tag),
  )
  assert.equal(wrong, -1, `seal, message ${wrong} of lengths ${about}`)
  bench.clear()
  const opened = bench.aead(
    name,
    'open',
    messages.map((one, i) => ({ ...one, ...expected[i] })),
  )
  const different = opened.findIndex(({ data, ok }, i) => !ok || !Buffer.from(messages[i].data).equals(data))
  assert.equal(different, -1, `open, message ${different} of lengths ${about}`)
  const scratch = bench.bytes.subarray(bench.scratch + SCRATCH_AES_KEYS, bench.scratch + KERNEL_SCRATCH_BYTES)
  assert.ok(scratch.every((byte) => byte === 0))
}

for (const [name, sizes] of [
  ['aes-gcm', [16, 24, 32]],
  ['chacha20-poly1305', [32]],
] as const) {
  suite(name, () => {
    const one = (keyBytes: number, length: number): AeadMessage => ({
      key: randomBytes(keyBytes),
      nonce: randomBytes(12),
      aad: randomBytes(randomInt(2) ? 8 : 12),
      data: randomBytes(length),
    })
    for (const keyBytes of sizes) {
      test(`${keyBytes * 8} bits: 1 to 130 messages, one key, a few keys, a key each`, () => {
        const keys = Array.from({ length: 4 }, () => randomBytes(keyBytes))
        for (const count of [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 130]) {
          for (const shared of [0, 1, 4]) {
            const messages = Array.from({ length: count }, (_, i) => {
              const message = one(keyBytes, i % 19 === 0 ? randomInt(900, 1600) : randomInt(0, 100))
              return shared === 0 ? message : { ...message, key: keys[randomInt(shared)] }
            })
            checkAead(name, messages)
          }
        }
      })
    }

    test('every length of one message from 0 to 1100', () => {
      for (let length = 0; length <= 1100; length += length < 300 ? 1 : 7) checkAead(name, [one(32, length)])
    })
  })
}
