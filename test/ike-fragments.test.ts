// IKE fragmentation (RFC 7383): messages cut and put together again, and every row of security G on the way.

import assert from 'node:assert/strict'
import { createCipheriv, randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { threadTime } from '../bench/thread-clock.ts'
import { defaultReassemblyLimits, Reassembly } from '../control/crypto/reassembly.ts'
import { open, type SkKeys, skCiphers } from '../control/crypto/sk.ts'
import { messageLimit, openFragment, protectFragments } from '../control/crypto/skf.ts'
import { cipherKeyLength, integrityKeyLength } from '../control/crypto/suite.ts'
import type { EspCipher, Integrity } from '../control/ports.ts'
import { concat, fromHex, hex, u16, u16Bytes } from '../control/wire/bytes.ts'
import {
  decodeFragment,
  decodeMessage,
  isFragment,
  isProtected,
  maxFragments,
} from '../control/wire/message.ts'
import { isAead } from '../control/wire/transforms.ts'
import type { Decoded, FragmentMessage, HeaderFields, Payload } from '../control/wire/types.ts'
import { Exchange } from '../control/wire/types.ts'

const random = (length: number) => new Uint8Array(randomBytes(length))
const fields: HeaderFields = {
  initiatorSpi: 0x1111n,
  responderSpi: 0x2222n,
  exchange: Exchange.IKE_AUTH,
  initiator: true,
  response: false,
  messageId: 1,
}

function keysOf(cipher: EspCipher, hash: Integrity = 'sha256'): SkKeys {
  const integrity = isAead(cipher) ? null : hash
  return {
    cipher,
    integrity,
    encryptionKey: random(cipherKeyLength(cipher)),
    integrityKey: random(integrityKeyLength(integrity)),
  }
}

const gcm = keysOf('aes-gcm-256')
const cbc = keysOf('aes-256')
/** An IKE_AUTH with a chain of 4096-bit certificates weighs so much. */
const chain = (count: number): Payload[] => [
  { kind: 'VENDOR', data: random(20) },
  ...Array.from({ length: count }, (): Payload => ({ kind: 'CERT', encoding: 4, data: random(1400) })),
]

function fragmentOf(datagram: Uint8Array): FragmentMessage {
  const decoded = decodeFragment(datagram)
  assert.ok(decoded.ok, decoded.ok ? '' : decoded.reason)
  return decoded.value
}

/** Takes datagrams in order; the last result. */
function receive(
  datagrams: Uint8Array[],
  keys: SkKeys,
  reassembly = new Reassembly(),
  now = 0,
): Decoded<Payload[] | null> {
  let last: Decoded<Payload[] | null> = { ok: true, value: null }
  for (const each of datagrams) last = openFragment(each, fragmentOf(each), keys, reassembly, now)
  return last.ok ? { ok: true, value: last.value } : last
}

const waits = { ok: true, value: null }
const payloads = chain(3)
const cut = (keys: SkKeys, limit = 1232, what = payloads, change: Partial<HeaderFields> = {}) =>
  protectFragments({ ...fields, ...change }, what, keys, random, limit)

describe('cutting', () => {
  test('limits of a path: 1280 at least, less IP, UDP and the marker', () => {
    assert.equal(messageLimit(1280, 6, false), 1232)
    assert.equal(messageLimit(1500, 4, true), 1468)
    assert.equal(messageLimit(576, 4, false), messageLimit(1280, 4, false))
  })

  test('what fits stays an SK message: never one fragment of one', () => {
    for (const cipher of skCiphers) {
      const keys = keysOf(cipher)
      for (let size = 1100; size < 1300; size++) {
        const datagrams = cut(keys, 1232, [{ kind: 'VENDOR', data: new Uint8Array(size) }])
        for (const each of datagrams) assert.ok(each.length <= 1232)
        if (datagrams.length > 1) {
          const totals = datagrams.map((each) => fragmentOf(each).skf.total)
          assert.ok(totals.every((total) => total === datagrams.length && total >= 2))
        } else {
          const message = decodeMessage(datagrams[0])
          assert.ok(message.ok && isProtected(message.value))
          assert.ok(open(datagrams[0], message.value.sk, keys).ok)
        }
      }
    }
  })

  test('a message is cut exactly when the whole one would not fit', () => {
    for (const cipher of skCiphers) {
      const keys = keysOf(cipher)
      for (let size = 1100; size < 1300; size++) {
        const what: Payload[] = [{ kind: 'VENDOR', data: new Uint8Array(size) }]
        const whole = cut(keys, 65535, what)[0].length
        assert.equal(cut(keys, 1232, what).length > 1, whole > 1232, `${cipher} ${size}`)
      }
    }
  })

  test('the form of RFC 7383 §2.5: type 53, first payload type in number 1 only, same header, numbers in order', () => {
    const datagrams = cut(gcm)
    assert.equal(datagrams.length, 4)
    for (const [index, datagram] of datagrams.entries()) {
      const { header, skf } = fragmentOf(datagram)
      assert.deepEqual([header.nextPayload, skf.nextPayload], [53, index === 0 ? 43 : 0])
      assert.deepEqual([skf.number, skf.total], [index + 1, 4])
      assert.deepEqual([u16(datagram, 32), u16(datagram, 34)], [index + 1, 4])
      assert.deepEqual([header.messageId, header.exchange, header.length], [1, 35, datagram.length])
    }
  })

  test('each fragment has an IV of its own: AEAD counts on over fragments and messages', () => {
    const keys = keysOf('chacha20-poly1305')
    const ivs = [...cut(keys), ...cut(keys)].map((each) => hex(each.subarray(36, 44)))
    assert.deepEqual(
      ivs,
      ivs.map((_, index) => index.toString(16).padStart(16, '0')),
    )
  })

  test('number and total are associated data of AEAD (§2.5): the fragment made from the clause is the same', () => {
    const keys = keysOf('aes-gcm-128')
    const [first] = cut(keys)
    const { skf } = fragmentOf(first)
    const nonce = concat(keys.encryptionKey.subarray(16), first.subarray(36, 44))
    const context = createCipheriv('aes-128-gcm', keys.encryptionKey.subarray(0, 16), nonce)
    context.setAAD(first.subarray(0, 36))
    const inner = encodeInner(first, keys)
    const made = concat(context.update(inner), context.final(), context.getAuthTag())
    assert.equal(hex(skf.body.subarray(8)), hex(made))
  })

  /** Plain text of a fragment, by a second use of the counter mode: what was encrypted, encrypted again. */
  function encodeInner(fragment: Uint8Array, keys: SkKeys): Uint8Array {
    const nonce = concat(keys.encryptionKey.subarray(16), fragment.subarray(36, 44))
    const context = createCipheriv('aes-128-gcm', keys.encryptionKey.subarray(0, 16), nonce)
    return new Uint8Array(context.update(fragment.subarray(44, -16)))
  }

  test('more fragments than a peer would take are our own mistake', () => {
    assert.throws(() => cut(gcm, 100, chain(20)), RangeError)
    assert.throws(() => cut(cbc, 60), RangeError)
  })
})

describe('putting together', () => {
  test('every cipher, any order, any size: the payloads come back once, with the last fragment', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...skCiphers),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 300, max: 1500 }),
        fc.infiniteStream(fc.nat()),
        (cipher, count, limit, order) => {
          const keys = keysOf(cipher, 'sha512')
          const what = chain(count)
          const datagrams = cut(keys, limit, what)
          if (datagrams.length === 1) return
          const shuffled = datagrams
            .map((each) => ({ each, at: order.next().value }))
            .sort((a, b) => a.at - b.at)
            .map(({ each }) => each)
          const reassembly = new Reassembly()
          for (const each of shuffled.slice(0, -1)) assert.deepEqual(receive([each], keys, reassembly), waits)
          assert.deepEqual(receive([shuffled.at(-1)!], keys, reassembly), { ok: true, value: what })
          assert.deepEqual([reassembly.messages, reassembly.bytes], [0, 0])
        },
      ),
      { numRuns: 60 },
    )
  })

  test('a chain of four 4096-bit certificates over 1280 bytes', () => {
    const what = chain(4)
    const datagrams = cut(cbc, messageLimit(1280, 6, true), what)
    assert.ok(datagrams.every((each) => each.length + 4 + 8 + 40 <= 1280))
    assert.deepEqual(receive(datagrams, cbc), { ok: true, value: what })
  })

  test('both directions of one SA and several SAs do not disturb each other', () => {
    const reassembly = new Reassembly()
    const request = cut(gcm)
    const response = cut(gcm, 1232, payloads, { response: true })
    const theirs = cut(gcm, 1232, payloads, { initiator: false })
    const other = cut(gcm, 1232, payloads, { responderSpi: 3n })
    for (let index = 0; index < 3; index++)
      receive([request[index], response[index], theirs[index], other[index]], gcm, reassembly)
    assert.equal(reassembly.messages, 4)
    for (const last of [request, response, theirs, other])
      assert.deepEqual(receive([last[3]], gcm, reassembly), { ok: true, value: payloads })
  })

  test('all authentic, nonsense inside: INVALID_SYNTAX, as for a whole message', () => {
    const what: Payload[] = [{ kind: 'UNKNOWN', type: 44, critical: false, data: random(2000) }]
    const result = receive(cut(gcm, 1232, what), gcm)
    assert.ok(!result.ok)
    assert.deepEqual([result.reason, result.notify?.type], ['ike-ts-payload', 7])
  })
})

