// Every IKE suite that can be negotiated, through a whole life: handshake, renewal of Child SA and IKE SA in both
// directions, liveness, Delete (RFC 7296 §3.3, RFC 5282, RFC 7634, RFC 8247).

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { IkeCipher } from '../control/config/model.ts'
import { skCiphers } from '../control/crypto/sk.ts'
import type { DhGroup } from '../control/ports.ts'
import type { IkeSuite } from '../control/sa/contract.ts'
import { isAead } from '../control/wire/transforms.ts'
import { PayloadType } from '../control/wire/types.ts'
import { assertUp, IkeBed } from './support/ike-bed.ts'
import { peerA, peerB } from './support/ike-peers.ts'

const dpd = { interval: 10, retries: 3 }

function bedOf(suites: IkeSuite[], theirs = suites): IkeBed {
  const bed = new IkeBed().configure(
    peerA({ ikeProposals: suites, dpd }),
    peerB({ ikeProposals: theirs, dpd }),
  )
  bed.a.initiate()
  return bed.settle()
}

function wholeLife(suite: IkeSuite): void {
  const bed = bedOf([suite])
  assertUp(bed)
  for (const side of [bed.a, bed.b]) {
    side.do(side.engine.rekeyChild(side.sender().child, bed.now))
    bed.run(6_000)
    side.do(side.engine.rekeyIke(side.ikeIds()[0], bed.now))
    bed.run(20_000)
    assertUp(bed)
  }
  for (const side of [bed.a, bed.b]) {
    const { encryption, authentication, prf, dhGroup } = side.engine.ikeSas(bed.now)[0]
    assert.deepEqual(
      [encryption, authentication, prf, dhGroup],
      [suite.encryption, suite.integrity ?? 'aead', suite.prf, suite.dhGroup],
    )
  }
  bed.a.do(bed.a.engine.clear('t', 'cleared', bed.now))
  bed.run(40_000)
  assert.deepEqual([bed.a.up.size, bed.b.up.size, bed.b.installed.size], [0, 0, 0])
  assert.deepEqual([bed.a.drops, bed.b.drops], [[], []])
}

describe('ciphers, integrity and PRF, which are negotiated apart (§2.13)', () => {
  const hashes = ['md5', 'sha1', 'sha256', 'sha384', 'sha512'] as const
  for (const encryption of skCiphers)
    for (const hash of hashes) {
      const [integrity, prf] = isAead(encryption)
        ? [null, hash]
        : [hash, hashes[(hashes.indexOf(hash) + 1) % hashes.length]]
      test(`${encryption}, ${integrity ?? 'AEAD'}, PRF ${prf}`, () =>
        wholeLife({ encryption: encryption as IkeCipher, integrity, prf, dhGroup: 31 }))
    }
})

describe('Diffie-Hellman groups', () => {
  for (const dhGroup of [1, 2, 5, 14, 15, 16, 19, 20, 21, 31] as const) {
    test(`group ${dhGroup}`, () =>
      wholeLife({ encryption: 'aes-128', integrity: 'sha1', prf: 'sha1', dhGroup }))
  }

  for (const dhGroup of [17, 18] as const satisfies DhGroup[]) {
    test(`group ${dhGroup}: once, it costs time; its KE payload makes IKE_SA_INIT a large datagram`, () => {
      const bed = bedOf([{ encryption: 'aes-128', integrity: 'sha256', prf: 'sha256', dhGroup }])
      assertUp(bed)
      assert.ok(bed.log[0].data.length > (dhGroup === 17 ? 768 : 1_024))
    })
  }
})

describe('choice', () => {
  const gcm: IkeSuite = { encryption: 'aes-gcm-256', integrity: null, prf: 'sha512', dhGroup: 31 }
  const cbc: IkeSuite = { encryption: 'aes-256', integrity: 'sha256', prf: 'sha256', dhGroup: 31 }
  const chosen = (bed: IkeBed) => bed.a.engine.ikeSas(bed.now)[0].encryption

  test('AEAD and block ciphers stand side by side in one offer', () => {
    assert.equal(chosen(bedOf([gcm, cbc])), 'aes-gcm-256')
    assert.equal(chosen(bedOf([cbc, gcm], [gcm])), 'aes-gcm-256')
    assert.equal(chosen(bedOf([gcm, cbc], [cbc])), 'aes-256')
  })

  test('a renewal may change the suite', () => {
    const bed = bedOf([cbc])
    bed.configure(peerA({ ikeProposals: [gcm] }), peerB({ ikeProposals: [gcm] }))
    bed.a.do(bed.a.engine.rekeyIke(bed.a.ikeIds()[0], bed.now))
    assertUp(bed.settle())
    assert.equal(chosen(bed), 'aes-gcm-256')
    bed.b.do(bed.b.engine.rekeyChild(bed.b.sender().child, bed.now))
    bed.run(6_000)
    assertUp(bed)
  })

  test('a pair that is no suite never reaches the wire', () => {
    for (const wrong of [
      { ...gcm, integrity: 'sha256' as const },
      { ...cbc, integrity: null },
      { ...cbc, integrity: 'none' as const },
      { ...gcm, prf: 'none' as const },
      { ...cbc, encryption: 'null' as const },
    ]) {
      const bed = new IkeBed()
      assert.throws(() => bed.a.engine.setPeer(peerA({ ikeProposals: [wrong as IkeSuite] })), RangeError)
    }
  })
})

describe('AEAD in IKE messages', () => {
  const suite: IkeSuite = { encryption: 'aes-gcm-128', integrity: null, prf: 'sha256', dhGroup: 31 }

  test('no IV twice under one key, in either direction, over repetitions and renewals', () => {
    const bed = bedOf([suite])
    let lost = 0
    bed.impairment = () => (lost++ % 3 === 0 ? [] : [0])
    for (let round = 0; round < 6; round++) {
      const side = round % 2 ? bed.a : bed.b
      side.do(side.engine.rekeyChild(side.sender().child, bed.now))
      bed.run(10_000)
    }
    const seen = new Map<string, string>()
    for (const { local, data } of bed.log) {
      if (data[16] !== PayloadType.SK) continue
      const bytes = Buffer.from(data)
      const key = `${local.address} ${bytes.toString('hex', 0, 16)} ${bytes.toString('hex', 32, 40)}`
      const content = bytes.toString('hex')
      assert.equal(seen.get(key) ?? content, content, 'the same IV only for the same message')
      seen.set(key, content)
    }
    assert.ok(seen.size > 20)
  })

  test('any bit of the message flipped: silent', () => {
    const bed = bedOf([suite])
    bed.impairment = () => []
    bed.a.do(bed.a.engine.rekeyChild(bed.a.sender().child, bed.now))
    const { data } = bed.log.at(-1)!
    const remote = { address: bed.a.address, port: 500 }
    const local = { address: bed.b.address, port: 500 }
    for (let at = 28; at < data.length; at++) {
      const broken = data.slice()
      broken[at] ^= 1 << (at % 8)
      bed.b.do(bed.b.engine.receive({ local, remote, data: broken }, bed.now))
    }
    assert.equal(bed.b.drops.length, data.length - 28)
    assert.equal(bed.b.installed.size, 1)
    bed.b.do(bed.b.engine.receive({ local, remote, data }, bed.now))
    assert.equal(bed.b.installed.size, 2)
  })
})
