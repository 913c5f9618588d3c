// Rows of security.md about what an IKE SA is made of and who it is with: groups and gates that the other end names,
// keys that nobody has, the same peer twice, equal SPIs, lifetimes that would make a storm.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { IkeSuite, PeerConfig } from '../control/sa/contract.ts'
import { concat, u16Bytes } from '../control/wire/bytes.ts'
import { encodeMessage } from '../control/wire/message.ts'
import { NotifyError } from '../control/wire/notify.ts'
import { Exchange, type Payload } from '../control/wire/types.ts'
import { IkeBed } from './support/ike-bed.ts'
import { peerA, peerB, suite } from './support/ike-peers.ts'
import { notifyTypes, RawPeer } from './support/raw-ike.ts'

const none = new Uint8Array(0)
const notify = (type: number, data: Uint8Array = none): Payload => ({
  kind: 'NOTIFY',
  protocol: 0,
  spi: none,
  type,
  data,
})

/** Answers every IKE_SA_INIT of side a with INVALID_KE_PAYLOAD; `group`: which one it names, by round. */
function wantGroups(config: Partial<PeerConfig>, group: (round: number) => Uint8Array): IkeBed {
  const bed = new IkeBed().configure(peerA(config), [])
  bed.impairment = () => []
  bed.a.initiate()
  for (let round = 0; round < 8; round++) {
    bed.computeAll()
    const spi = Buffer.from(bed.log.at(-1)!.data.subarray(0, 8)).readBigUInt64BE()
    const fields = {
      initiatorSpi: spi,
      responderSpi: 0n,
      exchange: Exchange.IKE_SA_INIT,
      messageId: 0,
      response: true,
      initiator: false,
    }
    const data = encodeMessage(fields, [notify(NotifyError.INVALID_KE_PAYLOAD, group(round))])
    const ends = {
      local: { address: bed.a.address, port: 500 },
      remote: { address: bed.b.address, port: 500 },
    }
    bed.a.do(bed.a.engine.receive({ ...ends, data }, bed.now))
  }
  return bed
}

describe('B: groups and gates that the other end names', () => {
  const two = { ikeProposals: [suite, { ...suite, dhGroup: 19 }] satisfies IkeSuite[] }

  test('B3 a group that we did not offer, no group, or the one we sent: no new round, the attempt ends soon', () => {
    for (const data of [
      u16Bytes(14),
      u16Bytes(0),
      u16Bytes(31),
      none,
      Uint8Array.of(19),
      concat(u16Bytes(19), none, Uint8Array.of(0)),
    ]) {
      const bed = wantGroups(two, () => data)
      assert.equal(bed.a.sent, 1)
      assert.deepEqual([...new Set(bed.a.drops)], ['ike-round-limit'])
      bed.run(6_000)
      assert.equal(bed.a.failed[0].reason, 'no-proposal')
    }
  })

  test('B3 two groups in turn, for ever: two rounds at most', () => {
    const bed = wantGroups(two, (round) => u16Bytes(round % 2 === 0 ? 19 : 31))
    assert.equal(bed.a.sent, 3)
    assert.equal(bed.a.jobKinds.filter((kind) => kind === 'dh-generate').length, 3)
    bed.run(6_000)
    assert.equal(bed.a.failed[0].reason, 'no-proposal')
  })

  test('B10 only what needs a gate: NO_PROPOSAL_CHOSEN, and one report names the offer and the gate', () => {
    const weak: IkeSuite = { encryption: '3des', integrity: 'md5', prf: 'md5', dhGroup: 2 }
    const bed = new IkeBed().configure(peerA({ ikeProposals: [weak] }), peerB())
    bed.a.initiate()
    bed.settle()
    assert.equal(bed.b.reports.length, 1)
    const [{ offered, advice }] = bed.b.reports
    assert.deepEqual(offered, ['ike: 3des, prf-md5, md5, group-2'])
    assert.match(advice ?? '', /3des and group-2 would need legacy-crypto permit here/)
    assert.match(advice ?? '', /prf-md5 and md5 would need insecure-crypto permit "REASON" here/)
    assert.equal(bed.b.engine.ikeSas(bed.now).length, 0)
    bed.run(10_000)
    assert.equal(bed.a.failed[0].reason, 'no-proposal')
  })

  test('B10 a plain difference names no gate', () => {
    const bed = new IkeBed().configure(peerA({ ikeProposals: [{ ...suite, dhGroup: 14 }] }), peerB())
    bed.a.initiate()
    bed.settle()
    assert.doesNotMatch(bed.b.reports[0].advice ?? '', /permit/)
  })
})