/** A fragment whose numbers were changed by someone without keys. */
function renumbered(datagram: Uint8Array, number: number, total: number): Uint8Array {
  const changed = Uint8Array.from(datagram)
  changed.set(concat(u16Bytes(number), u16Bytes(total)), 32)
  return changed
}

function reasonOf(result: Decoded<unknown>): string {
  assert.ok(!result.ok && result.notify === undefined, 'silent')
  return result.reason
}

describe('G1', () => {
  const datagrams = cut(gcm)

  test('number 0, number above total, total 0, total 65,535: refused before any cryptography', () => {
    for (const [number, total] of [
      [0, 4],
      [5, 4],
      [0, 0],
      [1, 0],
      [1, 65535],
      [65535, 65535],
      [1, maxFragments + 1],
    ])
      assert.equal(reasonOf(decodeFragment(renumbered(datagrams[0], number, total))), 'ike-fragment-number')
    assert.ok(decodeFragment(renumbered(datagrams[0], maxFragments, maxFragments)).ok)
  })

  test('one fragment of one, which we never make, is a message like any other', () => {
    const [datagram] = cut(keysOf('aes-256'), 1232, chain(3))
    assert.ok(decodeFragment(renumbered(datagram, 1, 1)).ok)
  })

  test('a smaller total is stale, a greater one starts again', () => {
    const reassembly = new Reassembly()
    const small = cut(gcm, 700)
    receive(datagrams.slice(0, 3), gcm, reassembly)
    assert.deepEqual(receive(small.slice(0, 2), gcm, reassembly), waits)
    assert.equal(reasonOf(receive([datagrams[3]], gcm, reassembly)), 'ike-fragment-stale')
    assert.equal(reassembly.messages, 1)
    assert.deepEqual(receive(small.slice(2), gcm, reassembly), { ok: true, value: payloads })
  })

  test('a greater total that is not authentic starts nothing', () => {
    const reassembly = new Reassembly()
    receive(datagrams.slice(0, 3), gcm, reassembly)
    assert.equal(reasonOf(receive([renumbered(datagrams[3], 4, 9)], gcm, reassembly)), 'ike-icv')
    assert.deepEqual(receive([datagrams[3]], gcm, reassembly), { ok: true, value: payloads })
  })

  test('a duplicate, with the same or other content, changes nothing', () => {
    const reassembly = new Reassembly()
    const other = cut(gcm, 1232, chain(3))
    assert.equal(other.length, datagrams.length)
    receive(datagrams.slice(0, 2), gcm, reassembly)
    const before = reassembly.bytes
    for (const again of [datagrams[0], other[1]])
      assert.equal(reasonOf(receive([again], gcm, reassembly)), 'ike-fragment-repeated')
    assert.equal(reassembly.bytes, before)
    assert.deepEqual(receive(datagrams.slice(2), gcm, reassembly), { ok: true, value: payloads })
  })

  test('a later message id takes the place of an abandoned one, an earlier one is stale', () => {
    const reassembly = new Reassembly()
    const later = cut(gcm, 1232, payloads, { messageId: 2 })
    receive(datagrams.slice(0, 2), gcm, reassembly)
    receive([later[0]], gcm, reassembly)
    assert.equal(reassembly.messages, 1)
    assert.equal(reasonOf(receive([datagrams[2]], gcm, reassembly)), 'ike-fragment-stale')
    assert.deepEqual(receive(later.slice(1), gcm, reassembly), { ok: true, value: payloads })
  })

  test('memory of one message: the fragment that passes the bound ends it', () => {
    const reassembly = new Reassembly({ ...defaultReassemblyLimits, messageBytes: 3000 })
    receive(datagrams.slice(0, 2), gcm, reassembly)
    assert.equal(reasonOf(receive([datagrams[2]], gcm, reassembly)), 'ike-fragment-size')
    assert.deepEqual([reassembly.messages, reassembly.bytes], [0, 0])
  })

  test('time: what is not complete after its life is given up, and may start again', () => {
    const reassembly = new Reassembly()
    receive(datagrams.slice(0, 3), gcm, reassembly, 1000)
    reassembly.expire(60_999)
    assert.equal(reassembly.messages, 1)
    assert.deepEqual(receive([datagrams[3]], gcm, reassembly, 61_000), waits)
    assert.equal(reassembly.expired, 1)
    assert.deepEqual(receive(datagrams.slice(0, 3), gcm, reassembly, 61_000), { ok: true, value: payloads })
  })

  test('the end of an IKE SA takes its fragments along', () => {
    const reassembly = new Reassembly()
    receive(datagrams.slice(0, 3), gcm, reassembly)
    receive(cut(gcm, 1232, payloads, { response: true }).slice(1), gcm, reassembly)
    reassembly.forget({ initiatorSpi: 0x1111n, responderSpi: 0x2223n })
    assert.equal(reassembly.messages, 2)
    reassembly.forget({ initiatorSpi: 0x1111n, responderSpi: 0x2222n })
    assert.deepEqual([reassembly.messages, reassembly.bytes], [0, 0])
  })
})

