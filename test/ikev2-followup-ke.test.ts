// Additional key exchanges when SAs are made and renewed: IKE_FOLLOWUP_KE after CREATE_CHILD_SA (RFC 9370 §2.2.4).

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { runCryptoJob } from '../control/crypto/jobs.ts'
import { protect } from '../control/crypto/sk.ts'
import type { Kem } from '../control/ports.ts'
import type { ChildSuite, PeerConfig } from '../control/sa/contract.ts'
import { concat, u64, u64Bytes } from '../control/wire/bytes.ts'
import { decodeMessage } from '../control/wire/message.ts'
import { NotifyError, NotifyStatus } from '../control/wire/notify.ts'
import { encodeChildProposals, encodeIkeProposals, spiBytes } from '../control/wire/proposals.ts'
import { Exchange, type Payload } from '../control/wire/types.ts'
import { HybridPeer, KEM_IDS, made, proposing, withKems } from './support/hybrid-ike.ts'
import { assertUp, IkeBed } from './support/ike-bed.ts'
import { childSuite, netA, netB, peerA, peerB, suite } from './support/ike-peers.ts'
import { LOWEST, loserOf, type Name, Play } from './support/ike-play.ts'
import { notifyTypes, pick } from './support/raw-ike.ts'
import { seeded } from './support/seeded.ts'

const LINK = NotifyStatus.ADDITIONAL_KEY_EXCHANGE
const none = new Uint8Array(0)

const childWith = (kems: Kem[]): ChildSuite => ({ ...childSuite, dhGroup: 31, additionalKe: kems })
const hybrid = (...kems: Kem[]): Partial<PeerConfig> => ({
  ...proposing(withKems(kems)),
  childProposals: [childWith(kems)],
})
const two = hybrid('mlkem-768', 'mlkem-512')

function connect(config: Partial<PeerConfig>, seed = 1): IkeBed {
  const bed = new IkeBed({ seed }).configure(peerA(config), peerB(config))
  bed.a.initiate()
  bed.settle()
  assertUp(bed)
  return bed
}

function renew(bed: IkeBed, what: 'child' | 'ike', name: Name = 'a'): void {
  const side = bed[name]
  const { engine } = side
  side.do(
    what === 'ike'
      ? engine.rekeyIke(side.ikeIds()[0], bed.now)
      : engine.rekeyChild(side.sender().child, bed.now),
  )
}

/** No tunnel went down and no SA went without a successor. */
function assertSteady(bed: IkeBed): void {
  for (const side of [bed.a, bed.b]) {
    assert.deepEqual([side.downs, side.failed], [[], []], side.name)
    assert.ok(side.removed.every((each) => each.reason === 'replaced'))
  }
}

