// IKE_SA_INIT and IKE_AUTH with pre-shared keys between two engines in one process (RFC 7296 §1.2).

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { DhGroup, Integrity } from '../control/ports.ts'
import type { IkeSuite, PeerConfig } from '../control/sa/contract.ts'
import { u16, u64 } from '../control/wire/bytes.ts'
import { assertUp, IkeBed } from './support/ike-bed.ts'
import { childSuite, netA, peerA, peerB, range, suite } from './support/ike-peers.ts'

/** Both ends with the same settings; a begins; the handshake runs until the wire is quiet. */
function handshake(common: Partial<PeerConfig>, bed = new IkeBed()): IkeBed {
  bed.configure(peerA(common), peerB(common))
  bed.a.initiate()
  return bed.settle()
}

function assertClean(bed: IkeBed): void {
  assert.deepEqual([bed.a.drops, bed.b.drops], [[], []])
  assert.deepEqual([bed.a.reports, bed.b.reports], [[], []])
}

describe('PSK', () => {
  test('four messages and one mirrored Child SA', () => {
    const bed = handshake({})
    assertUp(bed)
    assertClean(bed)
    assert.equal(bed.log.length, 4)
    assert.deepEqual(
      bed.log.map((each) => [each.local.port, each.remote.port]),
      [0, 0, 0, 0].map(() => [500, 500]),
    )
    assert.equal(u64(bed.log[0].data, 8), 0n, 'the first message has a zero responder SPI')
    assert.equal(bed.a.sender().encapsulation, 'raw')
    assert.deepEqual(bed.a.sender().remote, { address: '192.0.2.2', port: 0 })
  })

  const groups: DhGroup[] = [14, 15, 16, 19, 20, 31]
  for (const dhGroup of groups) {
    test(`DH group ${dhGroup}`, () => {
      const bed = handshake({ ikeProposals: [{ ...suite, dhGroup }] })
      assertUp(bed)
      assert.equal(bed.a.engine.ikeSas(bed.now)[0].dhGroup, dhGroup)
    })
  }

  const hashes: Integrity[] = ['sha1', 'sha256', 'sha384', 'sha512']
  for (const prf of hashes) {
    for (const integrity of hashes) {
      test(`prf ${prf}, integrity ${integrity}, in IKE and ESP`, () => {
        const childProposals = [{ ...childSuite, integrity }]
        assertUp(handshake({ ikeProposals: [{ ...suite, prf, integrity }], childProposals }))
      })
    }
  }

  for (const encryption of ['aes-128', 'aes-192', 'aes-256'] as const) {
    test(`${encryption} in IKE and ESP`, () => {
      const childProposals = [{ ...childSuite, cipher: encryption }]
      const bed = handshake({ ikeProposals: [{ ...suite, encryption }], childProposals })
      assertUp(bed)
      assert.equal(bed.a.sender().outbound.encryptionKey.length, Number(encryption.slice(4)) / 8)
    })
  }

  test('asymmetric keys: each end proves itself with its own', () => {
    const [one, two] = [new Uint8Array(20).fill(1), new Uint8Array(20).fill(2)]
    const bed = new IkeBed()
    bed.configure(
      { ...peerA(), localPsk: one.slice(), remotePsk: two.slice() },
      { ...peerB(), localPsk: two.slice(), remotePsk: one.slice() },
    )
    bed.a.initiate()
    assertUp(bed.settle())
  })

  test('identities may be addresses, key ids and names', () => {
    const bed = new IkeBed()
    const address = { kind: 'address', value: '192.0.2.1' } as const
    const keyId = { kind: 'key-id', value: '00ff17' } as const
    bed.configure(
      { ...peerA(), localId: address, remoteId: keyId },
      { ...peerB(), localId: keyId, remoteId: address },
    )
    bed.a.initiate()
    assertUp(bed.settle())
    assert.equal(bed.b.engine.ikeSas(bed.now)[0].remoteId, 'address 192.0.2.1')
  })

  test('over IPv6', () => {
    const bed = new IkeBed()
    Object.assign(bed.a, { address: '2001:db8::1' })
    Object.assign(bed.b, { address: '2001:db8::2' })
    bed.configure(
      { ...peerA(), local: '2001:db8::1', remote: { address: '2001:db8::2', port: 500 } },
      { ...peerB(), local: '2001:db8::2', remote: { address: '2001:db8::1', port: 500 } },
    )
    bed.a.initiate()
    assertUp(bed.settle())
    assert.equal(bed.a.sender().encapsulation, 'raw')
  })
})