describe('G2', () => {
  test('a bad fragment among good ones is dropped alone', () => {
    for (const keys of [gcm, cbc]) {
      const datagrams = cut(keys)
      const reassembly = new Reassembly()
      receive(datagrams.slice(0, 2), keys, reassembly)
      const before = [reassembly.messages, reassembly.bytes]
      for (let at = 36; at < datagrams[2].length; at += 7) {
        const damaged = Uint8Array.from(datagrams[2])
        damaged[at] ^= 0x10
        assert.equal(reasonOf(receive([damaged], keys, reassembly)), 'ike-icv')
      }
      for (const [number, total] of [
        [4, 4],
        [3, 7],
      ])
        assert.equal(
          reasonOf(receive([renumbered(datagrams[2], number, total)], keys, reassembly)),
          'ike-icv',
        )
      assert.deepEqual([reassembly.messages, reassembly.bytes], before)
      assert.deepEqual(receive(datagrams.slice(2), keys, reassembly), { ok: true, value: payloads })
    }
  })

  test('fragments too short for IV, one block and ICV', () => {
    const [datagram] = cut(cbc)
    for (const length of [0, 3, 4, 20, 36, 51]) {
      const short = datagram.slice(0, 32 + length)
      short.set(u16Bytes(4 + length), 30)
      short.set(u16Bytes(32 + length), 26)
      const decoded = decodeFragment(short)
      const reason = decoded.ok
        ? reasonOf(openFragment(short, decoded.value, cbc, new Reassembly(), 0))
        : reasonOf(decoded)
      assert.equal(reason, length < 4 ? 'ike-payload-length' : 'ike-sk-short')
    }
  })
})

