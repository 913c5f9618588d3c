// Negotiation as data: proposals, selectors, legality of whole messages.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { TrafficSelector } from '../control/ports.ts'
import type { ChildSuite, IkeSuite } from '../control/sa/contract.ts'
import { addressBytes, addressText } from '../control/wire/address.ts'
import { checkClearPayloads, checkLegality } from '../control/wire/legality.ts'
import { NotifyError, NotifyStatus, notifyName } from '../control/wire/notify.ts'
import {
  acceptChildAnswer,
  acceptIkeAnswer,
  chooseChildProposal,
  chooseIkeProposal,
  describeChildSuite,
  describeIkeSuite,
  describeProposal,
  encodeChildProposals,
  encodeIkeProposals,
  spiBytes,
} from '../control/wire/proposals.ts'
import {
  coversSelector,
  describeSelector,
  intersectSelectors,
  narrowSelectors,
  selectorsWithin,
} from '../control/wire/selectors.ts'
import type { Header, Payload, Proposal } from '../control/wire/types.ts'
import { Exchange } from '../control/wire/types.ts'
import { within } from './support/within.ts'

const strong: IkeSuite = { encryption: 'aes-256', integrity: 'sha256', prf: 'sha256', dhGroup: 14 }
const weak: IkeSuite = { encryption: 'aes-128', integrity: 'sha1', prf: 'sha1', dhGroup: 14 }
const aead: IkeSuite = { encryption: 'aes-gcm-256', integrity: null, prf: 'sha256', dhGroup: 31 }
const none = new Uint8Array(0)
const spi = spiBytes(0x1000)

/** The first proposal with changes. */
function offer(
  suites: IkeSuite[],
  change: (proposal: Proposal) => Partial<Proposal> = () => ({}),
): Proposal[] {
  return encodeIkeProposals(suites, none).map((proposal) => ({ ...proposal, ...change(proposal) }))
}

test('every IKE suite is offered, chosen and accepted as itself', () => {
  for (const encryption of ['des', '3des', 'aes-128', 'aes-192', 'aes-256'] as const) {
    for (const hash of ['md5', 'sha1', 'sha256', 'sha384', 'sha512'] as const) {
      for (const dhGroup of [1, 2, 5, 14, 15, 16, 17, 18, 19, 20, 21, 31] as const) {
        const suite = { encryption, integrity: hash, prf: hash, dhGroup }
        const chosen = chooseIkeProposal(offer([suite]), [suite])
        assert.ok(chosen.ok)
        assert.deepEqual(chosen.proposal, offer([suite])[0])
        assert.deepEqual(acceptIkeAnswer([chosen.proposal], [suite]), {
          ok: true,
          suite,
          proposal: chosen.proposal,
        })
      }
    }
  }
})

test('ids on the wire are those of the registry', () => {
  const text = (suite: IkeSuite) =>
    encodeIkeProposals([suite], none)[0].transforms.map(({ type, id, keyLength }) => [type, id, keyLength])
  assert.deepEqual(text(strong), [
    [1, 12, 256],
    [2, 5, undefined],
    [3, 12, undefined],
    [4, 14, undefined],
  ])
  assert.deepEqual(text(aead), [
    [1, 20, 256],
    [2, 5, undefined],
    [4, 31, undefined],
  ])
  const [esp] = encodeChildProposals(
    [{ cipher: 'aes-128', integrity: 'sha1', esn: false, dhGroup: 2 }],
    spi,
    true,
  )
  assert.deepEqual(
    esp.transforms.map(({ type, id }) => [type, id]),
    [
      [1, 12],
      [3, 2],
      [4, 2],
      [5, 0],
    ],
  )
  assert.deepEqual([esp.protocol, esp.spi], [3, Uint8Array.of(0, 0, 16, 0)])
})

test('the responder’s order decides when several suites fit', () => {
  const chosen = chooseIkeProposal(offer([weak, strong]), [strong, weak])
  assert.ok(chosen.ok)
  assert.deepEqual([chosen.suite, chosen.proposal.number], [strong, 2])
})

test('one proposal with many transforms of a type gives one of each', () => {
  const [a] = offer([strong])
  const [b] = offer([{ ...weak, dhGroup: 19 }])
  const mixed = { ...a, transforms: [...b.transforms, ...a.transforms] }
  const chosen = chooseIkeProposal([mixed], [strong])
  assert.ok(chosen.ok)
  assert.deepEqual(chosen.proposal.transforms, a.transforms)
})

