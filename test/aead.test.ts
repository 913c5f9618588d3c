/** The AEAD kernels against naive oracles and node:crypto: keys, lengths, lane mixes, forgeries, and what may be written. */
import assert from 'node:assert/strict'
import { createCipheriv, randomBytes, randomInt } from 'node:crypto'
import { suite, test } from 'node:test'
import { AEAD_JOB_BYTES, AEAD_JOB_OK, GHASH_TABLE_BYTES } from '../dataplane-as/crypto/job.ts'
import { KERNEL_SCRATCH_BYTES, SCRATCH_AES_KEYS } from '../dataplane-as/crypto/scratch.ts'
import { type AeadMessage, type AeadName, KernelBench } from './kernel-jobs.ts'
import { KERNEL_MEMORY_BYTES, type Variant } from './kernel-wasm.ts'
import { chachaSeal } from './oracle/chacha.ts'
import { gcmSeal } from './oracle/gcm.ts'

type Sealed = { data: Uint8Array; tag: Uint8Array }
type Algorithm = {
  name: AeadName
  keySizes: number[]
  oracle: (key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, data: Uint8Array) => Sealed
}

const algorithms: Algorithm[] = [
  { name: 'aes-gcm', keySizes: [16, 24, 32], oracle: gcmSeal },
  { name: 'chacha20-poly1305', keySizes: [32], oracle: chachaSeal },
]
const variants: Variant[] = ['plain', 'relaxed']

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const textOf = ({ data, tag }: Sealed): string => `${hex(data)} ${hex(tag)}`

function message(keyBytes: number, length: number, aadBytes = 8): AeadMessage {
  return {
    key: randomBytes(keyBytes),
    nonce: randomBytes(12),
    aad: randomBytes(aadBytes),
    data: randomBytes(length),
  }
}

/** The same with node:crypto. */
function reference(name: AeadName, { key, nonce, aad, data }: AeadMessage): Sealed {
  const full = name === 'aes-gcm' ? `aes-${key.length * 8}-gcm` : name
  const cipher = createCipheriv(full as 'aes-128-gcm', key, nonce, { authTagLength: 16 }).setAAD(aad)
  return { data: Buffer.concat([cipher.update(data), cipher.final()]), tag: cipher.getAuthTag() }
}

/** The memory's content outside the given ranges, to be compared before and after a call. */
function outside(bench: KernelBench, ranges: [start: number, length: number][]): Buffer {
  const copy = Buffer.from(bench.bytes)
  for (const [start, length] of ranges) copy.fill(0, start, start + length)
  return copy
}

/** Sealing gives what is expected, opening gives the messages back. */
function assertAead(bench: KernelBench, name: AeadName, messages: AeadMessage[], expected: Sealed[]): void {
  const about = `${name}, lengths ${messages.map(({ data }) => data.length)}`
  bench.clear()
  assert.deepEqual(bench.aead(name, 'seal', messages).map(textOf), expected.map(textOf), `seal, ${about}`)
  bench.clear()
  const opened = bench.aead(
    name,
    'open',
    messages.map((one, i) => ({ ...one, ...expected[i] })),
  )
  const plain = messages.map(({ data }) => hex(data))
  assert.deepEqual(
    opened.map(({ data }) => hex(data)),
    plain,
    `open, ${about}`,
  )
  assert.ok(
    opened.every(({ ok }) => ok),
    `tags refused, ${about}`,
  )
}