describe('renewal', () => {
  for (const kems of [['mlkem-512'], ['mlkem-1024', 'mlkem-768', 'mlkem-512']] as Kem[][])
    for (const what of ['child', 'ike'] as const)
      for (const name of ['a', 'b'] as const)
        test(`${what} SA by ${name} with ${kems.join(', ')}`, () => {
          const bed = connect(hybrid(...kems))
          const before = { child: bed.a.sender().spiIn, ike: bed.a.ikeIds()[0] }
          for (let round = 0; round < 3; round++) {
            renew(bed, what, name)
            bed.run(6_000)
            assertUp(bed)
          }
          assert.notEqual(what === 'child' ? bed.a.sender().spiIn : bed.a.ikeIds()[0], before[what])
          const followUps = bed.log.filter((each) => each.data[18] === Exchange.IKE_FOLLOWUP_KE)
          assert.ok(followUps.length >= 2 * 3 * kems.length)
          assert.deepEqual([bed.a.drops, bed.b.drops, bed.a.reports, bed.b.reports], [[], [], [], []])
          assertSteady(bed)
        })

  test('a further Child SA, and the first one of an IKE SA without', () => {
    const bed = new IkeBed().configure(peerA({ ...two, childless: true }), peerB(two))
    bed.a.initiate()
    assertUp(bed.settle())
    assert.ok(bed.log.some((each) => each.data[18] === Exchange.IKE_FOLLOWUP_KE))
  })

  test('an IKE SA that came up without is renewed with, once both ends want it', () => {
    const bed = connect({})
    bed.configure(peerA(two), peerB(two))
    renew(bed, 'ike')
    bed.run(6_000)
    assertUp(bed)
    assert.deepEqual(bed.b.engine.ikeSas(bed.now)[0].additionalKe, ['mlkem-768', 'mlkem-512'])
  })

  test('an end that does not allow it refuses the renewal, the SA stays', () => {
    const bed = connect(two)
    bed.configure([], peerB({ ikeProposals: [suite], childProposals: [{ ...childSuite, dhGroup: 31 }] }))
    for (const what of ['ike', 'child'] as const) {
      renew(bed, what)
      bed.run(1_000)
      assertUp(bed)
    }
    assert.ok(bed.b.reports.every((each) => /additional-ke/.test(each.text)))
    assert.equal(bed.b.reports.length, 2)
  })

  test('each datagram lost once: nothing is lost with it', () => {
    for (const what of ['child', 'ike'] as const) {
      const whole = connect(two)
      const before = whole.log.length
      renew(whole, what)
      whole.run(1_000)
      for (let lost = 0; lost < whole.log.length - before; lost++) {
        const bed = connect(two)
        let index = 0
        bed.impairment = () => (index++ === lost ? [] : [0])
        renew(bed, what)
        bed.run(20_000)
        assertUp(bed)
        assertSteady(bed)
      }
    }
  })

  test('no secret of a renewal stays', () => {
    for (const what of ['child', 'ike'] as const) {
      const bed = connect(two)
      const secrets: Uint8Array[] = []
      renew(bed, what)
      do {
        for (const side of [bed.a, bed.b])
          for (let next = side.jobs[0]; next; next = side.jobs[0]) {
            const result = runCryptoJob(next.job)
            if ('secret' in result) secrets.push(result.secret)
            if ('privateValue' in result) secrets.push(result.privateValue)
            bed.compute(side, result)
          }
      } while (bed.deliver())
      assertUp(bed.run(10_000))
      assert.equal(secrets.length, 4 + 2 * 3)
      for (const secret of secrets) assert.ok(secret.every((byte) => byte === 0))
    }
  })
})

/** A raw initiator whose IKE SA is up and that renews by the formulas. */
class Renewer extends HybridPeer {
  ni = none as Uint8Array
  nr = none as Uint8Array
  secrets: Uint8Array[] = []
  link = none as Uint8Array

  constructor(kem: Kem, config: Partial<PeerConfig> = {}) {
    super(kem, suite, { childProposals: [childWith([kem])], ...config })
    this.start()
    this.takeKeys(pick(this.intermediate([this.keyPayload()])!, 'KE').data)
    assert.ok(this.auth())
  }

  /** CREATE_CHILD_SA with a Diffie-Hellman exchange; the answer's payloads. */
  create(proposals: Payload, more: Payload[] = []): Payload[] {
    this.ni = this.bed.random(32)
    const pair = made(runCryptoJob({ kind: 'dh-generate', group: 31 }), 'dh-generate')
    const payloads: Payload[] = [
      ...more,
      proposals,
      { kind: 'NONCE', data: this.ni },
      { kind: 'KE', group: 31, data: pair.publicValue },
    ]
    const answer = this.request(Exchange.CREATE_CHILD_SA, payloads)!
    const { privateValue } = pair
    const peerPublic = pick(answer, 'KE').data.slice()
    const job = { kind: 'dh-derive', group: 31, privateValue, peerPublic } as const
    this.nr = pick(answer, 'NONCE').data.slice()
    this.secrets = [made(runCryptoJob(job), 'dh-derive').secret]
    this.takeLink(answer)
    return answer
  }