describe('proposals', () => {
  const strong: IkeSuite = { encryption: 'aes-256', integrity: 'sha512', prf: 'sha512', dhGroup: 19 }

  test('the second is agreed on when the first is not shared', () => {
    const bed = new IkeBed().configure(
      peerA({
        ikeProposals: [strong, suite],
        childProposals: [{ ...childSuite, cipher: 'aes-256' }, childSuite],
      }),
      peerB(),
    )
    bed.a.initiate()
    bed.settle()
    assertUp(bed)
    assert.equal(bed.a.engine.ikeSas(bed.now)[0].encryption, 'aes-128')
    assert.equal(bed.a.sender().cipher, 'aes-128')
  })

  test('no common IKE proposal: NO_PROPOSAL_CHOSEN, one report that names the field, no state', () => {
    const bed = new IkeBed().configure(peerA({ ikeProposals: [strong] }), peerB())
    bed.a.initiate()
    bed.settle()
    assert.deepEqual(bed.b.drops, ['ike-refused'])
    assert.equal(bed.b.reports.length, 1)
    const [report] = bed.b.reports
    assert.equal(report.code, 'no-proposal')
    assert.match(report.text, /proposal 1 lacks/)
    assert.deepEqual(report.offered, ['ike: aes-256, prf-sha512, sha512, group-19'])
    assert.deepEqual(report.allowed, ['ike: aes-128, prf-sha256, sha256, group-31'])
    assert.equal(bed.b.engine.ikeSas(bed.now).length, 0)
    bed.run(60_000)
    assert.deepEqual(
      bed.a.failed.map((each) => each.reason),
      ['no-proposal'],
    )
    assert.equal(bed.a.engine.deadline(), Infinity)
  })

  test('no common IPsec proposal: the IKE SA stays, the tunnel fails with a report at both ends', () => {
    const bed = new IkeBed().configure(
      peerA({ childProposals: [{ ...childSuite, cipher: 'aes-256' }] }),
      peerB(),
    )
    bed.a.initiate()
    bed.settle()
    assert.deepEqual(
      bed.a.failed.map((each) => each.reason),
      ['no-proposal'],
    )
    assert.deepEqual([bed.a.up.size, bed.b.up.size], [1, 1])
    assert.deepEqual([bed.a.installed.size, bed.b.installed.size, bed.a.spis.size], [0, 0, 0])
    assert.deepEqual(
      bed.b.reports.map((each) => each.code),
      ['no-proposal'],
    )
    bed.a.engine.setPeer(peerA())
    bed.a.initiate()
    assertUp(bed.settle())
    assert.equal(bed.log.length, 6, 'the second attempt is one CREATE_CHILD_SA')
  })
})

describe('INVALID_KE_PAYLOAD (§1.2)', () => {
  const two: IkeSuite[] = [{ ...suite, dhGroup: 14 }, suite]

  test('the initiator comes again with the group that the responder wants', () => {
    const bed = new IkeBed().configure(peerA({ ikeProposals: two }), peerB())
    bed.a.initiate()
    bed.settle()
    assertUp(bed)
    assert.equal(bed.log.length, 6)
    assert.deepEqual(
      bed.b.jobKinds.slice(0, 1),
      ['dh-generate'],
      'the wrong group cost the responder nothing',
    )
    assert.equal(bed.b.engine.ikeSas(bed.now).length, 1, 'the refusal left no state')
  })

  test('a group that was not offered ends the attempt', () => {
    const bed = new IkeBed().configure(peerA(), peerB())
    bed.impairment = (_datagram, from) => (from === bed.b ? [] : [0])
    bed.a.initiate()
    bed.settle()
    const answer = forgeInvalidKe(bed, 20)
    for (let times = 0; times < 3; times++) bed.a.do(bed.a.engine.receive(answer, bed.now))
    assert.deepEqual(bed.a.drops, Array(3).fill('ike-round-limit'))
    bed.run(10_000)
    assert.deepEqual(
      bed.a.failed.map((each) => each.reason),
      ['no-proposal'],
    )
  })

  test('at most two rounds', () => {
    const groups: DhGroup[] = [31, 19, 20, 14]
    const bed = new IkeBed()
    bed.configure(peerA({ ikeProposals: groups.map((dhGroup) => ({ ...suite, dhGroup })) }), peerB())
    bed.impairment = (_datagram, from) => (from === bed.b ? [] : [0])
    bed.a.initiate()
    for (const group of [19, 20, 14]) {
      bed.settle()
      bed.a.do(bed.a.engine.receive(forgeInvalidKe(bed, group), bed.now))
    }
    bed.settle()
    const sentGroups = bed.log
      .filter((each) => each.local.address === bed.a.address)
      .map((each) => groupOf(each.data))
    assert.deepEqual(sentGroups, [31, 19, 20])
    assert.deepEqual(bed.a.drops, ['ike-round-limit'])
  })

  /** Header, SA payload, then KE: the group stands behind its generic header. */
  function groupOf(message: Uint8Array): number {
    const keAt = 28 + u16(message, 30)
    return u16(message, keAt + 4)
  }

  function forgeInvalidKe(bed: IkeBed, group: number) {
    const request = bed.log.findLast((each) => each.local.address === bed.a.address)!
    const data = new Uint8Array(28 + 10)
    data.set(request.data.subarray(0, 8))
    data.set([41, 0x20, 34, 0x20], 16)
    data[27] = data.length
    data.set([0, 0, 0, 10, 0, 0, 0, 17, group >> 8, group & 0xff], 28)
    return { local: request.local, remote: request.remote, data }
  }
})

