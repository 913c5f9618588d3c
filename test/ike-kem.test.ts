// ML-KEM as jobs and as KE payloads (FIPS 203, draft-ietf-ipsecme-ikev2-mlkem): lengths, agreement, what is refused.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { runCryptoJob } from '../control/crypto/jobs.ts'
import {
  checkKemCiphertext,
  checkKemPublic,
  kemCiphertextLength,
  kemPublicLength,
} from '../control/crypto/kem.ts'
import type { Kem } from '../control/ports.ts'
import { made } from './support/hybrid-ike.ts'

const KEMS: Kem[] = ['mlkem-512', 'mlkem-768', 'mlkem-1024']

describe('ML-KEM', () => {
  for (const kem of KEMS)
    test(`${kem}: both ends get the same 32 bytes; a key and a ciphertext have the lengths of FIPS 203`, () => {
      const pair = made(runCryptoJob({ kind: 'kem-generate', kem }), 'kem-generate')
      assert.equal(pair.publicValue.length, { 'mlkem-512': 800, 'mlkem-768': 1184, 'mlkem-1024': 1568 }[kem])
      assert.equal(checkKemPublic(kem, pair.publicValue), null)
      const peerPublic = pair.publicValue
      const sent = made(runCryptoJob({ kind: 'kem-encapsulate', kem, peerPublic }), 'kem-encapsulate')
      assert.equal(sent.ciphertext.length, { 'mlkem-512': 768, 'mlkem-768': 1088, 'mlkem-1024': 1568 }[kem])
      assert.equal(checkKemCiphertext(kem, sent.ciphertext), null)
      const { privateValue } = pair
      const job = { kind: 'kem-decapsulate', kem, privateValue, ciphertext: sent.ciphertext } as const
      const { secret } = made(runCryptoJob(job), 'kem-decapsulate')
      assert.deepEqual([secret.length, secret], [32, sent.secret])
      job.ciphertext[7] ^= 1
      assert.notDeepEqual(made(runCryptoJob(job), 'kem-decapsulate').secret, sent.secret)
    })

  for (const kem of KEMS)
    test(`${kem}: lengths that differ by one and coefficients of q and above are refused before use`, () => {
      const pair = made(runCryptoJob({ kind: 'kem-generate', kem }), 'kem-generate')
      const good = pair.publicValue
      const length = kemPublicLength(kem)
      for (const bytes of [0, 1, length - 1, length + 1])
        assert.equal(checkKemPublic(kem, new Uint8Array(bytes))?.reason, 'ike-ke-length')
      for (const bytes of [0, 1, kemCiphertextLength(kem) - 1, kemCiphertextLength(kem) + 1])
        assert.equal(checkKemCiphertext(kem, new Uint8Array(bytes))?.reason, 'ike-ke-length')
      const ends = [0, 3, length - 32 - 3]
      const patches = [
        [0x01, 0x0d, 0x00], // the first of the pair is 3329
        [0xff, 0x0f, 0x00], // 4095
        [0x00, 0x10, 0xd0], // the second is 3329
      ]
      for (const at of ends)
        for (const patch of patches) {
          const bad = good.slice()
          bad.set(patch, at)
          assert.equal(checkKemPublic(kem, bad)?.reason, 'ike-ke-value', `${patch} at ${at}`)
          assert.equal(runCryptoJob({ kind: 'kem-encapsulate', kem, peerPublic: bad }).kind, 'failed')
        }
      const edge = good.slice()
      edge.set([0x00, 0x0d, 0xd0], 0) // 3328 twice
      assert.equal(checkKemPublic(kem, edge), null)
      edge.fill(0xff, length - 32) // the last 32 bytes are no coefficients
      assert.equal(checkKemPublic(kem, edge), null)
    })
})
