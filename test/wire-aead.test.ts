// AEAD suites on the wire (RFC 5282 §7, RFC 7296 §3.3): proposals without INTEG, of IKE and of ESP, and what refuses them.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ChildSuite, IkeSuite } from '../control/sa/contract.ts'
import {
  acceptChildAnswer,
  acceptIkeAnswer,
  chooseChildProposal,
  chooseIkeProposal,
  describeChildSuite,
  describeIkeSuite,
  encodeChildProposals,
  encodeIkeProposals,
  spiBytes,
} from '../control/wire/proposals.ts'
import { decodeSa, encodeSa } from '../control/wire/sa-payload.ts'
import type { Proposal, Transform } from '../control/wire/types.ts'

const none = new Uint8Array(0)
const spi = spiBytes(0x1000)
const aeads = ['aes-gcm-128', 'aes-gcm-256', 'chacha20-poly1305'] as const
const ike = (encryption: (typeof aeads)[number]): IkeSuite => ({
  encryption,
  integrity: null,
  prf: 'sha384',
  dhGroup: 31,
})
const esp = (cipher: (typeof aeads)[number]): ChildSuite => ({
  cipher,
  integrity: null,
  esn: true,
  dhGroup: 31,
})
const cbc: IkeSuite = { encryption: 'aes-256', integrity: 'sha256', prf: 'sha256', dhGroup: 14 }
const encr = (id: number, keyLength?: number): Transform =>
  keyLength === undefined ? { type: 1, id } : { type: 1, id, keyLength }

/** Through the bytes of an SA payload, as a peer gets it. */
function overTheWire(proposals: Proposal[]): Proposal[] {
  const decoded = decodeSa(encodeSa(proposals))
  assert.ok(decoded.ok)
  return decoded.value
}

describe('offers', () => {
  test('every AEAD suite is offered, chosen and accepted as itself', () => {
    for (const name of aeads) {
      const wire = overTheWire(encodeIkeProposals([ike(name)], none))
      const chosen = chooseIkeProposal(wire, [ike(name)])
      assert.ok(chosen.ok)
      assert.ok(acceptIkeAnswer(overTheWire([chosen.proposal]), [ike(name)]).ok)
      for (const withDh of [true, false]) {
        const child = overTheWire(encodeChildProposals([esp(name)], spi, withDh))
        const taken = chooseChildProposal(child, [esp(name)], withDh)
        assert.ok(taken.ok)
        assert.ok(acceptChildAnswer(overTheWire([taken.proposal]), [esp(name)], withDh).ok)
      }
    }
  })

  test('no INTEG goes with them, the registry’s ids do, and a key length only where the cipher has a choice', () => {
    const encryption = aeads.map((name) => encodeIkeProposals([ike(name)], none)[0].transforms[0])
    assert.deepEqual(encryption, [encr(20, 128), encr(20, 256), encr(28)])
    for (const name of aeads) {
      const types = (proposal: Proposal) => proposal.transforms.map(({ type }) => type)
      assert.deepEqual(types(encodeIkeProposals([ike(name)], none)[0]), [1, 2, 4])
      assert.deepEqual(types(encodeChildProposals([esp(name)], spi, true)[0]), [1, 4, 5])
    }
  })

  test('AEAD and the others stand under numbers of their own (RFC 7296 §3.3)', () => {
    const wire = overTheWire(encodeIkeProposals([ike('aes-gcm-256'), cbc, ike('chacha20-poly1305')], none))
    assert.deepEqual(
      wire.map(({ number, transforms }) => [number, transforms.some(({ type }) => type === 3)]),
      [
        [1, false],
        [2, true],
        [3, false],
      ],
    )
  })

  test('texts are the words of the configuration', () => {
    assert.equal(describeIkeSuite(ike('aes-gcm-128')), 'ike: aes-gcm-128, prf-sha384, group-31')
    assert.equal(describeIkeSuite(ike('chacha20-poly1305')), 'ike: chacha20-poly1305, prf-sha384, group-31')
    assert.equal(describeChildSuite(esp('aes-gcm-256')), 'esp: aes-gcm-256, group-31, esn')
  })
})

describe('choices', () => {
  const [plain] = encodeIkeProposals([ike('aes-gcm-256')], none)
  const withTransforms = (...transforms: Transform[]): Proposal[] => [
    { ...plain, transforms: [...transforms, ...plain.transforms.slice(1)] },
  ]
  const mismatch = (offered: Proposal[], allowed: IkeSuite[]) => {
    const chosen = chooseIkeProposal(offered, allowed)
    return chosen.ok ? [] : chosen.refusal[0].mismatch
  }

  test('several AEAD ciphers in one proposal: ours is taken out, alone', () => {
    const offered = withTransforms(encr(28), encr(20, 256), encr(20, 128))
    const chosen = chooseIkeProposal(offered, [ike('aes-gcm-128')])
    assert.ok(chosen.ok)
    assert.deepEqual(chosen.proposal.transforms[0], encr(20, 128))
    assert.equal(chosen.proposal.transforms.length, 3)
  })

  test('the order of preference decides between AEAD and block cipher', () => {
    const offered = encodeIkeProposals([cbc, ike('aes-gcm-256')], none)
    const chosen = chooseIkeProposal(offered, [ike('aes-gcm-256'), cbc])
    assert.deepEqual(chosen.ok && [chosen.proposal.number, chosen.suite.encryption], [2, 'aes-gcm-256'])
  })

  test('an answer with INTEG NONE is the same suite, one with an INTEG is not', () => {
    const answer = (id: number) => [{ ...plain, transforms: [...plain.transforms, { type: 3, id }] }]
    assert.ok(acceptIkeAnswer(answer(0), [ike('aes-gcm-256')]).ok)
    assert.equal(acceptIkeAnswer(answer(12), [ike('aes-gcm-256')]).ok, false)
  })

  test('A12: a key length too few, too many or too odd chooses nothing', () => {
    const gcm = ike('aes-gcm-256')
    for (const transform of [encr(20), encr(20, 0), encr(20, 127), encr(20, 192), encr(20, 512)])
      assert.deepEqual(mismatch(withTransforms(transform), [gcm]), ['encryption aes-gcm-256'])
    const chacha = [ike('chacha20-poly1305')]
    assert.deepEqual(mismatch(withTransforms(encr(28, 256)), chacha), ['encryption chacha20-poly1305'])
  })

  test('shorter ICVs are other ciphers (RFC 5282 §7.2)', () => {
    for (const id of [18, 19])
      assert.deepEqual(mismatch(withTransforms(encr(id, 256)), [ike('aes-gcm-256')]), [
        'encryption aes-gcm-256',
      ])
  })

  test('a block cipher’s proposal for an AEAD suite names both differences', () => {
    const offered = encodeIkeProposals([{ ...cbc, prf: 'sha384', dhGroup: 31 }], none)
    assert.deepEqual(mismatch(offered, [ike('aes-gcm-256')]), [
      'encryption aes-gcm-256',
      'authentication offered, none allowed',
    ])
  })

  test('ESP: as IKE, for first and further Child SAs', () => {
    const [child] = encodeChildProposals([esp('aes-gcm-256')], spi, false)
    const integ = { ...child, transforms: [...child.transforms, { type: 3, id: 12 }] }
    assert.equal(chooseChildProposal([integ], [esp('aes-gcm-256')], false).ok, false)
    const noInteg = { ...child, transforms: [...child.transforms, { type: 3, id: 0 }] }
    const chosen = chooseChildProposal([noInteg], [esp('aes-gcm-256')], false)
    assert.deepEqual(chosen.ok && chosen.proposal, child)
  })
})
