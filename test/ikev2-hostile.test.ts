// Hostile datagrams, each named by its row of the security catalogue (A to D): silence, one counted reason, and
// nothing changed; or, inside an authentic message, one answer and the consequence that RFC 7296 §2.21 wants.

import assert from 'node:assert/strict'
import { createCipheriv, createHmac } from 'node:crypto'
import { describe, test } from 'node:test'
import { engineReasons } from '../control/ikev2/reasons.ts'
import type { IkeDatagram } from '../control/ports.ts'
import { u32Bytes } from '../control/wire/bytes.ts'
import { encodeMessage } from '../control/wire/message.ts'
import { NotifyType } from '../control/wire/notify.ts'
import { encodeIkeProposals, spiBytes } from '../control/wire/proposals.ts'
import { wireReasons } from '../control/wire/reasons.ts'
import { Exchange, type Payload } from '../control/wire/types.ts'
import { assertUp, IkeBed, type Side } from './support/ike-bed.ts'
import { netA, peerA, peerB, range, suite } from './support/ike-peers.ts'
import { notifyTypes, pick, RawPeer } from './support/raw-ike.ts'
import { within } from './support/within.ts'

const none = new Uint8Array(0)
const notify = (type: number, data: Uint8Array = none, spi: Uint8Array = none, protocol = 0): Payload => ({
  kind: 'NOTIFY',
  protocol,
  spi,
  type,
  data,
})

/** Everything of an engine that must not change: its SAs, its books, its next deadline. */
function snapshot(side: Side): string {
  const { bed, engine } = side
  const views = engine.ikeSas(bed.now)
  return JSON.stringify([
    views,
    [...side.installed.keys()],
    [...side.sending],
    [...side.spis],
    engine.deadline(),
  ])
}

/** One drop of this reason with a sentence, no datagram out, no report, no change. */
function assertSilent(
  side: Side,
  datagram: Omit<IkeDatagram, 'local'> & { local?: IkeDatagram['local'] },
  reason: string,
): void {
  const before = snapshot(side)
  const [sent, reports, drops] = [side.sent, side.reports.length, side.drops.length]
  const local = datagram.local ?? { address: side.address, port: 500 }
  side.do(side.engine.receive({ ...datagram, local }, side.bed.now))
  side.bed.computeAll()
  assert.deepEqual(side.drops.slice(drops), [reason])
  assert.ok(reason in wireReasons || reason in engineReasons, `${reason} has a sentence`)
  assert.deepEqual([side.sent, side.reports.length], [sent, reports])
  assert.equal(snapshot(side), before)
}

const fromA = { address: '192.0.2.1', port: 500 }
const fromB = { address: '192.0.2.2', port: 500 }

function upBed(): IkeBed {
  const bed = new IkeBed().configure(peerA(), peerB())
  bed.a.initiate()
  bed.settle()
  assertUp(bed)
  return bed
}

const raw = (options: Partial<ConstructorParameters<typeof IkeBed>[0] & object> = {}): RawPeer =>
  new RawPeer(new IkeBed(options).configure([], peerB()), peerA())