describe('traffic selectors (§2.9)', () => {
  const any = range('0.0.0.0', '255.255.255.255')

  test('the responder narrows, the initiator accepts', () => {
    const bed = new IkeBed().configure(peerA({ localSelectors: [any], remoteSelectors: [any] }), peerB())
    bed.a.initiate()
    assertUp(bed.settle())
    assert.deepEqual(bed.a.sender().localSelectors, [netA])
  })

  test('several selectors, partly shared', () => {
    const more = range('10.9.0.0', '10.9.255.255')
    const six = range('fd01::', 'fd01::ffff')
    const bed = new IkeBed().configure(
      peerA({ localSelectors: [netA, six, more] }),
      peerB({ remoteSelectors: [six, netA] }),
    )
    bed.a.initiate()
    assertUp(bed.settle())
    assert.deepEqual(bed.a.sender().localSelectors, [netA, six])
  })

  test('nothing shared: TS_UNACCEPTABLE, the IKE SA stays', () => {
    const bed = new IkeBed().configure(peerA({ localSelectors: [range('10.7.0.0', '10.7.0.255')] }), peerB())
    bed.a.initiate()
    bed.settle()
    assert.deepEqual(
      bed.a.failed.map((each) => each.reason),
      ['ts-unacceptable'],
    )
    assert.deepEqual([bed.a.up.size, bed.b.up.size], [1, 1])
    assert.deepEqual([bed.a.spis.size, bed.b.spis.size], [0, 0])
    const [report] = bed.b.reports
    assert.equal(report.code, 'ts-unacceptable')
    assert.deepEqual(report.offered, ['local 10.2.0.0/24 remote 10.7.0.0/24'])
    assert.deepEqual(report.allowed, ['local 10.2.0.0/24 remote 10.1.0.0/24'])
  })
})

describe('several tunnels between the same end points', () => {
  test('told apart by identity', () => {
    const bed = new IkeBed()
    const other = { kind: 'fqdn', value: 'other.example.net' } as const
    const wrong = peerB({ tunnel: 'wrong', psk: 'quite another secret of some length' })
    bed.configure(peerA(), [{ ...wrong, remoteId: other }, peerB()])
    bed.a.initiate()
    assertUp(bed.settle())
  })

  test('equal policy: one IKE SA, a Child SA each, selected by selectors', () => {
    const bed = new IkeBed()
    const [net1, net2] = [range('10.5.0.0', '10.5.0.255'), range('10.6.0.0', '10.6.0.255')]
    bed.configure(
      [peerA(), peerA({ tunnel: 'u', localSelectors: [net1], remoteSelectors: [net2] })],
      [peerB({ tunnel: 'u', localSelectors: [net2], remoteSelectors: [net1] }), peerB()],
    )
    bed.a.initiate('t')
    bed.a.initiate('u')
    bed.settle()
    assertUp(bed, 't')
    assertUp(bed, 'u')
    assert.equal(bed.log.length, 6)
    bed.a.do(bed.a.engine.clear('u', 'cleared', bed.now))
    bed.run(10_000)
    assertUp(bed, 't')
    assert.equal(bed.b.installed.size, 1)
  })
})