test('INTEG NONE is as good as no INTEG, another INTEG is not', () => {
  const withInteg = (id: number) =>
    offer([aead], (each) => ({ transforms: [...each.transforms, { type: 3, id }] }))
  assert.ok(chooseIkeProposal(withInteg(0), [aead]).ok)
  const refused = chooseIkeProposal(withInteg(12), [aead])
  assert.deepEqual(refused.ok || refused.refusal[0].mismatch, ['authentication offered, none allowed'])
})

test('a refusal names per proposal what was offered and what was missing', () => {
  const refused = chooseIkeProposal(offer([weak, aead]), [strong])
  assert.deepEqual(refused, {
    ok: false,
    refusal: [
      {
        number: 1,
        offered: 'ike: aes-128, prf-sha1, sha1, group-14',
        mismatch: ['encryption aes-256', 'prf prf-sha256', 'authentication sha256'],
        nearest: 'ike: aes-256, prf-sha256, sha256, group-14',
        differs: [
          { type: 'encryption', offered: ['aes-128'], allowed: ['aes-256'] },
          { type: 'prf', offered: ['prf-sha1'], allowed: ['prf-sha256'] },
          { type: 'authentication', offered: ['sha1'], allowed: ['sha256'] },
        ],
      },
      {
        number: 2,
        offered: 'ike: aes-gcm-256, prf-sha256, group-31',
        mismatch: ['encryption aes-256', 'authentication sha256', 'dh-group group-14'],
        nearest: 'ike: aes-256, prf-sha256, sha256, group-14',
        differs: [
          { type: 'encryption', offered: ['aes-gcm-256'], allowed: ['aes-256'] },
          { type: 'authentication', offered: [], allowed: ['sha256'] },
          { type: 'dh-group', offered: ['group-31'], allowed: ['group-14'] },
        ],
      },
    ],
  })
  const other = chooseIkeProposal(
    offer([strong], () => ({ protocol: 3 })),
    [strong],
  )
  assert.deepEqual(other.ok || other.refusal[0].mismatch, ['protocol 3'])
  const wrongSpi = chooseIkeProposal(
    offer([strong], () => ({ spi })),
    [strong],
  )
  assert.deepEqual(wrongSpi.ok || wrongSpi.refusal[0].mismatch, ['SPI of 4 bytes'])
  const nothing = chooseIkeProposal(offer([strong]), [])
  assert.deepEqual(nothing.ok || nothing.refusal[0].mismatch, ['nothing allowed'])
})

test('proposals read like the configuration', () => {
  assert.equal(describeIkeSuite(strong), 'ike: aes-256, prf-sha256, sha256, group-14')
  assert.equal(
    describeChildSuite({ cipher: 'null', integrity: 'sha1', esn: true, dhGroup: null }),
    'esp: null, sha1, esn',
  )
  const odd = {
    number: 1,
    protocol: 7,
    spi: none,
    transforms: [
      { type: 1, id: 13, keyLength: 256 },
      { type: 1, id: 99 },
      { type: 9, id: 3 },
    ],
  }
  assert.equal(describeProposal(odd), 'protocol 7: aes-ctr-256 | encr-99, ke-3')
})

test('E7, B9: an answer must be one proposal of ours, unchanged', () => {
  const suites = [strong, weak]
  const answers = offer(suites)
  assert.ok(acceptIkeAnswer([answers[1]], suites).ok)
  const refused: Proposal[][] = [
    [],
    answers,
    [{ ...answers[0], number: 2 }],
    [{ ...answers[0], number: 0 }],
    [{ ...answers[0], number: 3 }],
    [{ ...answers[0], protocol: 3 }],
    [{ ...answers[0], spi }],
    [{ ...answers[0], transforms: answers[0].transforms.slice(1) }],
    [{ ...answers[0], transforms: [...answers[0].transforms, answers[0].transforms[0]] }],
    [{ ...answers[0], transforms: answers[0].transforms.map(({ type, id }) => ({ type, id })) }],
  ]
  for (const answer of refused) assert.equal(acceptIkeAnswer(answer, suites).ok, false)
})

const child: ChildSuite = { cipher: 'aes-256', integrity: 'sha256', esn: false, dhGroup: 14 }