describe('A: header and parser', () => {
  test('A1 shorter than a header', () => {
    const bed = upBed()
    for (let length = 0; length < 28; length++) {
      assertSilent(bed.b, { remote: fromA, data: new Uint8Array(length) }, 'ike-short')
    }
  })

  test('A2 length field below, above, absurd', () => {
    const bed = upBed()
    for (const length of [0, 27, bed.log[0].data.length - 1, bed.log[0].data.length + 1, 0xffff_ffff]) {
      const data = bed.log[0].data.slice()
      data.set(u32Bytes(length), 24)
      assertSilent(bed.b, { remote: fromA, data }, 'ike-length')
    }
  })

  test('A3 payload lengths of IKE_SA_INIT', () => {
    for (const [length, reason] of [
      [0, 'ike-payload-length'],
      [3, 'ike-payload-length'],
      [0xffff, 'ike-payload-length'],
    ] as const) {
      const peer = raw()
      const data = peer.initRequest()
      data.set([length >> 8, length & 255], 30)
      assertSilent(peer.victim, { remote: fromA, data }, reason)
    }
  })

  test('A4 10,000 payloads, quickly', () => {
    const peer = raw()
    const payloads = Array.from({ length: 10_000 }, (): Payload => ({ kind: 'VENDOR', data: none }))
    const data = peer.initRequest(payloads)
    assertSilent(peer.victim, { remote: fromA, data }, 'ike-payload-count')
    within(50, () => peer.inject(data))
  })

  test('A5 major version 3: one answer a second; version 2.15 is version 2', () => {
    const peer = raw()
    const data = peer.initRequest()
    data[17] = 0x30
    assert.equal(peer.inject(data).length, 1)
    assert.equal(peer.inject(data).length, 0)
    assert.deepEqual(peer.victim.drops, ['ike-version', 'ike-version'])
    peer.bed.now += 1_000
    const [answer] = peer.inject(data)
    assert.deepEqual([...answer.data.subarray(28)], [0, 0, 0, 8, 0, 0, 0, NotifyType.INVALID_MAJOR_VERSION])
    assert.ok(answer.data.length <= data.length)
    data[17] = 0x2f
    assert.equal(peer.inject(data).length, 1)
    assert.equal(peer.victim.engine.ikeSas(peer.bed.now).length, 1)
  })

  test('A7 unknown payload: critical is named, uncritical is skipped', () => {
    const peer = raw()
    const unknown = (critical: boolean): Payload => ({ kind: 'UNKNOWN', type: 77, critical, data: none })
    const [answer] = peer.inject(peer.initRequest([...peer.initPayloads(), unknown(true)]))
    assert.deepEqual([...answer.data.subarray(28)], [0, 0, 0, 9, 0, 0, 0, 1, 77])
    assert.deepEqual(peer.victim.drops, ['ike-critical-payload'])
    assert.equal(peer.victim.engine.ikeSas(0).length, 0)
    peer.init([...peer.initPayloads(), unknown(false)])
    const refused = peer.auth([unknown(true)])
    assert.deepEqual(notifyTypes(refused!), [NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD])
    assert.equal(peer.victim.up.size, 0)
  })

  test('A8 reserved bits are ignored, yet covered by AUTH as received', () => {
    const peer = raw()
    peer.init(undefined, (message) => {
      message[29] |= 0x7f // reserved bits of the SA payload
      message[19] |= 0xc7 // reserved flags
    })
    assert.ok(pick(peer.auth()!, 'AUTH'))
    assert.equal(peer.victim.installed.size, 1)
  })

  test('A9 exchange 0 and 255, zero SPIs, response flag on a request', () => {
    const peer = raw()
    for (const exchange of [0, 33, 38, 255]) {
      assertSilent(
        peer.victim,
        { remote: fromA, data: peer.initRequest(undefined, { exchange }) },
        'ike-exchange',
      )
    }
    const zero = { initiatorSpi: 0n }
    assertSilent(peer.victim, { remote: fromA, data: peer.initRequest(undefined, zero) }, 'ike-spi-zero')
    const response = { response: true }
    assertSilent(peer.victim, { remote: fromA, data: peer.initRequest(undefined, response) }, 'ike-direction')
    const late = { messageId: 1 }
    assertSilent(peer.victim, { remote: fromA, data: peer.initRequest(undefined, late) }, 'ike-direction')
    const spi = { responderSpi: 5n }
    assertSilent(peer.victim, { remote: fromA, data: peer.initRequest(undefined, spi) }, 'ike-direction')
  })

  test('A10 unknown SPI: silence, or INVALID_IKE_SPI once a second if switched on', () => {
    const bed = upBed()
    const data = bed.log[2].data.slice()
    data[8] ^= 1
    assertSilent(bed.b, { remote: fromA, data }, 'ike-unknown-spi')
    const peer = raw({ b: { answerUnknownSpi: true } })
    assert.deepEqual(
      [1, 2, 3].map(() => peer.inject(data).length),
      [1, 0, 0],
    )
    data[19] |= 0x20
    peer.bed.now += 5_000
    assert.equal(peer.inject(data).length, 0, 'never for a response')
  })

  test('A11 our own messages, reflected', () => {
    const bed = upBed()
    for (const [index, side] of [bed.a, bed.b, bed.a, bed.b].entries()) {
      const remote = side === bed.a ? fromB : fromA
      const [reason] =
        index === 0 ? ['ike-direction'] : index === 1 ? ['ike-unknown-spi'] : ['ike-unknown-spi']
      assertSilent(side, { remote, data: bed.log[index].data }, reason)
    }
  })

  test('A12, A13 key lengths that do not exist are not chosen', () => {
    for (const keyLength of [undefined, 0, 127, 512]) {
      const peer = raw()
      const [sa, ...rest] = peer.initPayloads()
      const proposals = sa.kind === 'SA' ? sa.proposals : []
      const [encr, ...others] = proposals[0].transforms
      const transforms = [
        { type: encr.type, id: encr.id, ...(keyLength === undefined ? {} : { keyLength }) },
        ...others,
      ]
      const [answer] = peer.inject(
        peer.initRequest([{ kind: 'SA', proposals: [{ ...proposals[0], transforms }] }, ...rest]),
      )
      assert.equal(answer.data[35], NotifyType.NO_PROPOSAL_CHOSEN)
      assert.equal(peer.victim.engine.ikeSas(0).length, 0)
    }
  })
})

