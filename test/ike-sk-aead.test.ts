// SK payloads under AEAD ciphers (RFC 5282, RFC 7634): known answer, an oracle from the clauses, and IVs that never come twice.

import assert from 'node:assert/strict'
import { createCipheriv, randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  isSkSuite,
  open,
  openBytes,
  protect,
  protectWith,
  type SkKeys,
  skCiphers,
} from '../control/crypto/sk.ts'
import { cipherKeyLength } from '../control/crypto/suite.ts'
import type { EspCipher } from '../control/ports.ts'
import { concat, fromHex, hex, u64 } from '../control/wire/bytes.ts'
import { decodeMessage, isProtected } from '../control/wire/message.ts'
import { isAead } from '../control/wire/transforms.ts'
import type { Payload, ProtectedMessage } from '../control/wire/types.ts'
import { Exchange } from '../control/wire/types.ts'

const random = (length: number) => new Uint8Array(randomBytes(length))
const noRandom = (): Uint8Array => assert.fail('an AEAD IV is no random number')
const aeads = [...skCiphers].filter(isAead)
const fields = {
  initiatorSpi: 0x0102030405060708n,
  responderSpi: 9n,
  exchange: Exchange.INFORMATIONAL,
  initiator: true,
  response: false,
  messageId: 7,
}
const payloads: Payload[] = [
  { kind: 'VENDOR', data: random(33) },
  { kind: 'DELETE', protocol: 3, spis: [Uint8Array.of(1, 2, 3, 4)] },
]

function keysOf(cipher: EspCipher): SkKeys {
  return {
    cipher,
    integrity: null,
    encryptionKey: random(cipherKeyLength(cipher)),
    integrityKey: new Uint8Array(0),
  }
}

function sealed(datagram: Uint8Array): ProtectedMessage {
  const decoded = decodeMessage(datagram)
  assert.ok(decoded.ok && isProtected(decoded.value))
  return decoded.value
}

describe('known answers and an oracle', () => {
  test('the message of RFC 7634 appendix B, made and opened', () => {
    const key = '808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f'
    const keys: SkKeys = {
      cipher: 'chacha20-poly1305',
      integrity: null,
      encryptionKey: fromHex(`${key}a0a1a2a3`),
      integrityKey: new Uint8Array(0),
    }
    const header = {
      initiatorSpi: 0xc0c1c2c3c4c5c6c7n,
      responderSpi: 0xd0d1d2d3d4d5d6d7n,
      exchange: Exchange.INFORMATIONAL,
      initiator: false,
      response: false,
      messageId: 9,
    }
    const inside: Payload[] = [
      { kind: 'NOTIFY', protocol: 0, spi: new Uint8Array(0), type: 16385, data: Uint8Array.of(0, 0, 0, 10) },
    ]
    const wanted = [
      'c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e202500000000090000004529000029',
      '1011121314151617',
      '610394701f8d017f7c12924889',
      '6b71bfe25236efd7cdc67066906315b2',
    ].join('')
    assert.equal(hex(protectWith(header, inside, keys, fromHex('1011121314151617'))), wanted)
    const datagram = fromHex(wanted)
    const opened = open(datagram, sealed(datagram).sk, keys)
    assert.ok(opened.ok)
    assert.deepEqual(opened.value, inside)
  })

  /** RFC 5282 §3, §5.1 step by step: header and SK header are the associated data, the nonce is salt | IV. */
  function naive(cipher: EspCipher, keys: SkKeys, aad: Uint8Array, iv: Uint8Array, plain: Uint8Array) {
    const name = { 'aes-gcm-128': 'aes-128-gcm', 'aes-gcm-256': 'aes-256-gcm' }[cipher as string]
    const key = keys.encryptionKey.slice(0, -4)
    const nonce = Buffer.concat([keys.encryptionKey.slice(-4), iv])
    const options = { authTagLength: 16 }
    const context = createCipheriv((name ?? 'chacha20-poly1305') as 'aes-256-gcm', key, nonce, options)
    context.setAAD(aad, { plaintextLength: plain.length })
    return concat(iv, context.update(plain), context.final(), context.getAuthTag())
  }

  test('every AEAD cipher makes what the clauses say, without padding, whatever the length', () => {
    fc.assert(
      fc.property(fc.constantFrom(...aeads), fc.uint8Array({ maxLength: 300 }), (cipher, data) => {
        const keys = keysOf(cipher)
        const iv = random(8)
        const datagram = protectWith(fields, [{ kind: 'VENDOR', data }], keys, iv)
        const plain = concat(Uint8Array.of(0, 0, (data.length + 4) >> 8, (data.length + 4) & 255), data)
        const aad = datagram.subarray(0, 32)
        const body = naive(cipher, keys, aad, iv, concat(plain, Uint8Array.of(0)))
        assert.equal(hex(datagram.subarray(32)), hex(body))
        assert.equal(sealed(datagram).header.length, 32 + 8 + plain.length + 1 + 16)
        assert.deepEqual(openBytes(datagram, sealed(datagram).sk, keys), { ok: true, value: plain })
      }),
      { numRuns: 200 },
    )
  })

  test('padding that a peer adds is taken off (RFC 5282 §3)', () => {
    const keys = keysOf('aes-gcm-256')
    const aad = concat(
      protectWith(fields, [], keys, random(8)).subarray(0, 28),
      Uint8Array.of(0, 0, 0, 4 + 8 + 6 + 16),
    )
    const iv = random(8)
    const datagram = concat(aad, naive('aes-gcm-256', keys, aad, iv, Uint8Array.of(9, 9, 9, 9, 9, 5)))
    const opened = openBytes(datagram, { nextPayload: 0, body: datagram.subarray(32), offset: 32 }, keys)
    assert.deepEqual(opened, { ok: true, value: new Uint8Array(0) })
  })
})

