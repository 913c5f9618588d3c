// Security association payload, RFC 7296 §3.3: proposals, transforms, attributes.
//
// The structure is checked completely here; whether a proposal is acceptable is proposals.ts.

import { concat, u16, u16Bytes } from './bytes.ts'
import { malformed } from './reasons.ts'
import type { Attribute, Decoded, Malformed, Proposal, Transform } from './types.ts'

/** Caps on what one SA payload may hold (security A4). */
export const maxProposals = 64
export const maxTransforms = 512

const keyLengthAttribute = 14
const attributeFormatTv = 0x8000

const bad = (detail: string): Malformed => malformed('ike-sa-payload', detail)

/** §3.3.5: attributes fill bytes exactly; TV form has its value in place of a length. */
function decodeAttributes(bytes: Uint8Array, transform: Transform): Malformed | null {
  let at = 0
  while (at < bytes.length) {
    if (at + 4 > bytes.length) return bad('attribute past its transform')
    const type = u16(bytes, at)
    const isTv = (type & attributeFormatTv) !== 0
    const value = u16(bytes, at + 2)
    const end = at + 4 + (isTv ? 0 : value)
    if (end > bytes.length) return bad('attribute past its transform')
    const isKeyLength = isTv && type === (attributeFormatTv | keyLengthAttribute)
    if (isKeyLength && transform.keyLength === undefined) transform.keyLength = value
    else {
      transform.attributes ??= []
      transform.attributes.push({ type: type & 0x7fff, value: isTv ? value : bytes.subarray(at + 4, end) })
    }
    at = end
  }
  return null
}

/** §3.3.2: the transforms of one proposal, which they must fill exactly. */
function decodeTransforms(bytes: Uint8Array, count: number): Decoded<Transform[]> {
  const transforms: Transform[] = []
  let at = 0
  for (let index = 1; index <= count; index++) {
    if (at + 8 > bytes.length) return bad('transform past its proposal')
    const length = u16(bytes, at + 2)
    if (length < 8 || at + length > bytes.length) return bad('transform past its proposal')
    if (bytes[at] !== (index === count ? 0 : 3)) return bad('transform chain')
    const transform: Transform = { type: bytes[at + 4], id: u16(bytes, at + 6) }
    const refused = decodeAttributes(bytes.subarray(at + 8, at + length), transform)
    if (refused) return refused
    transforms.push(transform)
    at += length
  }
  return at === bytes.length ? { ok: true, value: transforms } : bad('bytes behind the last transform')
}

/** §3.3.1: one proposal; bytes is exactly its extent. */
function decodeProposal(bytes: Uint8Array): Decoded<Proposal> {
  const spiSize = bytes[6]
  if (8 + spiSize > bytes.length) return bad('SPI past its proposal')
  const transforms = decodeTransforms(bytes.subarray(8 + spiSize), bytes[7])
  if (!transforms.ok) return transforms
  const spi = bytes.subarray(8, 8 + spiSize)
  return { ok: true, value: { number: bytes[4], protocol: bytes[5], spi, transforms: transforms.value } }
}

/** Decodes the body of an SA payload: at least one proposal, chain marks and counts consistent, caps held. */
export function decodeSa(body: Uint8Array): Decoded<Proposal[]> {
  const proposals: Proposal[] = []
  let transforms = 0
  let at = 0
  while (at < body.length) {
    if (at + 8 > body.length) return bad('proposal past its payload')
    const length = u16(body, at + 2)
    if (length < 8 || at + length > body.length) return bad('proposal past its payload')
    if (body[at] !== (at + length === body.length ? 0 : 2)) return bad('proposal chain')
    transforms += body[at + 7]
    if (proposals.length === maxProposals || transforms > maxTransforms) return malformed('ike-sa-count')
    const proposal = decodeProposal(body.subarray(at, at + length))
    if (!proposal.ok) return proposal
    proposals.push(proposal.value)
    at += length
  }
  return proposals.length > 0 ? { ok: true, value: proposals } : bad('no proposal')
}

function encodeAttribute(attribute: Attribute): Uint8Array {
  if (typeof attribute.value === 'number') {
    return concat(u16Bytes(attributeFormatTv | attribute.type), u16Bytes(attribute.value))
  }
  return concat(u16Bytes(attribute.type), u16Bytes(attribute.value.length), attribute.value)
}

function encodeTransform(transform: Transform, isLast: boolean): Uint8Array {
  const { keyLength } = transform
  const own = keyLength === undefined ? [] : [{ type: keyLengthAttribute, value: keyLength }]
  const attributes = concat(...[...own, ...(transform.attributes ?? [])].map(encodeAttribute))
  return concat(
    Uint8Array.of(isLast ? 0 : 3, 0),
    u16Bytes(8 + attributes.length),
    Uint8Array.of(transform.type, 0),
    u16Bytes(transform.id),
    attributes,
  )
}

/** Encodes the body of an SA payload. */
export function encodeSa(proposals: Proposal[]): Uint8Array {
  const parts = proposals.map((proposal, index) => {
    const count = proposal.transforms.length
    const transforms = concat(
      ...proposal.transforms.map((each, at) => encodeTransform(each, at === count - 1)),
    )
    return concat(
      Uint8Array.of(index === proposals.length - 1 ? 0 : 2, 0),
      u16Bytes(8 + proposal.spi.length + transforms.length),
      Uint8Array.of(proposal.number, proposal.protocol, proposal.spi.length, count),
      proposal.spi,
      transforms,
    )
  })
  return concat(...parts)
}