describe('both ends begin at once', () => {
  for (const order of ['ab', 'ba', 'aab', 'abb']) {
    test(`one pair of SAs stays (first deliveries ${order})`, () => {
      const bed = new IkeBed({ seed: order.length }).configure(peerA(), peerB())
      bed.a.initiate()
      bed.b.initiate()
      bed.computeAll()
      bed.impairment = (_datagram, from) => [from === bed.a ? order.indexOf('a') : order.indexOf('b')]
      bed.run(40_000)
      assertUp(bed)
      bed.traffic()
      for (const side of [bed.a, bed.b]) assert.ok(side.removed.every((each) => each.reason === 'replaced'))
    })
  }
})

describe('NAT (§2.23)', () => {
  test('a NAT before the initiator: both float to 4500, ESP in UDP to the mapped port', () => {
    const bed = new IkeBed({ nat: { address: '203.0.113.9', shift: 20_000 } })
    bed.configure(peerA(), { ...peerB(), remote: null })
    bed.a.initiate()
    assertUp(bed.settle())
    const ports = bed.log.map((each) => [each.local.port, each.remote.port])
    assert.deepEqual(ports, [
      [500, 500],
      [500, 20_500],
      [4500, 4500],
      [4500, 24_500],
    ])
    assert.equal(bed.a.sender().encapsulation, 'udp')
    assert.deepEqual(bed.a.sender().remote, { address: '192.0.2.2', port: 4500 })
    assert.deepEqual(bed.b.sender().remote, { address: '203.0.113.9', port: 24_500 })
    assert.deepEqual(bed.a.engine.ikeSas(bed.now)[0].nat, { local: true, remote: false })
    assert.deepEqual(bed.b.engine.ikeSas(bed.now)[0].nat, { local: false, remote: true })
  })

  test('the mapping changes: the responder follows authentic messages only', () => {
    const bed = new IkeBed({ nat: { address: '203.0.113.9', shift: 20_000 } })
    bed.configure(peerA(), { ...peerB(), remote: null })
    bed.a.initiate()
    bed.settle()
    bed.nat = { address: '203.0.113.9', shift: 21_000 }
    bed.run(31_000)
    assert.deepEqual(bed.b.moved, [{ address: '203.0.113.9', port: 25_500 }])
    const old = bed.log[2]
    const forged = {
      local: { address: '192.0.2.2', port: 4500 },
      remote: { address: '198.51.100.66', port: 9 },
    }
    bed.b.do(bed.b.engine.receive({ ...forged, data: old.data }, bed.now))
    assert.equal(bed.b.moved.length, 1)
  })

  for (const [left, right] of [
    ['force', 'auto'],
    ['auto', 'force'],
    ['force', 'force'],
  ] as const) {
    test(`${left} against ${right}: UDP encapsulation without a NAT`, () => {
      const bed = new IkeBed().configure(peerA({ natTraversal: left }), peerB({ natTraversal: right }))
      bed.a.initiate()
      assertUp(bed.settle())
      assert.deepEqual(
        bed.log.map((each) => each.remote.port),
        [500, 500, 4500, 4500],
      )
      assert.equal(bed.b.sender().encapsulation, 'udp')
      assert.equal(bed.b.sender().remote.port, 4500)
    })
  }

  for (const [left, right] of [
    ['off', 'auto'],
    ['auto', 'off'],
    ['off', 'off'],
    ['force', 'off'],
  ] as const) {
    test(`${left} against ${right}: port 500 and raw ESP`, () => {
      const bed = new IkeBed().configure(peerA({ natTraversal: left }), peerB({ natTraversal: right }))
      bed.a.initiate()
      assertUp(bed.settle())
      assert.deepEqual(
        bed.log.map((each) => each.remote.port),
        [500, 500, 500, 500],
      )
      assert.equal(bed.a.sender().encapsulation, 'raw')
    })
  }
})

describe('roles', () => {
  test('a responder does not begin, an initiator does not answer', () => {
    const bed = new IkeBed().configure(peerA({ role: 'responder' }), peerB({ role: 'initiator' }))
    bed.a.initiate()
    assert.deepEqual(
      bed.a.reports.map((each) => each.code),
      ['not-initiator'],
    )
    bed.a.engine.setPeer(peerA())
    bed.a.initiate()
    bed.run(60_000)
    assert.deepEqual(new Set(bed.b.drops), new Set(['ike-no-peer']))
    assert.deepEqual(
      bed.a.failed.map((each) => each.reason),
      ['no-answer'],
    )
  })
})