describe('C: who the peer is', () => {
  const key = (text: string) => new Uint8Array(Buffer.from(text))

  test('C3 wrong key, no key, key of another, unknown identity: one answer, byte for byte as long', () => {
    const tries: [Partial<PeerConfig>, Partial<PeerConfig>][] = [
      [{ localPsk: key('a wrong secret that is long enough') }, {}],
      [{}, { remotePsk: none }],
      [{}, { remotePsk: null }],
      [{ localId: { kind: 'fqdn', value: 'c.example.net' } }, {}],
    ]
    const lengths = tries.map(([a, b]) => {
      const peer = new RawPeer(new IkeBed().configure([], peerB(b)), peerA(a))
      peer.init()
      const proof = [...peer.proof(), ...peer.childPayloads()]
      const [answer] = peer.inject(peer.seal(Exchange.IKE_AUTH, 1, proof))
      assert.deepEqual(notifyTypes(peer.open(answer.data).payloads), [NotifyError.AUTHENTICATION_FAILED])
      assert.deepEqual([peer.victim.up.size, peer.victim.installs], [0, 0])
      return answer.data.length
    })
    assert.equal(new Set(lengths).size, 1)
  })

  /** Lets time pass while this peer answers what it is asked; everything else on the wire is lost. */
  function live(peer: RawPeer, seconds: number): void {
    const { bed } = peer
    let seen = bed.log.length
    for (let second = 0; second < seconds; second++) {
      bed.run(1_000)
      for (; seen < bed.log.length; seen++) {
        const { remote, data } = bed.log[seen]
        const [exchange, messageId] = [data[18], Buffer.from(data).readUInt32BE(20)]
        if (remote.address !== peer.local.address || exchange !== Exchange.INFORMATIONAL) continue
        peer.inject(peer.seal(exchange, messageId, [], { response: true }))
      }
    }
  }

  test('C13 the same identity from elsewhere: in the end one IKE SA and one Child SA, those of who lives', () => {
    for (let seed = 1; seed <= 6; seed++) {
      const bed = new IkeBed({ seed }).configure([], peerB({ remote: null }))
      const first = new RawPeer(bed, peerA())
      first.connect()
      live(first, 20)
      const second = new RawPeer(bed, peerA())
      second.local = { address: '192.0.2.77', port: 500 }
      second.connect()
      live(second, 120)
      const living = bed.b.engine.ikeSas(bed.now).filter((sa) => sa.state === 'established')
      assert.deepEqual(
        living.map(({ remote }) => remote.address),
        ['192.0.2.77'],
        `seed ${seed}`,
      )
      const [child, ...others] = [...bed.b.installed.values()]
      assert.deepEqual([others.length, bed.b.sending.get('t')], [0, child.child])
    }
  })
})