describe('B: IKE_SA_INIT', () => {
  test('B1 invalid public values: dropped before any exponentiation', () => {
    for (const dhGroup of [14, 19, 31] as const) {
      const common = { ikeProposals: [{ ...suite, dhGroup }] }
      const length = { 14: 256, 19: 64, 31: 32 }[dhGroup]
      const bad: Uint8Array[] = [
        none,
        new Uint8Array(length),
        new Uint8Array(length - 1).fill(7),
        new Uint8Array(length + 1),
      ]
      if (dhGroup !== 31) bad.push(new Uint8Array(length).fill(255))
      if (dhGroup === 14) bad.push(Uint8Array.from({ length }, (_, at) => (at === length - 1 ? 1 : 0)))
      for (const data of bad) {
        const peer = new RawPeer(new IkeBed().configure([], peerB(common)), peerA(common))
        const payloads = peer.initPayloads().map((each) => (each.kind === 'KE' ? { ...each, data } : each))
        const before = peer.victim.drops.length
        assert.equal(peer.inject(peer.initRequest(payloads)).length, 0)
        assert.equal(peer.victim.drops.length, before + 1)
        assert.deepEqual([peer.victim.jobKinds, peer.victim.engine.ikeSas(0)], [[], []])
      }
    }
  })

  test('B2 a group that is not ours: INVALID_KE_PAYLOAD names ours, no state', () => {
    const peer = raw()
    const payloads = peer.initPayloads().map((each) => (each.kind === 'KE' ? { ...each, group: 5 } : each))
    const [answer] = peer.inject(peer.initRequest(payloads))
    assert.deepEqual([...answer.data.subarray(28)], [0, 0, 0, 10, 0, 0, 0, 17, 0, 31])
    assert.deepEqual([peer.victim.jobKinds, peer.victim.engine.ikeSas(0)], [[], []])
  })

  test('B4 nonces of 15 and 257 bytes are dropped, 16 and 256 accepted', () => {
    for (const length of [0, 15, 257]) {
      const peer = raw()
      peer.nonce = new Uint8Array(length)
      assertSilent(peer.victim, { remote: fromA, data: peer.initRequest() }, 'ike-nonce-length')
    }
    for (const length of [16, 256]) {
      const peer = raw()
      peer.nonce = peer.bed.random(length)
      peer.connect()
      assert.equal(peer.victim.installed.size, 1)
    }
  })

  test('B5, B7 cookies under load', () => {
    const peer = raw({ b: { cookieThreshold: 0 } })
    const data = peer.initRequest()
    const [answer] = peer.inject(data)
    assert.ok(answer.data.length <= data.length, 'no amplification')
    assert.deepEqual([peer.victim.drops, peer.victim.jobKinds], [['ike-cookie'], []])
    const cookie = notify(NotifyType.COOKIE, answer.data.subarray(36))
    const withCookie = (each: Payload) => peer.initRequest([each, ...peer.initPayloads()])
    const asked = (bytes: Uint8Array, from = fromA) => {
      const drops = peer.victim.drops.length
      peer.inject(bytes, from)
      return peer.victim.drops.slice(drops).includes('ike-cookie')
    }
    assert.ok(asked(withCookie(notify(NotifyType.COOKIE, none))))
    assert.ok(asked(withCookie(notify(NotifyType.COOKIE, new Uint8Array(65)))))
    assert.ok(asked(withCookie(cookie), { ...fromA, port: 501 }))
    const otherNonce = peer
      .initPayloads()
      .map((each) => (each.kind === 'NONCE' ? { ...each, data: peer.bed.random(32) } : each))
    assert.ok(asked(peer.initRequest([cookie, ...otherNonce])))
    peer.bed.now += 121_000
    assert.ok(asked(withCookie(cookie)), 'two secret periods old')
    const [fresh] = peer.inject(data).slice(-1)
    peer.bed.now += 60_000
    assert.ok(!asked(withCookie(notify(NotifyType.COOKIE, fresh.data.subarray(36)))), 'one period old')
    assert.equal(peer.victim.engine.ikeSas(peer.bed.now).length, 1)
  })

  test('a real initiator passes the cookie, and INVALID_KE_PAYLOAD behind it', () => {
    const bed = new IkeBed({ b: { cookieThreshold: 0 } })
    bed.configure(peerA({ ikeProposals: [{ ...suite, dhGroup: 14 }, suite] }), peerB())
    bed.a.initiate()
    bed.settle()
    assertUp(bed)
    assert.equal(bed.log.length, 8)
  })

  test('B6 the same request again: the cached answer, one state', () => {
    const peer = raw()
    const data = peer.initRequest()
    const [first] = peer.inject(data)
    const [second] = peer.inject(data)
    assert.deepEqual(second.data, first.data)
    assert.equal(peer.victim.engine.ikeSas(0).length, 1)
    peer.nonce = peer.bed.random(32)
    peer.inject(peer.initRequest())
    assert.equal(peer.victim.engine.ikeSas(0).length, 2, 'same SPI, new nonce: another attempt')
  })

  test('R2 half-open SAs per address are bounded and go after their time', () => {
    const peer = raw()
    for (let count = 0; count < 20; count++) {
      peer.nonce = peer.bed.random(32)
      peer.inject(peer.initRequest())
    }
    assert.equal(peer.victim.engine.ikeSas(0).length, 5)
    assert.deepEqual(new Set(peer.victim.drops), new Set(['ike-half-open']))
    peer.bed.run(31_000)
    assert.equal(peer.victim.engine.ikeSas(0).length, 0)
    assert.equal(peer.victim.engine.deadline(), Infinity)
  })

  test('B8 forged errors racing the true answer change nothing', () => {
    const bed = new IkeBed().configure(peerA(), peerB())
    bed.a.initiate()
    bed.computeAll()
    const spi = bed.log[0].data.subarray(0, 8)
    for (const type of [
      NotifyType.NO_PROPOSAL_CHOSEN,
      NotifyType.AUTHENTICATION_FAILED,
      NotifyType.INVALID_SYNTAX,
    ]) {
      const fields = {
        initiatorSpi: 1n,
        responderSpi: 0n,
        exchange: 34,
        messageId: 0,
        response: true,
        initiator: false,
      }
      const data = encodeMessage(fields, [notify(type)])
      data.set(spi)
      bed.a.do(bed.a.engine.receive({ local: fromA, remote: fromB, data }, bed.now))
    }
    assert.deepEqual(bed.a.drops, Array(3).fill('ike-clear-error'))
    assertUp(bed.settle())
    assert.deepEqual(bed.a.failed, [])
  })

  test('B9 proposals stripped in flight: AUTHENTICATION_FAILED', () => {
    const strong = { ...suite, encryption: 'aes-256' } as const
    const bed = new IkeBed().configure(
      peerA({ ikeProposals: [strong, suite] }),
      peerB({ ikeProposals: [strong, suite] }),
    )
    bed.a.initiate()
    bed.computeAll()
    const [flight] = bed.flights
    const weak = encodeIkeProposals([suite], none)
    const stripped = restate(flight.datagram.data, { kind: 'SA', proposals: [{ ...weak[0], number: 2 }] })
    flight.datagram = { ...flight.datagram, data: stripped }
    bed.settle()
    bed.run(60_000)
    assert.equal(bed.a.failed[0].reason, 'auth-failed')
    assert.deepEqual([bed.a.installed.size, bed.b.installed.size, bed.b.up.size], [0, 0, 0])
  })

  /** The message with its SA payload replaced. */
  function restate(data: Uint8Array, sa: Payload): Uint8Array {
    const initiatorSpi = new DataView(data.buffer, data.byteOffset).getBigUint64(0)
    const encoded = encodeMessage(
      { initiatorSpi, responderSpi: 0n, exchange: 34, messageId: 0, response: false, initiator: true },
      [sa],
    )
    const saLength = (data[30] << 8) | data[31]
    const rest = data.subarray(28 + saLength)
    const joined = new Uint8Array(encoded.length + rest.length)
    joined.set(encoded)
    joined.set(rest, encoded.length)
    joined[28] = data[28]
    joined.set(u32Bytes(joined.length), 24)
    return joined
  }
})