describe('G3', () => {
  test('10,000 half messages: memory and count stay capped, time is linear, an honest one still completes', () => {
    const reassembly = new Reassembly()
    const honest = cut(gcm)
    const { skf } = fragmentOf(honest[0])
    const plain = new Uint8Array(1180)
    const started = threadTime()
    for (let spi = 1n; spi <= 10_000n; spi++) {
      const header = { ...fields, initiatorSpi: spi, responderSpi: 7n }
      assert.equal(reassembly.judge(header, skf, Number(spi)), null)
      assert.deepEqual(reassembly.add(header, skf, plain, Number(spi)), waits)
    }
    const spent = threadTime() - started
    assert.ok(spent < 5_000, `${spent} ms of processor time`)
    assert.ok(reassembly.messages <= defaultReassemblyLimits.messages)
    assert.ok(reassembly.bytes <= defaultReassemblyLimits.bytes)
    assert.equal(reassembly.messages + reassembly.evicted, 10_000)
    assert.deepEqual(receive(honest, gcm, reassembly, 10_001), { ok: true, value: payloads })
    reassembly.expire(200_000)
    assert.deepEqual([reassembly.messages, reassembly.bytes], [0, 0])
  })

  test('bytes are capped over all messages', () => {
    const reassembly = new Reassembly({ ...defaultReassemblyLimits, bytes: 5000 })
    for (let spi = 1n; spi <= 20n; spi++)
      receive(cut(gcm, 1232, payloads, { responderSpi: spi }).slice(1), gcm, reassembly)
    assert.ok(reassembly.bytes <= 5000)
    assert.equal(reassembly.messages + reassembly.evicted, 20)
  })
})