test('Child SA: PFS counts in CREATE_CHILD_SA and is ignored in IKE_AUTH (§1.2)', () => {
  const withDh = encodeChildProposals([child], spi, true)
  const without = encodeChildProposals([child], spi, false)
  assert.ok(chooseChildProposal(withDh, [child], true).ok)
  assert.equal(chooseChildProposal(without, [child], true).ok, false)
  assert.equal(chooseChildProposal(withDh, [{ ...child, dhGroup: null }], true).ok, false)
  const inAuth = chooseChildProposal(withDh, [child], false)
  assert.ok(inAuth.ok)
  assert.deepEqual(inAuth.proposal, without[0])
  assert.ok(acceptChildAnswer(without, [child], false).ok)
  assert.equal(acceptChildAnswer(withDh, [child], false).ok, false)
})

test('Child SA: DH NONE stands for no DH; ESN must be the one configured', () => {
  const noPfs = { ...child, dhGroup: null }
  const [proposal] = encodeChildProposals([noPfs], spi, true)
  const withNone = { ...proposal, transforms: [...proposal.transforms, { type: 4, id: 0 }] }
  assert.ok(chooseChildProposal([withNone], [noPfs], true).ok)
  assert.equal(chooseChildProposal([proposal], [{ ...noPfs, esn: true }], true).ok, false)
})

function selector(text: string, protocol = 0, ports: [number, number] = [0, 65535]): TrafficSelector {
  const [from, to = from] = text.split('-')
  const [start, end] = [addressBytes(from)!, addressBytes(to)!]
  return { family: start.length === 4 ? 4 : 6, protocol, startPort: ports[0], endPort: ports[1], start, end }
}

test('narrowing takes the intersections in the order of the offer (§2.9)', () => {
  const offered = [selector('10.1.0.0-10.1.255.255'), selector('10.3.0.0-10.3.0.255')]
  const allowed = [selector('10.1.4.0-10.1.4.255'), selector('10.0.0.0-10.1.0.9')]
  assert.deepEqual(narrowSelectors(offered, allowed)?.map(describeSelector), [
    '10.1.4.0/24',
    '10.1.0.0-10.1.0.9',
  ])
  assert.equal(narrowSelectors([selector('10.9.0.0-10.9.0.1')], allowed), null)
  assert.equal(narrowSelectors([selector('2001:db8::-2001:db8::ff')], allowed), null)
  assert.equal(narrowSelectors([], allowed), null)
})

test('the packet’s own selector is inside the answer when policy allows it, whether wide or exact', () => {
  const packet = selector('10.1.4.7', 6, [80, 80])
  const net = selector('10.1.0.0-10.1.255.255')
  const policy = [selector('10.1.4.0-10.1.4.255')]
  const narrowed = narrowSelectors([packet, net], policy)!
  assert.ok(narrowed.some((entry) => coversSelector(entry, packet)))
  assert.deepEqual(narrowed.map(describeSelector), ['10.1.4.0/24'])
  const outside = narrowSelectors([selector('10.9.9.9', 6, [80, 80]), net], policy)!
  assert.deepEqual(outside.map(describeSelector), ['10.1.4.0/24'])
  const onlyTcp = narrowSelectors([packet, net], [selector('10.1.4.0-10.1.4.255', 6)])!
  assert.deepEqual(onlyTcp.map(describeSelector), ['10.1.4.0/24[6]'])
})

test('OPAQUE ports and reversed ranges cover nothing', () => {
  const any = selector('0.0.0.0-255.255.255.255')
  assert.equal(intersectSelectors(selector('10.0.0.1', 17, [65535, 0]), any), null)
  assert.equal(intersectSelectors(selector('10.0.0.9-10.0.0.1'), any), null)
})

const smallSelector = fc
  .tuple(fc.nat(7), fc.nat(7), fc.constantFrom(0, 6, 17), fc.nat(7), fc.nat(7))
  .map(([a, b, protocol, c, d]): TrafficSelector => {
    const [low, high, from, to] = [Math.min(a, b), Math.max(a, b), Math.min(c, d), Math.max(c, d)]
    return {
      family: 4,
      protocol,
      startPort: from,
      endPort: to,
      start: Uint8Array.of(10, 0, 0, low),
      end: Uint8Array.of(10, 0, 0, high),
    }
  })

