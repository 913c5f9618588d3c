// IKE fragmentation, RFC 7383: one protected message as several small ones, each with its own IV and ICV.
//
// Going out, a message that fits stays whole: there is never one fragment of one. Coming in, a fragment is judged by
// its numbers, then authenticated, then kept; one that fails is dropped alone and the others wait on (security G2).

import { concat, u16Bytes } from '../wire/bytes.ts'
import {
  decodePayloads,
  encodeHeader,
  encodePayloads,
  headerLength,
  maxFragments,
  payloadWithHeader,
} from '../wire/message.ts'
import type { FragmentMessage, HeaderFields, Malformed, Payload } from '../wire/types.ts'
import { PayloadType } from '../wire/types.ts'
import type { Reassembly } from './reassembly.ts'
import { type Opened, protect } from './sk.ts'
import { nextIv, pad, type SkKeys, seal, skSizes, syntax, unpad, unseal } from './sk-cipher.ts'
import { wipe } from './suite.ts'

/** No path of IPsec's is narrower: IPv6 demands it (RFC 8200 §5), IPv4 links of less are gone (RFC 7383 §2.5.1 allows any choice). */
export const minPathMtu = 1280

/** Bytes of an IKE message that go over a path in one IP packet. marker: on port 4500 (RFC 3948 §2.2). */
export function messageLimit(pathMtu: number, family: 4 | 6, marker: boolean): number {
  const ip = family === 4 ? 20 : 40
  return Math.max(pathMtu, minPathMtu) - ip - 8 - (marker ? 4 : 0)
}

const genericHeader = 4
const fragmentNumbers = 4

/** Payload bytes that fit behind `overhead` bytes of headers: whole blocks less the pad length. */
function roomFor(limit: number, overhead: number, keys: SkKeys): number {
  const { iv, icv, block } = skSizes(keys)
  const encrypted = limit - headerLength - overhead - iv - icv
  return encrypted - (encrypted % block) - 1
}

/**
 * A protected message as datagrams of at most `limit` bytes: itself when it fits, else two or more fragments in order.
 * Retransmit all of them, as they are (§2.1). Throws RangeError when more than maxFragments would be needed.
 */
export function protectFragments(
  fields: HeaderFields,
  payloads: Payload[],
  keys: SkKeys,
  random: (length: number) => Uint8Array,
  limit: number,
): Uint8Array[] {
  const inner = encodePayloads(payloads)
  if (inner.bytes.length <= roomFor(limit, genericHeader, keys))
    return [protect(fields, payloads, keys, random)]
  const room = roomFor(limit, genericHeader + fragmentNumbers, keys)
  const total = Math.ceil(inner.bytes.length / room)
  if (room < 1 || total > maxFragments)
    throw new RangeError(`${inner.bytes.length} bytes of payloads in messages of ${limit} bytes`)
  const fragments = Array.from({ length: total }, (_, index) => {
    const part = inner.bytes.subarray(index * room, (index + 1) * room)
    const prefix = {
      fields,
      firstType: index === 0 ? inner.firstType : PayloadType.NONE,
      number: index + 1,
      total,
    }
    return protectFragment(prefix, part, keys, nextIv(keys, random))
  })
  wipe(inner.bytes)
  return fragments
}

type Prefix = { fields: HeaderFields; firstType: number; number: number; total: number }

/** One fragment. The two numbers belong to the associated data (§2.5). */
function protectFragment(prefix: Prefix, part: Uint8Array, keys: SkKeys, iv: Uint8Array): Uint8Array {
  const { icv, block } = skSizes(keys)
  const plain = pad(part, block)
  const numbers = concat(u16Bytes(prefix.number), u16Bytes(prefix.total))
  const length = fragmentNumbers + iv.length + plain.length + icv
  const generic = payloadWithHeader(prefix.firstType, false, new Uint8Array(length)).subarray(
    0,
    genericHeader,
  )
  const header = encodeHeader(prefix.fields, PayloadType.SKF, headerLength + genericHeader + length)
  const fragment = seal(concat(header, generic, numbers), plain, keys, iv)
  wipe(plain)
  return fragment
}

/**
 * Takes one fragment that decodeFragment made of the datagram (§2.6). null: kept, others are missing. A refusal
 * without `notify`: drop it silently, whatever came before stays. With `notify`: all fragments were authentic, and
 * what they add up to is nonsense. The caller has judged message id and the payloads in front, and knows the SA.
 */
export function openFragment(
  datagram: Uint8Array,
  message: FragmentMessage,
  keys: SkKeys,
  reassembly: Reassembly,
  now: number,
): Opened | { ok: true; value: null } | Malformed {
  const { header, skf } = message
  const refused = reassembly.judge(header, skf, now)
  if (refused) return refused
  const sealed = unseal(datagram, skf.offset, keys)
  if (!sealed.ok) return sealed
  const plain = unpad(sealed.value)
  if (!plain.ok) return { ok: false, reason: plain.reason, detail: plain.detail }
  const whole = reassembly.add(header, skf, plain.value, now)
  wipe(sealed.value)
  if (!whole.ok) return whole
  if (whole.value === null) return { ok: true, value: null }
  const { nextPayload: firstType, bytes } = whole.value
  const payloads = decodePayloads(firstType, bytes)
  return payloads.ok ? { ...payloads, inner: { firstType, bytes } } : syntax(payloads)
}
