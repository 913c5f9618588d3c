/** The DES kernels against the naive oracle and node:crypto, the S-box circuits, and what may be read and written. */
import assert from 'node:assert/strict'
import { createCipheriv, randomBytes, randomInt } from 'node:crypto'
import { suite, test } from 'node:test'
import { DES_KEYS, DES_STATE, TDES_SCRATCH_BYTES } from '../dataplane-as/crypto/des-scratch.ts'
import { CIPHER_JOB_BYTES } from '../dataplane-as/crypto/job.ts'
import { desFiles } from '../dataplane-as/gen/des.ts'
import { circuits } from '../dataplane-as/gen/des-circuits.ts'
import { evaluateDes, parseDesCircuit, shifted } from '../dataplane-as/gen/des-gates.ts'
import { Network } from '../dataplane-as/gen/des-network.ts'
import { sboxes } from '../dataplane-as/gen/des-tables.ts'
import { desKernel, placeDesJobs, runDes } from './des-jobs.ts'
import { type CipherMessage, KernelBench } from './kernel-jobs.ts'
import { KERNEL_MEMORY_BYTES } from './kernel-wasm.ts'
import { cbc } from './oracle/des.ts'

const bench = new KernelBench()
const directions = ['encrypt', 'decrypt'] as const
/** Key lengths: DES and 3DES. */
const keySizes = [8, 24]

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

const message = (keyBytes: number, blocks: number): CipherMessage => ({
  key: randomBytes(keyBytes),
  iv: randomBytes(8),
  data: randomBytes(8 * blocks),
})

const messages = (count: number, keyBytes: number, mostBlocks: number): CipherMessage[] =>
  Array.from({ length: count }, () => message(keyBytes, randomInt(0, mostBlocks + 1)))

/** CBC of node:crypto without padding; DES as 3DES with three equal keys. */
function reference({ key, iv, data }: CipherMessage): Uint8Array {
  const triple = key.length === 24 ? key : Buffer.concat([key, key, key])
  const cipher = createCipheriv('des-ede3-cbc', triple, iv).setAutoPadding(false)
  return Buffer.concat([cipher.update(data), cipher.final()])
}

/** Both directions agree with `expected`, the ciphertexts. */
function assertBoth(list: readonly CipherMessage[], expected: readonly Uint8Array[]): void {
  const about = `key of ${list[0].key.length} bytes, blocks ${list.map(({ data }) => data.length / 8).join(',')}`
  assert.deepEqual(runDes(bench, 'encrypt', list).map(hex), expected.map(hex), `encrypt, ${about}`)
  const received = list.map((one, i) => ({ ...one, data: expected[i] }))
  const plain = list.map(({ data }) => hex(data))
  assert.deepEqual(runDes(bench, 'decrypt', received).map(hex), plain, `decrypt, ${about}`)
}

suite('DES S-box circuits', () => {
  test('give the S-boxes for every input, as they are and shifted by any input', () => {
    assert.equal(circuits.length, 8)
    circuits.forEach((circuit, box) => {
      for (let c = 0; c < 64; c++) {
        const there = shifted(circuit, c)
        assert.equal(there.length, circuit.length)
        for (let x = 0; x < 64; x++) {
          assert.equal(evaluateDes(there, x ^ c), sboxes[box][x] ^ sboxes[box][c], `S${box + 1}, ${c}, ${x}`)
        }
      }
    })
  })

  test('have at most 56 gates on average, none of them idle', () => {
    const gates = circuits.reduce((sum, circuit) => sum + circuit.length, 0)
    assert.ok(gates <= 8 * 56, `${gates} gates`)
    for (const circuit of circuits) {
      for (const { name } of circuit) {
        const used = /^s/.test(name) || circuit.some(({ a, b }) => a === name || b === name)
        assert.ok(used, `${name} is read by nobody`)
      }
    }
  })

  test('survive the form in which they are searched', () => {
    circuits.forEach((circuit, box) => {
      const again = parseDesCircuit(String(Network.of(circuit).replaced()))
      for (let x = 0; x < 64; x++) {
        assert.equal(evaluateDes(again, x), sboxes[box][x] ^ sboxes[box][0])
      }
    })
  })

  test('a circuit text with a gate out of order or of another kind is refused', () => {
    assert.throws(() => parseDesCircuit('s0 = t1 ^ x0'), /out of order/)
    assert.throws(() => parseDesCircuit('x0 = x1 ^ x2'), /out of order/)
    assert.throws(() => parseDesCircuit('s0 = x1 + x2'), /not a gate/)
  })
})

