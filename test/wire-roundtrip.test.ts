// Properties of the codec: no bytes make it throw, and what was decoded encodes to something that decodes alike.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { TrafficSelector } from '../control/ports.ts'
import { decodeIdentity } from '../control/wire/identity.ts'
import { checkClearPayloads, checkLegality } from '../control/wire/legality.ts'
import {
  decodeMessage,
  decodePayloads,
  encodeMessage,
  encodePayloads,
  isProtected,
} from '../control/wire/message.ts'
import { chooseChildProposal, chooseIkeProposal, describeProposal } from '../control/wire/proposals.ts'
import { describeSelector } from '../control/wire/selectors.ts'
import type { Payload, Proposal, Transform } from '../control/wire/types.ts'

const bytes = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength })
const byte = fc.integer({ min: 0, max: 255 })
const word = fc.integer({ min: 0, max: 65535 })

const attribute = fc.record({
  type: fc.integer({ min: 15, max: 0x7fff }),
  value: fc.oneof(word, bytes(0, 6)),
})
const transform: fc.Arbitrary<Transform> = fc
  .record({
    type: byte,
    id: word,
    keyLength: fc.option(word, { nil: undefined }),
    attributes: fc.array(attribute, { maxLength: 2 }),
  })
  .map(({ type, id, keyLength, attributes }) => ({
    type,
    id,
    ...(keyLength === undefined ? {} : { keyLength }),
    ...(attributes.length === 0 ? {} : { attributes }),
  }))
const proposal: fc.Arbitrary<Proposal> = fc.record({
  number: byte,
  protocol: fc.constantFrom(1, 2, 3, 9),
  spi: fc.oneof(bytes(0, 0), bytes(4, 4), bytes(8, 8)),
  transforms: fc.array(transform, { maxLength: 5 }),
})
const selector: fc.Arbitrary<TrafficSelector> = fc.constantFrom(4 as const, 6 as const).chain((family) =>
  fc.record({
    family: fc.constant(family),
    protocol: byte,
    startPort: word,
    endPort: word,
    start: bytes(family === 4 ? 4 : 16, family === 4 ? 4 : 16),
    end: bytes(family === 4 ? 4 : 16, family === 4 ? 4 : 16),
  }),
)
const id = fc.record({
  kind: fc.constantFrom('IDi' as const, 'IDr' as const),
  idType: byte,
  data: bytes(0, 20),
})
const payload: fc.Arbitrary<Payload> = fc.oneof(
  fc.record({
    kind: fc.constant('SA' as const),
    proposals: fc.array(proposal, { minLength: 1, maxLength: 4 }),
  }),
  fc.record({ kind: fc.constant('KE' as const), group: word, data: bytes(1, 40) }),
  id.map((each) => ({ ...each, raw: Uint8Array.of(each.idType, 0, 0, 0, ...each.data) })),
  fc.record({
    kind: fc.constantFrom('CERT' as const, 'CERTREQ' as const),
    encoding: byte,
    data: bytes(0, 20),
  }),
  fc.record({ kind: fc.constant('AUTH' as const), method: byte, data: bytes(1, 20) }),
  fc.record({ kind: fc.constant('NONCE' as const), data: bytes(16, 64) }),
  fc.record({
    kind: fc.constant('NOTIFY' as const),
    protocol: byte,
    spi: bytes(0, 8),
    type: word,
    data: bytes(0, 20),
  }),
  fc.record({
    kind: fc.constant('DELETE' as const),
    protocol: fc.constantFrom(2, 3),
    spis: fc.array(bytes(4, 4), { maxLength: 4 }),
  }),
  fc.record({
    kind: fc.constantFrom('TSi' as const, 'TSr' as const),
    selectors: fc.array(selector, { maxLength: 4 }),
  }),
  fc.record({ kind: fc.constantFrom('VENDOR' as const, 'CP' as const, 'EAP' as const), data: bytes(0, 20) }),
  fc.record({
    kind: fc.constant('UNKNOWN' as const),
    type: fc.constantFrom(1, 32, 49, 52, 54, 255),
    critical: fc.boolean(),
    data: bytes(0, 20),
  }),
)
const spi = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n })
const fields = fc.record({
  initiatorSpi: spi,
  responderSpi: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  exchange: fc.constantFrom(34, 35, 36, 37),
  initiator: fc.boolean(),
  response: fc.boolean(),
  messageId: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
})