  takeLink(answer: Payload[]): void {
    const found = answer.find((each) => each.kind === 'NOTIFY' && each.type === LINK)
    this.link = found?.kind === 'NOTIFY' ? found.data.slice() : none
  }

  linkPayload(data = this.link): Payload {
    return { kind: 'NOTIFY', protocol: 0, spi: none, type: LINK, data }
  }

  child(spi = 0xc000_0009): Payload[] {
    return [
      { kind: 'SA', proposals: encodeChildProposals([childWith([this.kem])], spiBytes(spi), true) },
      { kind: 'TSi', selectors: [netA] },
      { kind: 'TSr', selectors: [netB] },
    ]
  }

  createChild(): Payload[] {
    const [sa, ...selectors] = this.child()
    const old = { kind: 'NOTIFY' as const, protocol: 3, spi: spiBytes(0xc000_0001), type: 16393, data: none }
    return this.create(sa, [old, ...selectors])
  }

  followUp(payloads: Payload[]): Payload[] | null {
    const answer = this.request(Exchange.IKE_FOLLOWUP_KE, payloads)
    const ke = answer?.find((each) => each.kind === 'KE')
    if (ke?.kind !== 'KE') return answer
    const job = {
      kind: 'kem-decapsulate',
      kem: this.kem,
      privateValue: this.seed,
      ciphertext: ke.data,
    } as const
    this.secrets.push(made(runCryptoJob(job), 'kem-decapsulate').secret)
    return answer
  }

  /** prf+ of RFC 7296 §2.13. */
  stream(key: Uint8Array, seed: Uint8Array, length: number): Uint8Array {
    const blocks: Uint8Array[] = []
    for (let count = 1; count * 32 < length + 32; count++)
      blocks.push(this.hash(key, blocks.at(-1) ?? none, seed, Uint8Array.of(count)))
    return concat(...blocks).subarray(0, length)
  }
}

describe('against the formulas of RFC 9370 §2.2.4', () => {
  for (const kem of ['mlkem-512', 'mlkem-768', 'mlkem-1024'] as const) {
    test(`${kem}: KEYMAT = prf+(SK_d, SK(0) | Ni | Nr | SK(1)), and no SA before`, () => {
      const peer = new Renewer(kem)
      peer.createChild()
      assert.equal(peer.victim.installs, 1, 'the answer to CREATE_CHILD_SA installs nothing')
      const answer = peer.followUp([peer.keyPayload(), peer.linkPayload()])!
      assert.deepEqual(notifyTypes(answer), [], 'the last answer has no link')
      assert.equal(peer.victim.installs, 2)
      const child = [...peer.victim.installed.values()].at(-1)!
      const [dh, ke] = peer.secrets
      const keymat = peer.stream(peer.keys!.d, concat(dh, peer.ni, peer.nr, ke), 2 * 36)
      const { inbound, outbound } = child
      const installed = concat(
        inbound.encryptionKey,
        inbound.integrityKey,
        outbound.encryptionKey,
        outbound.integrityKey,
      )
      assert.deepEqual(installed, keymat)
    })

    test(`${kem}: SKEYSEED = prf(SK_d, SK(0) | Ni | Nr | SK(1)) for the renewed IKE SA`, () => {
      const peer = new Renewer(kem)
      const spi = u64(peer.bed.random(8), 0)
      const proposals = encodeIkeProposals(peer.peer.ikeProposals, u64Bytes(spi))
      const answer = peer.create({ kind: 'SA', proposals })
      assert.equal(peer.victim.engine.ikeSas(peer.bed.now).length, 1)
      const peerSpi = u64(pick(answer, 'SA').proposals[0].spi, 0)
      peer.followUp([peer.keyPayload(), peer.linkPayload()])
      const [dh, ke] = peer.secrets
      const skeyseed = peer.hash(peer.keys!.d, dh, peer.ni, peer.nr, ke)
      const seed = concat(peer.ni, peer.nr, u64Bytes(spi), u64Bytes(peerSpi))
      const keys = peer.stream(skeyseed, seed, 32 + 64 + 32)
      const [integrityKey, encryptionKey] = [keys.slice(32, 64), keys.slice(96, 112)]
      const fields = {
        initiatorSpi: spi,
        responderSpi: peerSpi,
        exchange: Exchange.INFORMATIONAL,
        initiator: true,
        response: false,
        messageId: 0,
      }
      const sk = { cipher: 'aes-128', integrity: 'sha256', encryptionKey, integrityKey } as const
      const [alive] = peer.inject(protect(fields, [], sk, peer.bed.random))
      const decoded = decodeMessage(alive.data)
      assert.ok(decoded.ok && decoded.value.header.initiatorSpi === spi)
    })
  }
})

