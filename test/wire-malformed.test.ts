// Malformed IKE datagrams by hand: each ends in a named refusal, quickly, and none in an exception.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { concat, u16Bytes, u32Bytes, u64Bytes } from '../control/wire/bytes.ts'
import { checkLegality } from '../control/wire/legality.ts'
import {
  decodeHeader,
  decodeMessage,
  decodePayloads,
  encodeMessage,
  isProtected,
} from '../control/wire/message.ts'
import { NotifyError } from '../control/wire/notify.ts'
import { chooseChildProposal, chooseIkeProposal } from '../control/wire/proposals.ts'
import { wireReasons } from '../control/wire/reasons.ts'
import type { Decoded, Message, Payload, Transform } from '../control/wire/types.ts'
import { Exchange, PayloadType } from '../control/wire/types.ts'
import { within } from './support/within.ts'

const fields = {
  initiatorSpi: 0x1122334455667788n,
  responderSpi: 0n,
  exchange: Exchange.IKE_SA_INIT,
  initiator: true,
  response: false,
  messageId: 0,
}

/** Header with any next payload, version, exchange and length in front of a body. */
function datagram(
  next: number,
  body: Uint8Array,
  change: Partial<Record<'version' | 'exchange' | 'length', number>> = {},
) {
  return concat(
    u64Bytes(fields.initiatorSpi),
    u64Bytes(0n),
    Uint8Array.of(next, change.version ?? 0x20, change.exchange ?? 34, 8),
    u32Bytes(0),
    u32Bytes(change.length ?? 28 + body.length),
    body,
  )
}

/** Generic payload header and body. */
function payload(next: number, body: Uint8Array, flags = 0, length = body.length + 4): Uint8Array {
  return concat(Uint8Array.of(next, flags), u16Bytes(length), body)
}

function transformBytes(last: boolean, type: number, id: number, attributes = new Uint8Array(0)): Uint8Array {
  return concat(
    Uint8Array.of(last ? 0 : 3, 0),
    u16Bytes(8 + attributes.length),
    Uint8Array.of(type, 0),
    u16Bytes(id),
    attributes,
  )
}

function proposalBytes(
  last: boolean,
  number: number,
  transforms: Uint8Array[],
  count = transforms.length,
): Uint8Array {
  const body = concat(...transforms)
  return concat(
    Uint8Array.of(last ? 0 : 2, 0),
    u16Bytes(8 + body.length),
    Uint8Array.of(number, 1, 0, count),
    body,
  )
}

/** Asserts the refusal, that its name is in the table, and that it took no more than the 50 ms of A4. */
function refused(result: Decoded<unknown>, reason: string): void {
  assert.equal(result.ok, false)
  if (result.ok) return
  assert.equal(result.reason, reason)
  assert.ok(Object.hasOwn(wireReasons, result.reason))
}

const timed = <T>(run: () => T): T => within(50, run)

const accepted = (bytes: Uint8Array): Message => {
  const result = decodeMessage(bytes)
  assert.ok(result.ok, result.ok ? '' : result.reason)
  assert.ok(!isProtected(result.value))
  return result.value
}

test('A1: 0 to 27 bytes are no header', () => {
  for (let length = 0; length < 28; length++)
    refused(decodeMessage(new Uint8Array(length).fill(0xff)), 'ike-short')
})

test('A2: a length field other than the datagram', () => {
  const body = payload(0, new Uint8Array(20))
  for (const length of [0, 27, 28, 51, 53, 0xffffffff]) {
    refused(decodeMessage(datagram(PayloadType.NONCE, body, { length })), 'ike-length')
  }
  assert.ok(decodeMessage(datagram(PayloadType.NONCE, body)).ok)
})

test('A3: payload lengths 0, 1, 3, past the end; a chain without its end; bytes behind it', () => {
  for (const length of [0, 1, 2, 3, 25, 0xffff]) {
    refused(
      decodeMessage(datagram(PayloadType.NONCE, payload(0, new Uint8Array(20), 0, length))),
      'ike-payload-length',
    )
  }
  refused(
    decodeMessage(datagram(PayloadType.NONCE, payload(PayloadType.VENDOR, new Uint8Array(20)))),
    'ike-payload-length',
  )
  refused(
    decodeMessage(datagram(PayloadType.NONCE, concat(payload(0, new Uint8Array(20)), Uint8Array.of(0)))),
    'ike-trailing-bytes',
  )
  refused(decodeMessage(datagram(PayloadType.NONE, Uint8Array.of(1))), 'ike-trailing-bytes')
})