describe('C1, C2', () => {
  test('any flipped bit of header, IV, ciphertext or tag fails the check and nothing else', () => {
    for (const cipher of aeads) {
      const keys = keysOf(cipher)
      const datagram = protect(fields, payloads, keys, noRandom)
      const { sk } = sealed(datagram)
      for (let bit = 0; bit < datagram.length * 8; bit++) {
        const damaged = Uint8Array.from(datagram)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        const result = openBytes(damaged, { ...sk, body: damaged.subarray(sk.offset) }, keys)
        assert.deepEqual(result, { ok: false, reason: 'ike-icv' })
      }
    }
  })

  test('a key or a salt of another SA opens nothing', () => {
    const keys = keysOf('aes-gcm-128')
    const datagram = protect(fields, payloads, keys, noRandom)
    for (const at of [0, 15, 16, 19]) {
      const encryptionKey = Uint8Array.from(keys.encryptionKey)
      encryptionKey[at] ^= 1
      const result = open(datagram, sealed(datagram).sk, { ...keys, encryptionKey })
      assert.deepEqual(result, { ok: false, reason: 'ike-icv' })
    }
  })

  test('bodies of every short length are refused without notify', () => {
    const keys = keysOf('chacha20-poly1305')
    for (let length = 0; length < 60; length++) {
      const datagram = concat(new Uint8Array(32), random(length))
      const result = openBytes(datagram, { nextPayload: 0, body: datagram.subarray(32), offset: 32 }, keys)
      assert.ok(!result.ok && result.notify === undefined)
      assert.equal(result.reason, length < 8 + 1 + 16 ? 'ike-sk-short' : 'ike-icv')
    }
  })

  test('authentic with a pad length past its start is INVALID_SYNTAX', () => {
    const keys = keysOf('aes-gcm-256')
    const aad = concat(protectWith(fields, [], keys, random(8)).subarray(0, 28), Uint8Array.of(0, 0, 0, 31))
    const nonce = concat(keys.encryptionKey.subarray(32), new Uint8Array(8))
    const context = createCipheriv('aes-256-gcm', keys.encryptionKey.subarray(0, 32), nonce)
    context.setAAD(aad)
    const plain = context.update(Uint8Array.of(1, 2, 3))
    context.final()
    const datagram = concat(aad, new Uint8Array(8), plain, context.getAuthTag())
    const result = open(datagram, { nextPayload: 43, body: datagram.subarray(32), offset: 32 }, keys)
    assert.ok(!result.ok)
    assert.deepEqual([result.reason, result.notify?.type], ['ike-sk-padding', 7])
  })
})

describe('J4: IVs', () => {
  const ivOf = (datagram: Uint8Array) => u64(datagram, 32)

  test('count from zero under each key and use no entropy', () => {
    for (const cipher of aeads) {
      const keys = keysOf(cipher)
      const ivs = Array.from({ length: 50 }, () => ivOf(protect(fields, payloads, keys, noRandom)))
      assert.deepEqual(
        ivs,
        ivs.map((_, index) => BigInt(index)),
      )
    }
  })

  test('go on when the same key comes in another record, and are apart for the two directions', () => {
    const [ours, theirs] = [keysOf('aes-gcm-256'), keysOf('aes-gcm-256')]
    protect(fields, payloads, ours, noRandom)
    assert.equal(ivOf(protect(fields, payloads, { ...ours }, noRandom)), 1n)
    assert.equal(ivOf(protect(fields, payloads, theirs, noRandom)), 0n)
  })

  test('of block ciphers are random and as long as the block', () => {
    const asked: number[] = []
    const record = (length: number) => {
      asked.push(length)
      return random(length)
    }
    for (const cipher of ['des', '3des', 'aes-256'] as const) {
      protect(fields, payloads, { ...keysOf(cipher), integrity: 'md5', integrityKey: random(16) }, record)
    }
    assert.deepEqual(asked, [8, 8, 16])
  })
})

test('AEAD takes no integrity, every other cipher needs one, null is no cipher of IKE', () => {
  for (const cipher of skCiphers) {
    assert.equal(isSkSuite(cipher, null), isAead(cipher))
    assert.equal(isSkSuite(cipher, 'none'), isAead(cipher))
    assert.equal(isSkSuite(cipher, 'sha256'), !isAead(cipher))
  }
  assert.equal(isSkSuite('null', 'sha256'), false)
  const wrong: SkKeys = { ...keysOf('aes-gcm-256'), integrity: 'sha256', integrityKey: random(32) }
  assert.throws(() => protect(fields, [], wrong, random), /aes-gcm-256 and sha256 are not built/)
})

describe('DES and 3DES (RFC 2405, 2451)', () => {
  test('DES is EDE with one key, 3DES uses its three keys in order', () => {
    for (const [cipher, key] of [
      ['des', random(8)],
      ['3des', random(24)],
    ] as const) {
      const keys: SkKeys = { cipher, integrity: 'sha1', encryptionKey: key, integrityKey: random(20) }
      const iv = random(8)
      const datagram = protectWith(fields, [{ kind: 'VENDOR', data: random(11) }], keys, iv)
      const { sk } = sealed(datagram)
      const inside = openBytes(datagram, sk, keys)
      assert.ok(inside.ok)
      const openssl = cipher === 'des' ? Buffer.concat([key, key, key]) : key
      const context = createCipheriv('des-ede3-cbc', openssl, iv)
      context.setAutoPadding(false)
      const wanted = concat(iv, context.update(concat(inside.value, Uint8Array.of(0))), context.final())
      assert.equal(hex(sk.body.subarray(0, -12)), hex(wanted))
    }
  })
})