describe('bad input', () => {
  const rows: [string, number, (peer: Renewer) => Payload[]][] = [
    ['a key one byte short', 7, (peer) => [cut(peer.keyPayload()), peer.linkPayload()]],
    ['coefficients of 4095', 7, (peer) => [filled(peer.keyPayload()), peer.linkPayload()]],
    [
      'another parameter set',
      7,
      (peer) => [{ ...peer.keyPayload(), group: 37 } as Payload, peer.linkPayload()],
    ],
    ['no link', 47, (peer) => [peer.keyPayload()]],
    ['an empty link', 47, (peer) => [peer.keyPayload(), peer.linkPayload(none)]],
    ['another link', 47, (peer) => [peer.keyPayload(), peer.linkPayload(peer.link.map((byte) => byte ^ 1))]],
    [
      'the link with a byte more',
      47,
      (peer) => [peer.keyPayload(), peer.linkPayload(concat(peer.link, none, Uint8Array.of(0)))],
    ],
  ]
  const cut = (ke: Payload): Payload => ({ ...ke, data: pick([ke], 'KE').data.slice(1) }) as Payload
  const filled = (ke: Payload): Payload => ({ ...ke, data: pick([ke], 'KE').data.map(() => 0xff) }) as Payload
  for (const [name, error, payloads] of rows)
    test(`${name}: ${error === 7 ? 'INVALID_SYNTAX' : 'STATE_NOT_FOUND'}, nothing is installed or computed`, () => {
      const peer = new Renewer('mlkem-512')
      peer.createChild()
      const before = peer.victim.jobKinds.length
      assert.deepEqual(notifyTypes(peer.followUp(payloads(peer))!), [error])
      assert.deepEqual([peer.victim.installs, peer.victim.jobKinds.length], [1, before])
      if (error === 47) assert.ok(peer.followUp([peer.keyPayload(), peer.linkPayload()]))
      peer.bed.now += 60_000
      peer.victim.do(peer.victim.engine.tick(peer.bed.now))
      assert.equal(peer.victim.spis.size, peer.victim.installed.size, 'no SPI is held')
    })

  test('without a CREATE_CHILD_SA, a second time, or too late: STATE_NOT_FOUND', () => {
    const peer = new Renewer('mlkem-512')
    const wanted = [NotifyError.STATE_NOT_FOUND]
    assert.deepEqual(
      notifyTypes(peer.followUp([peer.keyPayload(), peer.linkPayload(Uint8Array.of(1))])!),
      wanted,
    )
    peer.createChild()
    peer.followUp([peer.keyPayload(), peer.linkPayload()])
    assert.deepEqual(notifyTypes(peer.followUp([peer.keyPayload(), peer.linkPayload()])!), wanted)
    const late = new Renewer('mlkem-512')
    late.createChild()
    late.bed.now += 30_000
    late.victim.do(late.victim.engine.tick(late.bed.now))
    assert.equal(late.victim.spis.size, late.victim.installed.size, 'its SPI is free again')
    assert.deepEqual(notifyTypes(late.followUp([late.keyPayload(), late.linkPayload()])!), wanted)
  })

  test('a newer CREATE_CHILD_SA takes the place of an unfinished one', () => {
    const peer = new Renewer('mlkem-512')
    peer.createChild()
    const old = peer.link
    peer.createChild()
    const wanted = [NotifyError.STATE_NOT_FOUND]
    assert.deepEqual(notifyTypes(peer.followUp([peer.keyPayload(), peer.linkPayload(old)])!), wanted)
    peer.followUp([peer.keyPayload(), peer.linkPayload()])
    assert.equal(peer.victim.installs, 2)
    assert.equal(peer.victim.spis.size, peer.victim.installed.size)
  })

  test('the asking end begins anew after STATE_NOT_FOUND', () => {
    for (const what of ['child', 'ike'] as const) {
      const bed = new IkeBed({ b: { followUpMs: 100 } }).configure(peerA(two), peerB(two))
      bed.a.initiate()
      assertUp(bed.settle())
      let isFirst = true
      bed.impairment = ({ data }) => {
        const isDelayed = isFirst && data[18] === Exchange.IKE_FOLLOWUP_KE
        if (isDelayed) isFirst = false
        return [isDelayed ? 300 : 0]
      }
      renew(bed, what)
      bed.run(20_000)
      assert.equal(isFirst, false)
      assertUp(bed)
      assertSteady(bed)
      assert.equal(bed.log.filter((each) => each.data[18] === Exchange.CREATE_CHILD_SA).length, 4)
    }
  })
})