test('A3: the SK payload is the last one', () => {
  const sk = payload(0, new Uint8Array(40))
  refused(
    decodeMessage(datagram(PayloadType.SK, concat(sk, payload(0, new Uint8Array(4))))),
    'ike-sk-not-last',
  )
  refused(decodePayloads(PayloadType.SK, sk), 'ike-sk-nested')
})

test('A4: 65,507 bytes in one payload, 10,000 payloads', () => {
  const big = timed(() =>
    decodeMessage(datagram(PayloadType.VENDOR, payload(0, new Uint8Array(65_507 - 32)))),
  )
  assert.ok(big.ok)
  const many = concat(...Array.from({ length: 10_000 }, () => payload(PayloadType.VENDOR, new Uint8Array(0))))
  refused(
    timed(() => decodeMessage(datagram(PayloadType.VENDOR, many))),
    'ike-payload-count',
  )
})

test('A4: proposals and transforms without number', () => {
  const transform = (last: boolean) => transformBytes(last, 1, 12)
  const fat = proposalBytes(
    true,
    1,
    Array.from({ length: 255 }, (_, at) => transform(at === 254)),
  )
  const two = concat(
    proposalBytes(false, 1, [...Array.from({ length: 254 }, () => transform(false)), transform(true)]),
    fat,
  )
  assert.ok(timed(() => decodeMessage(datagram(PayloadType.SA, payload(0, two)))).ok)
  const many = concat(
    ...Array.from({ length: 1000 }, (_, at) => proposalBytes(at === 999, 1, [transform(true)])),
  )
  refused(
    timed(() => decodeMessage(datagram(PayloadType.SA, payload(0, many)))),
    'ike-sa-count',
  )
  const three = concat(
    ...Array.from({ length: 3 }, (_, at) =>
      proposalBytes(
        at === 2,
        1,
        Array.from({ length: 255 }, (__, t) => transform(t === 254)),
      ),
    ),
  )
  refused(
    timed(() => decodeMessage(datagram(PayloadType.SA, payload(0, three)))),
    'ike-sa-count',
  )
})

test('A4: the largest SA payload of full caps is chosen from or refused in time', () => {
  const transforms: Transform[] = Array.from({ length: 8 }, (_, at) => ({
    type: 1 + (at % 5),
    id: 1000 + at,
  }))
  const proposals = Array.from({ length: 64 }, (_, at) => ({
    number: at + 1,
    protocol: 1,
    spi: new Uint8Array(0),
    transforms,
  }))
  const allowed = Array.from(
    { length: 20 },
    () => ({ encryption: 'aes-256', integrity: 'sha256', prf: 'sha256', dhGroup: 14 }) as const,
  )
  const choice = timed(() => chooseIkeProposal(proposals, allowed))
  assert.equal(choice.ok, false)
  assert.equal(choice.ok || choice.refusal.length, 16)
})

test('A4: attributes past their transform', () => {
  for (const attribute of [Uint8Array.of(0x80), Uint8Array.of(0x80, 14, 0), Uint8Array.of(0, 14, 0, 9, 1)]) {
    const sa = proposalBytes(true, 1, [transformBytes(true, 1, 12, attribute)])
    refused(decodeMessage(datagram(PayloadType.SA, payload(0, sa))), 'ike-sa-payload')
  }
})

test('A5: major version 3 is told from the header, 2.15 is 2.0', () => {
  const header = decodeHeader(datagram(0, new Uint8Array(0), { version: 0x30 }))
  assert.ok(header.ok && header.value.majorVersion === 3)
  refused(decodeMessage(datagram(0, new Uint8Array(0), { version: 0x30 })), 'ike-version')
  assert.equal(accepted(datagram(0, new Uint8Array(0), { version: 0x2f })).header.minorVersion, 15)
})