describe('G4', () => {
  test('not negotiated: decodeMessage refuses every fragment by its name', () => {
    for (const each of cut(gcm)) {
      const decoded = decodeMessage(each)
      assert.equal(reasonOf(decoded), 'ike-fragment')
      assert.ok(isFragment(decoded))
    }
  })

  test('a fragment of IKE_SA_INIT, and a whole message where a fragment is expected', () => {
    const [init] = cut(gcm, 1232, payloads, { exchange: Exchange.IKE_SA_INIT })
    assert.equal(reasonOf(decodeFragment(init)), 'ike-fragment')
    const [whole] = cut(gcm, 9000)
    assert.equal(reasonOf(decodeFragment(whole)), 'ike-fragment')
  })

  test('no bytes make it throw', () => {
    const [first] = cut(gcm)
    fc.assert(
      fc.property(fc.nat(60), fc.uint8Array({ maxLength: 20 }), (at, bytes) => {
        const damaged = Uint8Array.from(first)
        damaged.set(bytes, at)
        const decoded = decodeFragment(damaged)
        if (decoded.ok) openFragment(damaged, decoded.value, gcm, new Reassembly(), 0)
      }),
      { numRuns: 1000 },
    )
    assert.equal(reasonOf(decodeFragment(fromHex('35'))), 'ike-short')
  })

  test('bytes behind SKF are no fragment', () => {
    const [first] = cut(gcm)
    const longer = concat(first, new Uint8Array(4))
    longer.set(u16Bytes(longer.length), 26)
    assert.equal(reasonOf(decodeFragment(longer)), 'ike-sk-not-last')
  })
})