suite('DES-CBC and 3DES-CBC', () => {
  test('agree with the oracle for every block count from 0 to 20', () => {
    for (const keyBytes of keySizes) {
      for (let blocks = 0; blocks <= 20; blocks++) {
        const one = message(keyBytes, blocks)
        assertBoth([one], [cbc('encrypt', one.key, one.iv, one.data)])
      }
    }
  })

  test('decrypt what the oracle decrypts', () => {
    for (const keyBytes of keySizes) {
      const one = message(keyBytes, 37)
      const [plain] = runDes(bench, 'decrypt', [one])
      assert.equal(hex(plain), hex(cbc('decrypt', one.key, one.iv, one.data)))
    }
  })

  test('agree with node:crypto for 1 to 300 jobs of different keys and lengths', () => {
    const counts = [1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 34, 48, 64, 100, 127, 128, 129, 200, 256, 300]
    for (const keyBytes of keySizes) {
      for (const count of counts) {
        const list = messages(count, keyBytes, 24)
        assertBoth(list, list.map(reference))
      }
    }
  })

  test('agree with node:crypto for messages of one length and of few lengths', () => {
    for (const keyBytes of keySizes) {
      for (const count of [3, 20, 130, 260]) {
        const equal = Array.from({ length: count }, () => message(keyBytes, 9))
        assertBoth(equal, equal.map(reference))
        const mixed = Array.from({ length: count }, (_, i) => message(keyBytes, [8, 72, 175][i % 3]))
        assertBoth(mixed, mixed.map(reference))
      }
    }
  })

  test('keep lanes apart when some share a key and one is long', () => {
    const shared = randomBytes(24)
    for (const long of [0, 7, 39, 139]) {
      const list = Array.from({ length: 140 }, (_, i) => {
        const one = message(24, i === long ? 600 : randomInt(1, 12))
        return i % 3 === 0 ? one : { ...one, key: shared }
      })
      assertBoth(list, list.map(reference))
    }
  })

  test('take more jobs than one portion', () => {
    const list = messages(1100, 24, 5)
    assertBoth(list, list.map(reference))
  })

  test('ignore the parity bits of keys', () => {
    for (const keyBytes of keySizes) {
      const one = message(keyBytes, 3)
      const other = { ...one, key: one.key.map((byte) => byte ^ 1) }
      assert.equal(hex(runDes(bench, 'encrypt', [one])[0]), hex(runDes(bench, 'encrypt', [other])[0]))
    }
  })

  test('write nothing but the blocks, at the very end of memory too, and leave no key in scratch', () => {
    for (const direction of directions) {
      for (const count of [1, 3, 11, 40, 150]) {
        bench.clear()
        const list = Array.from({ length: count }, () => message(24, randomInt(1, 30)))
        const { jobs, data, scratch } = placeDesJobs(bench, list)
        assert.equal(data[0] + list[0].data.length, KERNEL_MEMORY_BYTES)
        const ranges: [number, number][] = data.map((at, i) => [at, list[i].data.length])
        const before = outside([...ranges, [scratch, TDES_SCRATCH_BYTES]])
        desKernel(bench, direction, 24)(jobs, count, scratch)
        const after = outside([...ranges, [scratch, TDES_SCRATCH_BYTES]])
        assert.ok(Buffer.from(before).equals(after), `${direction} of ${count} wrote elsewhere`)
        const secrets = bench.bytes.subarray(scratch + DES_STATE, scratch + TDES_SCRATCH_BYTES)
        assert.ok(secrets.every((byte) => byte === 0))
        assert.ok(DES_KEYS > DES_STATE)
      }
    }
  })

  test('do nothing for no jobs', () => {
    bench.clear()
    const jobs = bench.reserve(CIPHER_JOB_BYTES, 4)
    const scratch = bench.reserve(TDES_SCRATCH_BYTES, 16)
    const before = outside([[scratch, TDES_SCRATCH_BYTES]])
    for (const direction of directions) {
      for (const keyBytes of keySizes) desKernel(bench, direction, keyBytes)(jobs, 0, scratch)
    }
    assert.ok(Buffer.from(before).equals(outside([[scratch, TDES_SCRATCH_BYTES]])))
  })
})

/** The memory's content outside the given ranges, to be compared before and after a call. */
function outside(ranges: readonly [start: number, length: number][]): Uint8Array {
  const copy = bench.bytes.slice()
  for (const [start, length] of ranges) copy.fill(0, start, start + length)
  return copy
}

suite('DES kernels', () => {
  test('read no address that depends on data or keys', () => {
    const fixed =
      /^(lanes|schedules|bytes|keys|key|state|chain|left|right|first|second|rotations|before|from|expanded|[abpx]\d*[ab]?|DES_[A-Z_]+|state \+ 128|[abx]\d[ab]? \+ offset)$/
    let loads = 0
    for (const { name, text } of desFiles()) {
      for (const [load, address] of text.matchAll(/\bload(?:_lane|_zero|_splat)?(?:<\w+>)?\(([^,()]+)/g)) {
        assert.match(address, fixed, `${name}: ${load}`)
        loads++
      }
    }
    assert.ok(loads > 1000)
  })

  test('branch on counts and directions only', () => {
    const fixed =
      /^(\(--(pass|passes|turns|rounds|blocks) > 0\)|\((lanes|keys|rotations|bytes) !== (end|last)\))$/
    for (const { name, text } of desFiles()) {
      for (const [, condition] of text.matchAll(/\bwhile (\(.*\))$/gm)) assert.match(condition, fixed, name)
      for (const [, condition] of text.matchAll(/(\S+ \S+ \S+) \?/g))
        assert.equal(condition, 'decrypt !== 0', name)
      const branches = text.match(/\bif \(.*\)/g) ?? []
      assert.ok(
        branches.every((branch) => branch.startsWith('if (ASC_FEATURE_RELAXED_SIMD)')),
        name,
      )
    }
  })
})