test('A6: IKEv1 payload types are unknown payloads, IKEv1 messages another version', () => {
  for (let type = 1; type <= 32; type++) {
    const [found] = accepted(datagram(type, payload(0, new Uint8Array(8)))).payloads
    assert.equal(found.kind, 'UNKNOWN')
  }
  refused(
    decodeMessage(datagram(1, payload(0, new Uint8Array(8)), { version: 0x10, exchange: 2 })),
    'ike-version',
  )
})

test('A7: an unknown payload is skipped, a critical one refused by its type', () => {
  const init = [
    {
      kind: 'SA',
      proposals: [{ number: 1, protocol: 1, spi: new Uint8Array(0), transforms: [{ type: 1, id: 12 }] }],
    },
    { kind: 'KE', group: 14, data: new Uint8Array(256) },
    { kind: 'NONCE', data: new Uint8Array(32) },
  ] satisfies Payload[]
  const withUnknown = (critical: boolean) =>
    accepted(
      encodeMessage(fields, [...init, { kind: 'UNKNOWN', type: 200, critical, data: new Uint8Array(4) }]),
    )
  assert.equal(checkLegality(withUnknown(false), false), null)
  const refusal = checkLegality(withUnknown(true), false)
  assert.equal(refusal?.reason, 'ike-critical-payload')
  assert.deepEqual(refusal?.notify, {
    type: NotifyError.UNSUPPORTED_CRITICAL_PAYLOAD,
    data: Uint8Array.of(200),
  })
})

test('A7: the critical flag of a known payload means nothing', () => {
  const message = accepted(datagram(PayloadType.NONCE, payload(0, new Uint8Array(16), 0x80)))
  assert.equal(message.payloads[0].kind, 'NONCE')
})

test('A8: reserved bits and bytes are ignored and kept in raw', () => {
  const body = Uint8Array.of(2, 0xaa, 0xbb, 0xcc, 0x61)
  const [id] = accepted(datagram(PayloadType.IDi, payload(0, body, 0x7f))).payloads
  assert.ok(id.kind === 'IDi' && id.idType === 2)
  assert.deepEqual(id.raw, body)
  assert.deepEqual(id.data, Uint8Array.of(0x61))
})

test('A9: exchange types 0, 33, 38, 255, and a zero initiator SPI', () => {
  for (const exchange of [0, 2, 33, 38, 255])
    refused(decodeMessage(datagram(0, new Uint8Array(0), { exchange })), 'ike-exchange')
  const zero = datagram(0, new Uint8Array(0))
  zero.fill(0, 0, 8)
  refused(decodeMessage(zero), 'ike-spi-zero')
})

test('A10, A11: SPIs and flags come out as they went in: what they mean is the engine’s', () => {
  const bytes = encodeMessage(
    { ...fields, responderSpi: 0xffffffffffffffffn, initiator: false, response: true },
    [],
  )
  const { header } = accepted(bytes)
  assert.equal(header.responderSpi, 0xffffffffffffffffn)
  assert.deepEqual([header.initiator, header.response], [false, true])
})

test('A12: transforms of odd type or key length keep their proposal from being chosen', () => {
  const aes = { encryption: 'aes-128', integrity: 'sha256', prf: 'sha256', dhGroup: 14 } as const
  const tripleDes = { ...aes, encryption: '3des' } as const
  const rest: Transform[] = [
    { type: 2, id: 5 },
    { type: 3, id: 12 },
    { type: 4, id: 14 },
  ]
  const choose = (...transforms: Transform[]) =>
    chooseIkeProposal(
      [{ number: 1, protocol: 1, spi: new Uint8Array(0), transforms: [...transforms, ...rest] }],
      [aes, tripleDes],
    )
  const good: Transform = { type: 1, id: 12, keyLength: 128 }
  assert.ok(choose(good).ok)
  assert.ok(choose({ type: 1, id: 3 }).ok)
  for (const keyLength of [undefined, 0, 127, 512])
    assert.equal(choose({ type: 1, id: 12, keyLength }).ok, false)
  for (const id of [2, 3]) assert.equal(choose({ type: 1, id, keyLength: 192 }).ok, false)
  for (const type of [0, 99]) assert.equal(choose(good, { type, id: 1 }).ok, false)
  assert.equal(choose({ ...good, attributes: [{ type: 15, value: 1 }] }).ok, false)
})

