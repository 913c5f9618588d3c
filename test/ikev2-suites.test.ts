// Two engines under every cipher, hash and PRF that an IKE SA may run with: handshake, rekeys across suites, and the wire.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { IkeCipher } from '../control/config/model.ts'
import { skCiphers } from '../control/crypto/sk.ts'
import type { IkeSuite } from '../control/sa/contract.ts'
import { isAead } from '../control/wire/transforms.ts'
import { assertUp, IkeBed, type Side } from './support/ike-bed.ts'
import { peerA, peerB } from './support/ike-peers.ts'

const hashes = ['md5', 'sha1', 'sha256', 'sha384', 'sha512'] as const
const blockCiphers = [...skCiphers].filter((cipher) => !isAead(cipher)) as IkeCipher[]

function up(ikeProposals: IkeSuite[], theirs = ikeProposals): IkeBed {
  const bed = new IkeBed().configure(peerA({ ikeProposals }), peerB({ ikeProposals: theirs }))
  bed.a.initiate()
  bed.settle()
  assertUp(bed)
  return bed
}

/** The IKE SA as both ends show it. */
function shown(bed: IkeBed): string[] {
  const views = [bed.a, bed.b].map((side) => {
    const sa = side.engine.ikeSas(bed.now).find(({ state }) => state === 'established')!
    return `${sa.encryption} ${sa.authentication} ${sa.prf}`
  })
  assert.equal(views[0], views[1])
  return views[0].split(' ')
}

function rekeyAll(bed: IkeBed): void {
  const renew = (side: Side) => {
    side.do(side.engine.rekeyChild(side.sender().child, bed.now))
    bed.run(6_000)
    side.do(side.engine.rekeyIke(side.ikeIds()[0], bed.now))
    bed.run(6_000)
    assertUp(bed)
  }
  renew(bed.a)
  renew(bed.b)
}

describe('every suite comes up and is renewed from both ends', () => {
  for (const encryption of blockCiphers)
    for (const hash of hashes)
      test(`${encryption}, ${hash}`, () => {
        const prf = hashes[(hashes.indexOf(hash) + 1) % hashes.length] // PRF and integrity are independent (§2.13)
        const bed = up([{ encryption, integrity: hash, prf, dhGroup: 31 }])
        assert.deepEqual(shown(bed), [encryption, hash, prf])
        rekeyAll(bed)
        assert.deepEqual([bed.a.drops, bed.b.drops], [[], []])
      })
})