/** ID payloads lose reserved bytes on encoding; everything else must be equal. */
function comparable(payloads: Payload[]): Payload[] {
  return payloads.map((each) => ('raw' in each ? { ...each, raw: each.data } : each))
}

test('what is encoded decodes to itself', () => {
  fc.assert(
    fc.property(fields, fc.array(payload, { maxLength: 8 }), (header, payloads) => {
      const decoded = decodeMessage(encodeMessage(header, payloads))
      assert.ok(decoded.ok, decoded.ok ? '' : `${decoded.reason} ${decoded.detail}`)
      assert.ok(!isProtected(decoded.value))
      assert.deepEqual(structuredClone(decoded.value.payloads), structuredClone(payloads)) // plain prototypes on both sides
      const { nextPayload: _next, majorVersion, minorVersion, length, ...rest } = decoded.value.header
      assert.deepEqual(rest, structuredClone(header))
      assert.deepEqual([majorVersion, minorVersion, length], [2, 0, encodeMessage(header, payloads).length])
    }),
    { numRuns: 1000 },
  )
})

/** Everything that looks at a decoded message must cope with it. */
function touch(datagram: Uint8Array): void {
  const decoded = decodeMessage(datagram)
  if (!decoded.ok) return
  const { payloads } = decoded.value
  if (isProtected(decoded.value)) checkClearPayloads(payloads)
  else checkLegality(decoded.value, false)
  checkLegality({ header: decoded.value.header, payloads }, true)
  for (const each of payloads) touchPayload(each)
  const again = encodePayloads(payloads)
  const decodedAgain = decodePayloads(again.firstType, again.bytes)
  assert.ok(decodedAgain.ok)
  assert.deepEqual(comparable(decodedAgain.value), comparable(payloads))
}

function touchPayload(each: Payload): void {
  if (each.kind === 'IDi' || each.kind === 'IDr') decodeIdentity(each.idType, each.data)
  if (each.kind === 'TSi' || each.kind === 'TSr') each.selectors.map(describeSelector)
  if (each.kind !== 'SA') return
  each.proposals.map(describeProposal)
  chooseIkeProposal(each.proposals, [{ encryption: 'aes-128', integrity: 'sha1', prf: 'sha1', dhGroup: 14 }])
  chooseChildProposal(
    each.proposals,
    [{ cipher: 'aes-gcm-256', integrity: null, esn: true, dhGroup: 31 }],
    true,
  )
}

/** Bytes with a header that fits their length, so that the payloads are reached. */
const headed = fc
  .tuple(bytes(0, 200), byte, fc.constantFrom(34, 35, 36, 37))
  .map(([body, next, exchange]) => {
    const datagram = new Uint8Array(28 + body.length)
    datagram.set([1, 2, 3, 4, 5, 6, 7, 8])
    datagram.set([next, 0x20, exchange, 0x08], 16)
    datagram[27] = datagram.length
    datagram.set(body, 28)
    return datagram
  })

test('no bytes make the decoder throw', () => {
  fc.assert(fc.property(bytes(0, 300), touch), { numRuns: 1000 })
  fc.assert(fc.property(headed, touch), { numRuns: 5000 })
})

test('no payload body of any type makes the decoder throw', () => {
  fc.assert(
    fc.property(byte, bytes(0, 120), (type, body) => {
      const framed = Uint8Array.of(0, 0, 0, body.length + 4, ...body)
      decodePayloads(type, framed)
    }),
    { numRuns: 10_000 },
  )
})

test('honest messages with damaged bytes decode, or end in a named refusal, and stay stable', () => {
  const damage = fc.array(fc.tuple(fc.nat(), byte), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(
      fields,
      fc.array(payload, { minLength: 1, maxLength: 6 }),
      damage,
      (header, payloads, hits) => {
        const datagram = encodeMessage(header, payloads)
        for (const [at, value] of hits) datagram[16 + (at % (datagram.length - 16))] = value
        datagram.set([0, 0, datagram.length >> 8, datagram.length & 255], 24)
        touch(datagram)
      },
    ),
    { numRuns: 5000 },
  )
})
