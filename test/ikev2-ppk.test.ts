// Post-quantum pre-shared keys (RFC 8784): every combination of what the two ends have and require.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, test } from 'node:test'
import { decodePpkId, encodePpkId, mixPpk } from '../control/crypto/ppk.ts'
import type { PeerConfig } from '../control/sa/contract.ts'
import { NotifyStatus } from '../control/wire/notify.ts'
import { assertUp, IkeBed } from './support/ike-bed.ts'
import { certificateFor, peerA, peerB, testCa } from './support/ike-peers.ts'
import { notifyTypes, RawPeer } from './support/raw-ike.ts'

const { USE_PPK, PPK_IDENTITY } = NotifyStatus
type Ppk = NonNullable<PeerConfig['ppk']>
const ppk = (required: boolean, more: Partial<Ppk> = {}): { ppk: Ppk } => ({
  ppk: { id: 'quantum', key: new Uint8Array(32).fill(9), required, ...more },
})

function connect(a: Partial<PeerConfig>, b: Partial<PeerConfig>): IkeBed {
  const bed = new IkeBed().configure(peerA(a), peerB(b))
  bed.a.initiate()
  return bed.settle()
}

describe('keys', () => {
  test('SK_x = prf+(PPK, SK_x’), the first block of which is HMAC(PPK, SK_x’ | 1)', () => {
    const keys = {
      d: new Uint8Array(32).fill(1),
      pi: new Uint8Array(32).fill(2),
      pr: new Uint8Array(32).fill(3),
    }
    const secret = new Uint8Array(32).fill(9)
    const mixed = mixPpk('sha256', secret, keys)
    for (const name of ['d', 'pi', 'pr'] as const) {
      const expected = createHmac('sha256', secret).update(keys[name]).update(Uint8Array.of(1)).digest()
      assert.deepEqual(mixed[name], new Uint8Array(expected))
    }
  })

  test('names: PPK_ID_FIXED is read, everything else is no name', () => {
    assert.equal(decodePpkId(encodePpkId('quäntum')), 'quäntum')
    for (const data of [[], [2], [1, 65], [3, 65], [2, 0xff]])
      assert.equal(decodePpkId(Uint8Array.from(data)), null)
  })
})

describe('what the two ends have and require', () => {
  const none = {}
  const cases: [string, Partial<PeerConfig>, Partial<PeerConfig>, 'with' | 'without' | 'refused'][] = [
    ['both have it', ppk(false), ppk(false), 'with'],
    ['both require it', ppk(true), ppk(true), 'with'],
    ['the initiator requires it', ppk(true), ppk(false), 'with'],
    ['the responder requires it', ppk(false), ppk(true), 'with'],
    ['only the initiator has it', ppk(false), none, 'without'],
    ['only the responder has it', none, ppk(false), 'without'],
    ['neither has it', none, none, 'without'],
    ['the initiator requires it, the responder has none', ppk(true), none, 'refused'],
    ['the responder requires it, the initiator has none', none, ppk(true), 'refused'],
    ['other names, both may do without', ppk(false), ppk(false, { id: 'other' }), 'without'],
    ['other names, the initiator requires', ppk(true), ppk(false, { id: 'other' }), 'refused'],
    ['other names, the responder requires', ppk(false), ppk(true, { id: 'other' }), 'refused'],
    ['other keys', ppk(false), ppk(false, { key: new Uint8Array(32).fill(8) }), 'refused'],
  ]
  for (const [name, a, b, outcome] of cases) {
    test(`${name}: ${outcome}`, () => {
      const bed = connect(a, b)
      if (outcome === 'refused') {
        assert.equal(bed.a.failed[0].reason, 'auth-failed')
        bed.run(60_000)
        assert.deepEqual([bed.a.up.size, bed.b.up.size, bed.b.installed.size], [0, 0, 0])
        assert.ok([...bed.a.reports, ...bed.b.reports].some((each) => each.code === 'auth-failed'))
        return
      }
      assertUp(bed)
      assert.deepEqual([bed.a.reports, bed.b.reports, bed.a.drops], [[], [], []])
      for (const side of [bed.a, bed.b]) {
        side.do(side.engine.rekeyIke(side.ikeIds()[0], bed.now))
        bed.run(6_000)
        side.do(side.engine.rekeyChild(side.sender().child, bed.now))
        bed.run(6_000)
        assertUp(bed)
      }
    })
  }

  test('the operator reads which', () => {
    const texts = (bed: IkeBed) => [...bed.a.reports, ...bed.b.reports].map((each) => each.text).join('\n')
    assert.match(texts(connect(ppk(true), none)), /our ppk is required, and the peer does not use/)
    assert.match(texts(connect(none, ppk(true))), /it did not use our ppk, which is required/)
    assert.match(texts(connect(ppk(true), ppk(false, { id: 'other' }))), /requires a ppk that we do not have/)
  })

  test('signatures: made twice where the PPK is optional, once where it is required', () => {
    const trust = [{ name: 'test', der: testCa().der }]
    const rsa = { localAuth: 'rsa-signature', remoteAuth: 'rsa-signature', trust } as const
    const [certA, certB] = [certificateFor('a.example.net'), certificateFor('b.example.net')]
    for (const required of [false, true]) {
      const bed = connect(
        { ...rsa, ...ppk(required), certificate: certA },
        { ...rsa, ...ppk(required), certificate: certB },
      )
      assertUp(bed)
      assert.equal(bed.a.jobKinds.filter((kind) => kind === 'sign').length, required ? 1 : 2)
    }
    assertUp(connect({ ...rsa, ...ppk(false), certificate: certA }, { ...rsa, certificate: certB }))
  })
})

describe('on the wire', () => {
  test('USE_PPK is answered only by who has one, PPK_IDENTITY without data only by who used it', () => {
    const notify = { kind: 'NOTIFY' as const, protocol: 0, spi: new Uint8Array(0), data: new Uint8Array(0) }
    for (const config of [peerB(), peerB(ppk(false))]) {
      const peer = new RawPeer(new IkeBed().configure([], config), peerA())
      const answer = peer.init([...peer.initPayloads(), { ...notify, type: USE_PPK }])
      assert.equal(notifyTypes(answer.payloads).includes(USE_PPK), config.ppk !== undefined)
      const auth = peer.auth()! // without naming a PPK: allowed where none is required
      assert.equal(notifyTypes(auth).includes(PPK_IDENTITY), false)
      assert.equal(peer.victim.up.size, 1)
    }
  })

  test('a request that names our PPK although it was not agreed on in IKE_SA_INIT is not believed', () => {
    const peer = new RawPeer(new IkeBed().configure([], peerB(ppk(false))), peerA())
    peer.init()
    const data = encodePpkId('quantum')
    const named = { kind: 'NOTIFY' as const, protocol: 0, spi: new Uint8Array(0), type: PPK_IDENTITY, data }
    assert.deepEqual(notifyTypes(peer.auth([named])!), [24])
  })
})