describe('both ends renew the same SA at once', () => {
  for (const what of ['rekey', 'rekeyIke'] as const)
    for (const lowest of LOWEST)
      test(`${what === 'rekey' ? 'Child' : 'IKE'} SA, lowest nonce ${lowest}: ${loserOf(lowest)} does not go on`, () => {
        const play = new Play(two).nonces(lowest)
        play[what]('a')[what]('b')
        play.ends(what === 'rekey' ? (loserOf(lowest) === 'a' ? 'b' : 'a') : 'old')
        const loser = play.side(loserOf(lowest))
        const made = loser.jobKinds.filter((kind) => kind === 'kem-generate').length
        const atStart = loser === play.bed.a ? 2 : 0
        assert.equal(made, atStart, 'the end that loses sends no IKE_FOLLOWUP_KE')
        assert.equal(play.bed.a.ikeIds().length, 1)
      })

  /** Both ends begin at random moments, now and then more than once, over a bad line; in the end one SA is left. */
  function soak(what: 'child' | 'ike' | 'both', seed: number, loss: number): void {
    const bed = connect(two, seed)
    const random = seeded(seed)
    bed.impairment = () => (random() < loss ? [] : [random() * 60])
    for (let round = 0; round < 3; round++) {
      for (const name of ['a', 'b'] as const) {
        const kind = what === 'both' ? (random() < 0.5 ? 'child' : 'ike') : what
        if (bed[name].ikeIds().length > 0 && bed[name].sending.size > 0) renew(bed, kind, name)
        bed.run(Math.floor(random() * 150))
      }
      bed.run(Math.floor(random() * 2_000))
    }
    bed.impairment = () => [0]
    bed.run(130_000)
    assertUp(bed)
    assertSteady(bed)
  }

  for (const what of ['child', 'ike', 'both'] as const)
    for (const loss of [0, 0.1])
      test(`${what}, at any moments, ${loss * 100} % lost`, () => {
        for (let seed = 1; seed <= 12; seed++)
          try {
            soak(what, seed, loss)
          } catch (error) {
            throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`)
          }
      })
})

test('the numbers of the registry', () => {
  assert.deepEqual(KEM_IDS, { 'mlkem-512': 35, 'mlkem-768': 36, 'mlkem-1024': 37 })
  const [proposal] = encodeIkeProposals([withKems(['mlkem-512', 'mlkem-768', 'mlkem-1024'])], none)
  const additional = proposal.transforms.slice(-3)
  assert.deepEqual(additional, [
    { type: 6, id: 35 },
    { type: 7, id: 36 },
    { type: 8, id: 37 },
  ])
})