for (const variant of variants) {
  const bench = new KernelBench(variant)
  for (const { name, keySizes, oracle } of algorithms) {
    suite(`${name}, ${variant} SIMD`, () => {
      test('agrees with the oracle for every length from 0 to 100 and AAD from 0 to 40', () => {
        for (let length = 0; length <= 100; length++) {
          const one = message(keySizes[length % keySizes.length], length, length % 41)
          assertAead(bench, name, [one], [oracle(one.key, one.nonce, one.aad, one.data)])
        }
      })

      test('agrees with node:crypto for short messages of one length, 1 to 9 of them, with AAD from 0 to 40', () => {
        for (let length = 0; length <= 130; length++) {
          const messages = Array.from({ length: (length % 9) + 1 }, () =>
            message(keySizes[0], length, length % 41),
          )
          assertAead(
            bench,
            name,
            messages,
            messages.map((one) => reference(name, one)),
          )
        }
      })

      test('agrees with node:crypto for every length from 0 to 600', () => {
        for (const keyBytes of keySizes) {
          for (let from = 0; from <= 600; from += 100) {
            const messages = Array.from({ length: 100 }, (_, i) => message(keyBytes, from + i))
            assertAead(
              bench,
              name,
              messages,
              messages.map((one) => reference(name, one)),
            )
          }
        }
      })

      test('agrees with node:crypto for 1 to 200 jobs of mixed keys and lengths', () => {
        for (const keyBytes of keySizes) {
          const shared = randomBytes(keyBytes)
          for (let jobs = 1; jobs <= 200; jobs += randomInt(1, 14)) {
            const messages = Array.from({ length: jobs }, () => {
              const one = message(keyBytes, randomInt(0, randomInt(2) ? 100 : 1500), randomInt(2) ? 8 : 12)
              return randomInt(3) === 0 ? one : { ...one, key: shared }
            })
            assertAead(
              bench,
              name,
              messages,
              messages.map((one) => reference(name, one)),
            )
          }
        }
      })

      test('takes more jobs than one portion and messages of 64 KB', () => {
        const key = randomBytes(keySizes[0])
        const messages = Array.from({ length: 1100 }, (_, i) => ({
          ...message(keySizes[0], i === 700 ? 65535 : randomInt(0, 100)),
          key,
        }))
        assertAead(
          bench,
          name,
          messages,
          messages.map((one) => reference(name, one)),
        )
      })

      test('refuses every flipped bit of tag, AAD, nonce and data, and decrypts nothing then', () => {
        const good = Array.from({ length: 200 }, (_, i) => message(keySizes[0], i, 12))
        const spoilt = good.map((one, i) => {
          const sealed = reference(name, one)
          const parts: Uint8Array[] = [sealed.tag, one.aad, one.nonce, ...(i > 0 ? [sealed.data] : [])]
          // i % 5 = 4 stays as it is
          const part = i % 5 === 4 ? undefined : parts[i % parts.length]
          if (part) part[randomInt(part.length)] ^= 1 << randomInt(8)
          return { one: { ...one, ...sealed }, valid: part === undefined, plain: one.data }
        })
        bench.clear()
        const opened = bench.aead(
          name,
          'open',
          spoilt.map(({ one }) => one),
        )
        opened.forEach(({ data, tag, ok }, i) => {
          const { one, valid, plain } = spoilt[i]
          assert.equal(ok, valid, `message ${i}`)
          assert.equal(hex(data), hex(valid ? plain : one.data), `message ${i}`)
          assert.equal(hex(tag), hex(one.tag!), 'open must not write the tag')
        })
      })

      test('refuses a tag for every single bit of it', () => {
        const one = message(keySizes[0], 68)
        const sealed = reference(name, one)
        const forged = Array.from({ length: 128 }, (_, bit) => {
          const tag = Uint8Array.from(sealed.tag)
          tag[bit >> 3] ^= 1 << (bit & 7)
          return { ...one, data: sealed.data, tag }
        })
        bench.clear()
        assert.ok(bench.aead(name, 'open', forged).every(({ ok }) => !ok))
      })

      test('writes nothing but data and tags, at the very end of memory too, and leaves no secret', () => {
        for (const direction of ['seal', 'open'] as const) {
          for (const length of [0, 1, 15, 16, 17, 63, 64, 65, 100, 1000]) {
            bench.clear()
            const messages = Array.from({ length: 9 }, (_, i) => {
              const one = message(keySizes[0], i === 0 ? length : randomInt(0, 300))
              return direction === 'seal' ? one : { ...one, ...reference(name, one) }
            })
            const { jobs, data, tags } = bench.aeadJobs(name, messages)
            assert.equal(tags[0] + 16, KERNEL_MEMORY_BYTES)
            const ranges: [number, number][] = data.map((at, i) => [at, messages[i].data.length])
            for (const i of messages.keys()) {
              const ok = jobs + i * AEAD_JOB_BYTES + AEAD_JOB_OK
              ranges.push(direction === 'seal' ? [tags[i], 16] : [ok, 4])
            }
            ranges.push([bench.scratch, KERNEL_SCRATCH_BYTES])
            const before = outside(bench, ranges)
            bench.runAead(name, direction, jobs, messages.length, keySizes[0])
            assert.ok(before.equals(outside(bench, ranges)), `${direction}, ${length} bytes: wrote elsewhere`)
            const secrets = bench.bytes.subarray(
              bench.scratch + SCRATCH_AES_KEYS,
              bench.scratch + KERNEL_SCRATCH_BYTES,
            )
            assert.ok(
              secrets.every((byte) => byte === 0),
              'something stays in scratch',
            )
          }
        }
      })

      test('reads no byte behind data and AAD that end the memory', () => {
        for (let length = 0; length < 80; length++) {
          for (const last of ['data', 'aad'] as const) {
            bench.clear()
            const one = message(keySizes[0], last === 'data' ? length : 40, last === 'aad' ? length : 8)
            const end = bench.place(one[last])
            const { jobs, data, tags } = bench.aeadJobs(name, [one])
            bench.moveAead(jobs, last, end)
            bench.runAead(name, 'seal', jobs, 1, keySizes[0])
            const at = last === 'data' ? end : data[0]
            const sealed = {
              data: bench.bytes.slice(at, at + one.data.length),
              tag: bench.bytes.slice(tags[0], tags[0] + 16),
            }
            assert.equal(textOf(sealed), textOf(reference(name, one)), `${last} of ${length} bytes`)
          }
        }
      })

      test('does nothing for no jobs', () => {
        bench.clear()
        const jobs = bench.reserve(AEAD_JOB_BYTES, 4)
        const before = outside(bench, [[bench.scratch, KERNEL_SCRATCH_BYTES]])
        for (const direction of ['seal', 'open'] as const)
          bench.runAead(name, direction, jobs, 0, keySizes[0])
        assert.ok(before.equals(outside(bench, [[bench.scratch, KERNEL_SCRATCH_BYTES]])))
      })
    })
  }

  suite(`AES-GCM keys, ${variant} SIMD`, () => {
    test('a key of another length traps', () => {
      bench.clear()
      const [key, schedule, table] = [64, 240, GHASH_TABLE_BYTES].map((bytes) => bench.reserve(bytes, 16))
      for (const length of [0, 8, 15, 17, 33, -16]) {
        assert.throws(
          () => bench.kernels.gcmPrepare(key, length, schedule, table, bench.scratch),
          WebAssembly.RuntimeError,
        )
      }
    })

    test('preparing writes schedule and table only, and leaves nothing of the key in scratch', () => {
      bench.clear()
      const key = bench.place(randomBytes(32))
      const table = bench.reserve(GHASH_TABLE_BYTES, 16)
      const schedule = bench.reserve(240, 16)
      const ranges: [number, number][] = [
        [schedule, 240],
        [table, GHASH_TABLE_BYTES],
        [bench.scratch, KERNEL_SCRATCH_BYTES],
      ]
      const before = outside(bench, ranges)
      bench.kernels.gcmPrepare(key, 32, schedule, table, bench.scratch)
      assert.ok(before.equals(outside(bench, ranges)))
      const secrets = bench.bytes.subarray(
        bench.scratch + SCRATCH_AES_KEYS,
        bench.scratch + KERNEL_SCRATCH_BYTES,
      )
      assert.ok(secrets.every((byte) => byte === 0))
    })
  })
}