describe('D: SPIs and lifetimes', () => {
  test('D11 two peers that chose the same SPI: both work, ours differ and are above 255', () => {
    const bed = new IkeBed().configure(
      [],
      [
        peerB({ tunnel: 't', remote: null, remoteId: { kind: 'fqdn', value: 'a.example.net' } }),
        peerB({ tunnel: 'u', remote: null, remoteId: { kind: 'fqdn', value: 'z.example.net' } }),
      ],
    )
    for (const [name, address] of [
      ['a', '192.0.2.1'],
      ['z', '192.0.2.9'],
    ] as const) {
      const peer = new RawPeer(bed, peerA({ localId: { kind: 'fqdn', value: `${name}.example.net` } }))
      peer.local = { address, port: 500 }
      peer.connect()
    }
    const children = [...bed.b.installed.values()]
    assert.deepEqual(
      children.map(({ tunnel, spiOut }) => [tunnel, spiOut]),
      [
        ['t', 0xc000_0001],
        ['u', 0xc000_0001],
      ],
    )
    assert.equal(new Set(children.map(({ spiIn }) => spiIn)).size, 2)
    assert.ok(children.every(({ spiIn }) => spiIn > 255))
  })

  test('D13 a lifetime of 0 or 1 s in a notify is not ours to keep: nothing is renewed for it', () => {
    const lifetime = 16403 // AUTH_LIFETIME, RFC 4478
    for (const seconds of [0, 1]) {
      const peer = new RawPeer(new IkeBed().configure([], peerB({ dpd: null })), peerA())
      peer.connect([notify(lifetime, Uint8Array.of(0, 0, 0, seconds))])
      const sent = peer.victim.sent
      assert.ok(peer.request(Exchange.INFORMATIONAL, [notify(lifetime, Uint8Array.of(0, 0, 0, seconds))]))
      peer.bed.run(600_000)
      assert.equal(peer.victim.sent, sent + 1, 'the answer and nothing else')
      assert.equal(peer.victim.up.size, 1)
    }
  })

  test('D13 the shortest lifetimes of the configuration renew at their pace and no faster', () => {
    const bed = new IkeBed().configure(
      peerA({
        childLifetime: { seconds: 5, bytes: 0, packets: 0 },
        ikeLifetime: 5,
        rekeyMargin: { seconds: 300, fuzz: 100 },
      }),
      peerB(),
    )
    bed.a.initiate()
    bed.settle()
    const before = bed.log.length
    bed.run(60_000)
    bed.traffic()
    // each second at most one renewal of each SA: two exchanges of two messages
    assert.ok(bed.log.length - before < 60 * 8, `${bed.log.length - before} messages in a minute`)
  })
})

describe('a peer with a Child SA for each of its processors (RFC 9611)', () => {
  const more = (peer: RawPeer, spi: number, payloads: Payload[]) =>
    peer.request(Exchange.CREATE_CHILD_SA, [
      ...payloads,
      ...peer.childPayloads(spi, true),
      { kind: 'NONCE', data: peer.bed.random(32) },
    ])!
  const resource = notify(16444, Uint8Array.of(0, 0, 0, 1))

  test('its first one is taken, the next ones are TS_MAX_QUEUE, and the first one stays', () => {
    const peer = new RawPeer(new IkeBed().configure([], peerB({ dpd: null })), peerA())
    peer.connect([resource])
    const [first] = peer.victim.installed.keys()
    for (const spi of [0xc000_0002, 0xc000_0003])
      assert.deepEqual(notifyTypes(more(peer, spi, [resource])), [NotifyError.TS_MAX_QUEUE])
    assert.deepEqual(
      peer.victim.reports.map(({ level, code }) => [level, code]),
      [
        ['info', 'one-child-sa'],
        ['info', 'one-child-sa'],
      ],
    )
    peer.bed.run(60_000)
    assert.deepEqual([...peer.victim.installed.keys()], [first])
    assert.equal(peer.victim.spis.size, 1)
  })

  test('a renewal that says so is one like any other', () => {
    const peer = new RawPeer(new IkeBed().configure([], peerB({ dpd: null })), peerA())
    peer.connect([resource])
    const old: Payload = { ...notify(16393), protocol: 3, spi: Uint8Array.of(0xc0, 0, 0, 1) } as Payload
    assert.ok(more(peer, 0xc000_0002, [old, resource]).some(({ kind }) => kind === 'SA'))
    assert.equal(peer.victim.installs, 2)
  })
})

describe('H: ports and markers', () => {
  test('H2 a non-ESP marker on port 500, or ESP there: nobody, nothing said', () => {
    const bed = new IkeBed().configure(peerA(), peerB())
    bed.a.initiate()
    bed.computeAll()
    const request = bed.log[0].data
    const ends = {
      local: { address: bed.b.address, port: 500 },
      remote: { address: bed.a.address, port: 500 },
    }
    for (const data of [
      concat(new Uint8Array(4), request),
      Uint8Array.from({ length: 84 }, (_, at) => at + 1),
    ]) {
      bed.b.do(bed.b.engine.receive({ ...ends, data }, bed.now))
      assert.deepEqual([bed.b.sent, bed.b.reports.length, bed.b.engine.ikeSas(bed.now).length], [0, 0, 0])
    }
    assert.deepEqual(bed.b.drops, ['ike-length', 'ike-length'])
  })
})