describe('C: IKE_AUTH', () => {
  test('C1 every flipped byte, one byte short: silence, the message id is not consumed', () => {
    const bed = new IkeBed().configure(peerA(), peerB())
    bed.a.initiate()
    bed.computeAll()
    bed.deliver()
    bed.computeAll()
    bed.deliver()
    bed.computeAll()
    const [{ datagram }] = bed.flights
    const first = datagram.data.slice()
    first[first.length - 1] ^= 1
    bed.b.do(bed.b.engine.receive({ local: fromB, remote: fromA, data: first }, bed.now))
    bed.computeAll()
    assert.deepEqual(bed.b.drops, ['ike-icv'], 'judged when the keys were there')
    for (let at = 32; at < datagram.data.length; at += 7) {
      const data = datagram.data.slice()
      data[at] ^= 0x80
      assertSilent(bed.b, { remote: fromA, data }, 'ike-icv')
    }
    const short = datagram.data.slice(0, -1)
    short.set(u32Bytes(short.length), 24)
    short.set([(short.length - 28) >> 8, (short.length - 28) & 255], 30)
    assertSilent(bed.b, { remote: fromA, data: short }, 'ike-sk-short')
    assertUp(bed.settle())
  })

  test('C2 authentic, but the pad length is past the payload: INVALID_SYNTAX, not set up', () => {
    const peer = raw()
    peer.init()
    const plain = new Uint8Array(16).fill(255)
    const data = sealBytes(peer, Exchange.IKE_AUTH, 1, plain)
    const [answer] = peer.inject(data)
    assert.deepEqual(notifyTypes(peer.open(answer.data).payloads), [NotifyType.INVALID_SYNTAX])
    assert.deepEqual(peer.victim.drops, ['ike-sk-padding'])
    assert.deepEqual([peer.victim.up.size, peer.victim.installed.size], [0, 0])
    assert.equal(peer.victim.engine.ikeSas(0).length, 0)
  })

  test('C6 our AUTH reflected, AUTH without our nonce', () => {
    const peer = raw()
    peer.init()
    peer.peerNonce = new Uint8Array(32)
    assert.deepEqual(notifyTypes(peer.auth()!), [NotifyType.AUTHENTICATION_FAILED])
    assert.match(peer.victim.reports[0].text, /the pre-shared key differs/)
  })

  test('C9 IKE_AUTH twice, and other exchanges before it ends', () => {
    const early = raw()
    early.init()
    assert.equal(early.inject(early.seal(Exchange.INFORMATIONAL, 1, [])).length, 0)
    assert.equal(
      early.inject(
        early.seal(Exchange.CREATE_CHILD_SA, 1, [
          ...early.childPayloads(),
          { kind: 'NONCE', data: new Uint8Array(32) },
        ]),
      ).length,
      0,
    )
    assert.deepEqual(early.victim.drops, ['ike-state', 'ike-state'])
    assert.ok(early.auth())
    assert.equal(early.victim.installed.size, 1)
    const again = early.seal(Exchange.IKE_AUTH, early.nextId, [...early.proof(), ...early.childPayloads()])
    assertSilent(early.victim, { remote: fromA, data: again }, 'ike-state')
  })

  test('C10 hash and URL is never fetched, C11 certificates are capped', () => {
    const peer = raw()
    peer.init()
    const cert: Payload = { kind: 'CERT', encoding: 12, data: new Uint8Array(40) }
    assert.ok(pick(peer.auth([cert])!, 'AUTH'), 'a pre-shared key needs no certificate')
    const many = raw()
    many.init()
    const answer = many.auth(Array.from({ length: 11 }, () => cert))
    assert.deepEqual(notifyTypes(answer!), [NotifyType.INVALID_SYNTAX])
  })

  test('C12 INITIAL_CONTACT removes older SAs of the same identity only', () => {
    const bed = upBed()
    const other = peerB({ tunnel: 'u', localSelectors: [range('10.8.0.0', '10.8.0.255')] })
    bed.configure([], { ...other, remote: null, remoteId: { kind: 'fqdn', value: 'x.example.net' } })
    bed.now += 1_000
    const stranger = new RawPeer(bed, {
      ...peerA(),
      localId: { kind: 'fqdn', value: 'x.example.net' },
      remoteSelectors: [range('10.8.0.0', '10.8.0.255')],
    })
    stranger.local = { address: '192.0.2.77', port: 500 }
    stranger.connect([notify(NotifyType.INITIAL_CONTACT)])
    assert.deepEqual([bed.b.installed.size, bed.b.downs.length], [2, 0])
    const same = new RawPeer(bed, peerA())
    same.init()
    same.inject(
      same
        .seal(Exchange.IKE_AUTH, 1, [
          ...same.proof(),
          ...same.childPayloads(),
          notify(NotifyType.INITIAL_CONTACT),
        ])
        .map((byte, at) => (at === 90 ? byte ^ 1 : byte)),
    )
    assert.deepEqual(
      [bed.b.installed.size, bed.b.drops.at(-1)],
      [2, 'ike-icv'],
      'not authentic: nothing goes',
    )
    assert.ok(same.auth([notify(NotifyType.INITIAL_CONTACT)]))
    assert.deepEqual([bed.b.installed.size, bed.b.up.size], [2, 2])
    assert.equal(bed.b.sender().spiOut, 0xc000_0001)
  })

  test('C14 EAP is refused, CP is ignored, USE_TRANSPORT_MODE is not echoed', () => {
    const peer = raw()
    peer.init()
    const answer = peer.auth([
      { kind: 'CP', data: Uint8Array.of(1, 0, 0, 0) },
      notify(NotifyType.USE_TRANSPORT_MODE),
      notify(40_000),
    ])
    assert.ok(pick(answer!, 'SA'))
    assert.ok(!answer!.some((each) => each.kind === 'CP'))
    assert.ok(!notifyTypes(answer!).includes(NotifyType.USE_TRANSPORT_MODE))
    const eap = raw()
    eap.init()
    const [id] = eap.proof()
    assert.deepEqual(notifyTypes(eap.auth([], [id])!), [NotifyType.INVALID_SYNTAX])
    assert.equal(eap.victim.up.size, 0)
  })
})