test('A13: an SA payload shorter than its own lengths', () => {
  const sa = proposalBytes(true, 1, [transformBytes(true, 1, 12, Uint8Array.of(0x80, 14, 0, 128))])
  for (let length = 0; length < sa.length; length++) {
    refused(decodeMessage(datagram(PayloadType.SA, payload(0, sa.subarray(0, length)))), 'ike-sa-payload')
  }
  for (const [at, value] of [
    [0, 2],
    [3, 7],
    [3, 255],
    [6, 255],
    [7, 2],
    [7, 0],
    [8, 3],
    [11, 7],
    [11, 200],
  ]) {
    const broken = sa.slice()
    broken[at] = value
    refused(decodeMessage(datagram(PayloadType.SA, payload(0, broken))), 'ike-sa-payload')
  }
})

test('B4: nonces of 0, 15, 257 bytes are refused, 16 and 256 accepted', () => {
  for (const length of [0, 15, 257])
    refused(
      decodeMessage(datagram(PayloadType.NONCE, payload(0, new Uint8Array(length)))),
      'ike-nonce-length',
    )
  for (const length of [16, 256])
    assert.ok(decodeMessage(datagram(PayloadType.NONCE, payload(0, new Uint8Array(length)))).ok)
})

test('short and inconsistent bodies of every payload', () => {
  const cases: [number, Uint8Array, string][] = [
    [PayloadType.KE, new Uint8Array(4), 'ike-ke-payload'],
    [PayloadType.IDi, new Uint8Array(3), 'ike-id-payload'],
    [PayloadType.CERT, new Uint8Array(0), 'ike-cert-payload'],
    [PayloadType.AUTH, new Uint8Array(4), 'ike-auth-payload'],
    [PayloadType.NOTIFY, Uint8Array.of(0, 1, 0, 0), 'ike-notify-payload'],
    [PayloadType.NOTIFY, new Uint8Array(3), 'ike-notify-payload'],
    [PayloadType.DELETE, Uint8Array.of(3, 4, 0, 1), 'ike-delete-payload'],
    [PayloadType.DELETE, Uint8Array.of(3, 4, 0xff, 0xff, 0, 0, 0, 1), 'ike-delete-payload'],
    [PayloadType.DELETE, Uint8Array.of(3, 0, 0xff, 0xff), 'ike-delete-payload'],
    [PayloadType.DELETE, Uint8Array.of(1, 0, 0, 1), 'ike-delete-payload'],
    [PayloadType.TSi, new Uint8Array(3), 'ike-ts-payload'],
    [PayloadType.TSi, Uint8Array.of(1, 0, 0, 0), 'ike-ts-payload'],
    [PayloadType.TSr, concat(Uint8Array.of(1, 0, 0, 0, 7, 0, 0, 15), new Uint8Array(12)), 'ike-ts-payload'],
    [PayloadType.TSr, concat(Uint8Array.of(1, 0, 0, 0, 8, 0, 0, 16), new Uint8Array(12)), 'ike-ts-payload'],
    [PayloadType.TSr, concat(Uint8Array.of(1, 0, 0, 0, 7, 0, 0, 16), new Uint8Array(13)), 'ike-ts-payload'],
    [PayloadType.SKF, new Uint8Array(40), 'ike-sk-nested'],
  ]
  for (const [type, body, reason] of cases) refused(decodePayloads(type, payload(0, body)), reason)
})

test('a proposal whose SPI is below 256 is not chosen', () => {
  const transforms: Transform[] = [
    { type: 1, id: 12, keyLength: 128 },
    { type: 3, id: 2 },
    { type: 5, id: 0 },
  ]
  const suite = { cipher: 'aes-128', integrity: 'sha1', esn: false, dhGroup: null } as const
  const choose = (spi: Uint8Array) =>
    chooseChildProposal([{ number: 1, protocol: 3, spi, transforms }], [suite], false)
  assert.ok(choose(Uint8Array.of(0, 0, 1, 0)).ok)
  for (const spi of [Uint8Array.of(0, 0, 0, 255), new Uint8Array(0), new Uint8Array(8).fill(1)])
    assert.equal(choose(spi).ok, false)
})