/** Whether a packet from 10.0.0.host, port and protocol is matched by one of the selectors. */
function matches(list: TrafficSelector[], host: number, port: number, protocol: number): boolean {
  return list.some(
    (entry) =>
      entry.start[3] <= host &&
      host <= entry.end[3] &&
      entry.startPort <= port &&
      port <= entry.endPort &&
      (entry.protocol === 0 || entry.protocol === protocol),
  )
}

test('the narrowed set matches exactly the packets that both sides match', () => {
  const list = fc.array(smallSelector, { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(list, list, (offered, allowed) => {
      const narrowed = narrowSelectors(offered, allowed) ?? []
      for (let host = 0; host < 8; host++)
        for (let port = 0; port < 8; port++)
          for (const protocol of [6, 17, 1]) {
            const both = matches(offered, host, port, protocol) && matches(allowed, host, port, protocol)
            assert.equal(matches(narrowed, host, port, protocol), both)
          }
      if (narrowed.length > 0)
        assert.ok(selectorsWithin(narrowed, offered) && selectorsWithin(narrowed, allowed))
    }),
    { numRuns: 300 },
  )
})

test('an answer wider than the offer is noticed', () => {
  const offered = [selector('10.1.0.0-10.1.0.255')]
  assert.ok(selectorsWithin([selector('10.1.0.5')], offered))
  assert.ok(!selectorsWithin([selector('10.1.0.0-10.1.1.0')], offered))
  assert.ok(!selectorsWithin([selector('10.1.0.5'), selector('10.2.0.5')], offered))
  assert.ok(!selectorsWithin([], offered))
})

test('255 selectors against 64 are narrowed quickly and capped', () => {
  const offered = Array.from({ length: 255 }, (_, at) =>
    selector(`10.${at}.0.0-10.${at}.0.255`, 0, [at, 65535]),
  )
  const allowed = Array.from({ length: 64 }, (_, at) =>
    selector(`10.0.0.${at}-10.255.255.${at}`, 0, [at, 65000 + at]),
  )
  const narrowed = within(500, () => narrowSelectors(offered, allowed)!)
  assert.equal(narrowed.length, 64)
})

test('addresses have one text each', () => {
  for (const text of ['192.0.2.1', '::', '2001:db8::1', '2001:db8:0:1::1', '::ffff:0:0']) {
    const bytes = addressBytes(text)
    assert.ok(bytes)
    assert.ok(addressBytes(addressText(bytes)!)?.every((byte, at) => byte === bytes[at]))
  }
  for (const text of ['', '192.0.2', '192.0.2.256', '0300.0.0.1', 'fe80::1%eth0', 'gw', '1::2::3'])
    assert.equal(addressBytes(text), null)
})

const header = (exchange: number, response: boolean): Header => ({
  initiatorSpi: 1n,
  responderSpi: 2n,
  nextPayload: 0,
  majorVersion: 2,
  minorVersion: 0,
  exchange,
  initiator: !response,
  response,
  messageId: 1,
  length: 28,
})
const sa: Payload = { kind: 'SA', proposals: offer([strong]) }
const ke: Payload = { kind: 'KE', group: 14, data: new Uint8Array(256) }
const nonce: Payload = { kind: 'NONCE', data: new Uint8Array(32) }
const auth: Payload = { kind: 'AUTH', method: 2, data: new Uint8Array(32) }
const cert: Payload = { kind: 'CERT', encoding: 4, data: new Uint8Array(8) }
const ts: Payload[] = [
  { kind: 'TSi', selectors: [] },
  { kind: 'TSr', selectors: [] },
]
const id = (kind: 'IDi' | 'IDr'): Payload => ({
  kind,
  idType: 2,
  data: Uint8Array.of(97),
  raw: Uint8Array.of(2, 0, 0, 0, 97),
})
const notify = (type: number): Payload => ({ kind: 'NOTIFY', protocol: 0, spi: none, type, data: none })

function judge(
  exchange: number,
  response: boolean,
  payloads: Payload[],
  encrypted = exchange !== Exchange.IKE_SA_INIT,
) {
  return checkLegality({ header: header(exchange, response), payloads }, encrypted)?.reason ?? null
}

test('messages as RFC 7296 appendix C draws them are legal', () => {
  const { IKE_SA_INIT, IKE_AUTH, CREATE_CHILD_SA, INFORMATIONAL } = Exchange
  assert.equal(judge(IKE_SA_INIT, false, [notify(NotifyStatus.COOKIE), sa, ke, nonce]), null)
  assert.equal(judge(IKE_SA_INIT, true, [sa, ke, nonce, { kind: 'CERTREQ', encoding: 4, data: none }]), null)
  assert.equal(judge(IKE_SA_INIT, true, [notify(NotifyStatus.COOKIE)]), null)
  assert.equal(judge(IKE_SA_INIT, true, [notify(NotifyError.INVALID_KE_PAYLOAD)]), null)
  assert.equal(judge(IKE_AUTH, false, [id('IDi'), cert, id('IDr'), auth, sa, ...ts]), null)
  assert.equal(judge(IKE_AUTH, true, [id('IDr'), auth, notify(NotifyError.TS_UNACCEPTABLE)]), null)
  assert.equal(judge(IKE_AUTH, true, [notify(NotifyError.AUTHENTICATION_FAILED)]), null)
  assert.equal(judge(CREATE_CHILD_SA, false, [notify(NotifyStatus.REKEY_SA), sa, nonce, ke, ...ts]), null)
  assert.equal(judge(CREATE_CHILD_SA, false, [sa, nonce, ke]), null)
  assert.equal(judge(CREATE_CHILD_SA, true, [notify(NotifyError.NO_PROPOSAL_CHOSEN)]), null)
  assert.equal(judge(INFORMATIONAL, false, []), null)
  assert.equal(judge(INFORMATIONAL, true, [{ kind: 'DELETE', protocol: 3, spis: [] }]), null)
})

test('missing, surplus, foreign and unprotected payloads are not', () => {
  const { IKE_SA_INIT, IKE_AUTH, CREATE_CHILD_SA, INFORMATIONAL } = Exchange
  for (const missing of [sa, ke, nonce]) {
    assert.equal(
      judge(
        IKE_SA_INIT,
        false,
        [sa, ke, nonce].filter((each) => each !== missing),
      ),
      'ike-payload-missing',
    )
    assert.equal(
      judge(
        IKE_SA_INIT,
        true,
        [sa, ke, nonce].filter((each) => each !== missing),
      ),
      'ike-payload-missing',
    )
  }
  assert.equal(judge(IKE_SA_INIT, false, [notify(NotifyError.NO_PROPOSAL_CHOSEN)]), 'ike-payload-missing')
  assert.equal(judge(IKE_SA_INIT, false, [sa, ke, nonce, nonce]), 'ike-payload-surplus')
  assert.equal(judge(IKE_SA_INIT, false, [sa, ke, nonce, auth]), 'ike-payload-illegal')
  assert.equal(judge(IKE_AUTH, false, [id('IDi'), sa, ...ts]), 'ike-payload-missing') // EAP is not built
  assert.equal(
    judge(IKE_AUTH, false, [id('IDi'), auth, sa, ...ts, { kind: 'EAP', data: none }]),
    'ike-payload-illegal',
  )
  assert.equal(
    judge(IKE_AUTH, false, [id('IDi'), auth, sa, ...ts, ...Array.from({ length: 11 }, () => cert)]),
    'ike-payload-surplus',
  )
  assert.equal(judge(IKE_AUTH, false, [id('IDi'), auth, sa, ...ts], false), 'ike-payload-clear')
  assert.equal(judge(IKE_SA_INIT, false, [sa, ke, nonce], true), 'ike-payload-clear')
  assert.equal(judge(CREATE_CHILD_SA, false, [sa, nonce, ts[0]]), 'ike-payload-missing')
  assert.equal(judge(INFORMATIONAL, false, [sa]), 'ike-payload-illegal')
  assert.equal(
    judge(
      INFORMATIONAL,
      false,
      Array.from({ length: 21 }, () => notify(16384)),
    ),
    'ike-payload-surplus',
  )
  assert.equal(checkClearPayloads([auth])?.reason, 'ike-payload-clear')
  assert.equal(
    checkClearPayloads([{ kind: 'UNKNOWN', type: 99, critical: true, data: none }])?.reason,
    'ike-critical-payload',
  )
  assert.equal(checkClearPayloads([{ kind: 'UNKNOWN', type: 99, critical: false, data: none }]), null)
})

test('notify types have names', () => {
  assert.equal(notifyName(NotifyError.TS_UNACCEPTABLE), 'TS_UNACCEPTABLE')
  assert.equal(notifyName(40_000), 'notify 40000')
})