describe('D: an established IKE SA', () => {
  const connected = (): RawPeer => {
    const peer = raw()
    peer.connect()
    return peer
  }
  const rekey = (spi: number) => notify(NotifyType.REKEY_SA, none, spiBytes(spi), 3)
  const nonce = (): Payload => ({ kind: 'NONCE', data: new Uint8Array(32).fill(3) })

  test('D1 a repeated message id: the cached answer, processed once', () => {
    const peer = connected()
    const create = [...peer.childPayloads(0xc000_0002), nonce()]
    const [first] = peer.inject(peer.seal(Exchange.CREATE_CHILD_SA, 2, create))
    const [again] = peer.inject(
      peer.seal(Exchange.CREATE_CHILD_SA, 2, [...peer.childPayloads(0xc000_0003), nonce()]),
    )
    assert.deepEqual(again.data, first.data)
    assert.equal(peer.victim.installs, 2)
  })

  test('D2 message ids past the window', () => {
    const peer = connected()
    for (const id of [3, 1000, 0xffff_ffff]) {
      assertSilent(
        peer.victim,
        { remote: fromA, data: peer.seal(Exchange.INFORMATIONAL, id, []) },
        'ike-window',
      )
    }
    assert.deepEqual(peer.request(Exchange.INFORMATIONAL, []), [], 'an empty request is answered')
  })

  test('D3 a response that nobody asked for', () => {
    const peer = connected()
    for (const id of [0, 1, 2]) {
      const data = peer.seal(Exchange.INFORMATIONAL, id, [], { response: true })
      assertSilent(peer.victim, { remote: fromA, data }, 'ike-unexpected-response')
    }
  })

  test('D4 rekey of an unknown SPI: CHILD_SA_NOT_FOUND', () => {
    const peer = connected()
    const answer = peer.request(Exchange.CREATE_CHILD_SA, [
      rekey(0xdead_beef),
      ...peer.childPayloads(5_000),
      nonce(),
    ])
    assert.deepEqual(notifyTypes(answer!), [NotifyType.CHILD_SA_NOT_FOUND])
    assert.deepEqual([...pick(answer!, 'NOTIFY').spi], [0xde, 0xad, 0xbe, 0xef])
    const ours = [...peer.victim.installed.values()][0].spiIn
    const wrong = peer.request(Exchange.CREATE_CHILD_SA, [rekey(ours), ...peer.childPayloads(5_000), nonce()])
    assert.deepEqual(
      notifyTypes(wrong!),
      [NotifyType.CHILD_SA_NOT_FOUND],
      'the wrong direction is unknown too',
    )
  })

  test('D5 rekey with wider selectors is narrowed, with foreign ones refused', () => {
    const peer = connected()
    const [sa] = peer.childPayloads(0xc000_0002)
    const any: Payload = { kind: 'TSi', selectors: [range('0.0.0.0', '255.255.255.255')] }
    const wide = peer.request(Exchange.CREATE_CHILD_SA, [
      rekey(0xc000_0001),
      sa,
      nonce(),
      any,
      { ...any, kind: 'TSr' },
    ])
    assert.deepEqual(pick(wide!, 'TSi').selectors, [netA])
    const foreign: Payload = { kind: 'TSi', selectors: [range('172.16.0.0', '172.16.0.9')] }
    const none = peer.request(Exchange.CREATE_CHILD_SA, [
      rekey(0xc000_0002),
      sa,
      nonce(),
      foreign,
      { ...any, kind: 'TSr' },
    ])
    assert.deepEqual(notifyTypes(none!), [NotifyType.TS_UNACCEPTABLE])
  })

  test('D6 PFS demanded and missing, or offered where it is not wanted', () => {
    const pfs = {
      childProposals: [{ cipher: 'aes-128', integrity: 'sha1', esn: false, dhGroup: 31 }],
    } as const
    const demanding = new RawPeer(
      new IkeBed().configure([], peerB({ childProposals: [...pfs.childProposals] })),
      peerA({ childProposals: [...pfs.childProposals] }),
    )
    demanding.connect()
    const without = demanding.request(Exchange.CREATE_CHILD_SA, [
      ...demanding.childPayloads(7_000, false),
      nonce(),
    ])
    assert.deepEqual(notifyTypes(without!), [NotifyType.NO_PROPOSAL_CHOSEN])
    const noKe = demanding.request(Exchange.CREATE_CHILD_SA, [
      ...demanding.childPayloads(7_000, true),
      nonce(),
    ])
    assert.deepEqual(notifyTypes(noKe!), [NotifyType.INVALID_KE_PAYLOAD])
    const plain = new RawPeer(
      new IkeBed().configure([], peerB()),
      peerA({ childProposals: [...pfs.childProposals] }),
    )
    plain.connect()
    const surplus = plain.request(Exchange.CREATE_CHILD_SA, [...plain.childPayloads(7_000, true), nonce()])
    assert.deepEqual(notifyTypes(surplus!), [NotifyType.NO_PROPOSAL_CHOSEN])
  })

  test('D8 Deletes with wrong-direction, unknown, too many and repeated SPIs', () => {
    const peer = connected()
    const ours = [...peer.victim.installed.values()][0].spiIn
    const del = (spis: number[], protocol = 3): Payload => ({
      kind: 'DELETE',
      protocol,
      spis: spis.map(spiBytes),
    })
    assert.deepEqual(peer.request(Exchange.INFORMATIONAL, [del([ours, 1, 0xffff_ffff])]), [])
    assert.deepEqual(peer.request(Exchange.INFORMATIONAL, [del([0xc000_0001], 2)]), [], 'AH is another SA')
    const many = Array.from({ length: 10_000 }, (_, at) => 0x1000_0000 + at)
    assert.deepEqual(peer.request(Exchange.INFORMATIONAL, [del(many)]), [])
    assert.equal(peer.victim.installed.size, 1)
    const answer = peer.request(Exchange.INFORMATIONAL, [del([0xc000_0001, 0xc000_0001])])
    assert.deepEqual(pick(answer!, 'DELETE').spis, [spiBytes(ours)])
    assert.deepEqual([peer.victim.installed.size, peer.victim.removed[0].reason], [0, 'peer-deleted'])
    assert.deepEqual(peer.request(Exchange.INFORMATIONAL, [del([0xc000_0001])]), [])
  })

  test('D10 too many Child SAs: NO_ADDITIONAL_SAS', () => {
    const peer = raw({ b: { maxChildren: 3 } })
    peer.connect()
    for (let count = 2; count <= 3; count++) {
      assert.ok(
        pick(
          peer.request(Exchange.CREATE_CHILD_SA, [...peer.childPayloads(0xc000_0000 + count), nonce()])!,
          'SA',
        ),
      )
    }
    const refused = peer.request(Exchange.CREATE_CHILD_SA, [...peer.childPayloads(0xc000_0009), nonce()])
    assert.deepEqual(notifyTypes(refused!), [NotifyType.NO_ADDITIONAL_SAS])
  })

  test('authentic nonsense ends the SA at both ends (§2.21.3)', () => {
    const peer = connected()
    const answer = peer.request(Exchange.INFORMATIONAL, [nonce()])
    assert.deepEqual(notifyTypes(answer!), [NotifyType.INVALID_SYNTAX])
    assert.deepEqual([peer.victim.up.size, peer.victim.installed.size], [0, 0])
  })

  test('a Delete of the IKE SA is answered, and answered again', () => {
    const peer = connected()
    const data = peer.seal(Exchange.INFORMATIONAL, 2, [{ kind: 'DELETE', protocol: 1, spis: [] }])
    const [first] = peer.inject(data)
    const [again] = peer.inject(data)
    assert.deepEqual(peer.open(first.data).payloads, [])
    assert.deepEqual(again.data, first.data)
    assert.deepEqual(
      peer.victim.downs.map((each) => each.reason),
      ['peer-deleted'],
    )
    assertSilent(peer.victim, { remote: fromA, data: peer.seal(Exchange.INFORMATIONAL, 3, []) }, 'ike-state')
    peer.bed.run(31_000)
    assert.equal(peer.victim.engine.deadline(), Infinity)
  })
})

/** A protected message whose inside is given as bytes, padding and all. */
function sealBytes(peer: RawPeer, exchange: number, messageId: number, plain: Uint8Array): Uint8Array {
  const message = peer.seal(exchange, messageId, [{ kind: 'VENDOR', data: new Uint8Array(plain.length - 5) }])
  return reseal(peer, message, plain)
}

/** Puts other plaintext into a sealed message of AES-CBC and HMAC-SHA2-256-128 and repairs the ICV. */
function reseal(peer: RawPeer, message: Uint8Array, plain: Uint8Array): Uint8Array {
  const { encryptionKey, integrityKey } = peer.sendKeys()
  const out = message.slice()
  const cipher = createCipheriv('aes-128-cbc', encryptionKey, out.subarray(32, 48)).setAutoPadding(false)
  out.set(cipher.update(plain), 48)
  const covered = out.subarray(0, out.length - 16)
  out.set(createHmac('sha256', integrityKey).update(covered).digest().subarray(0, 16), out.length - 16)
  return out
}
