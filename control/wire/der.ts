// DER (X.690 §8, §10): a strict reader and a small writer for the structures that IKE and certificates use.
//
// The reader sees one level at a time and never recurses, so nesting costs nothing. Indefinite and
// non-minimal lengths, tag numbers above 30 and anything past the end are refused as null.

import { concat } from './bytes.ts'

/** Identifier octets used here. */
export const Tag = {
  BOOLEAN: 0x01,
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  NULL: 0x05,
  OID: 0x06,
  UTF8: 0x0c,
  PRINTABLE: 0x13,
  TELETEX: 0x14,
  IA5: 0x16,
  UTC_TIME: 0x17,
  GENERALIZED_TIME: 0x18,
  UNIVERSAL: 0x1c,
  BMP: 0x1e,
  SEQUENCE: 0x30,
  SET: 0x31,
} as const

/** Context-specific identifier octet of [number]. */
export const context = (number: number, constructed = true): number => (constructed ? 0xa0 : 0x80) | number

/** One element: identifier octet, contents, and the whole encoding; all views. */
export type Der = { tag: number; content: Uint8Array; full: Uint8Array }

/** No honest structure here has more elements on one level. */
const maxChildren = 4096

/** Length octets at `at`: value and where the contents start; null when not minimal or above 2^24. */
function readLength(bytes: Uint8Array, at: number): { length: number; start: number } | null {
  const first = bytes[at]
  if (first === undefined || first === 0x80 || first > 0x83) return null
  if (first < 0x80) return { length: first, start: at + 1 }
  const count = first & 0x7f
  if (at + count >= bytes.length) return null
  let length = 0
  for (let index = 1; index <= count; index++) length = length * 256 + bytes[at + index]
  const isMinimal = length >= 0x80 && length >= 256 ** (count - 1)
  return isMinimal ? { length, start: at + 1 + count } : null
}

/** The element that starts at `at`, or null. */
export function readElement(bytes: Uint8Array, at = 0): Der | null {
  const tag = bytes[at]
  if (tag === undefined || (tag & 0x1f) === 0x1f) return null
  const head = readLength(bytes, at + 1)
  if (!head || head.start + head.length > bytes.length) return null
  const end = head.start + head.length
  return { tag, content: bytes.subarray(head.start, end), full: bytes.subarray(at, end) }
}

/** The single element that fills bytes exactly, with the tag if given; else null. */
export function readWhole(bytes: Uint8Array, tag?: number): Der | null {
  const element = readElement(bytes)
  if (!element || element.full.length !== bytes.length) return null
  return tag === undefined || element.tag === tag ? element : null
}

/** The elements that fill the contents exactly; null when they do not. */
export function readAll(content: Uint8Array): Der[] | null {
  const elements: Der[] = []
  for (let at = 0; at < content.length; ) {
    const element = readElement(content, at)
    if (!element || elements.length === maxChildren) return null
    elements.push(element)
    at += element.full.length
  }
  return elements
}

/** Elements of a constructed element with the wanted tag, or null. */
export function readChildren(element: Der | null | undefined, tag: number): Der[] | null {
  return element && element.tag === tag ? readAll(element.content) : null
}

/** Dotted text of an OBJECT IDENTIFIER, or null; arcs up to 2^53. */
export function readOid(element: Der | null | undefined): string | null {
  if (element?.tag !== Tag.OID || element.content.length === 0 || element.content.length > 64) return null
  const arcs: number[] = []
  let arc = 0
  let isFirst = true
  for (const byte of element.content) {
    if (isFirst && byte === 0x80) return null
    arc = arc * 128 + (byte & 0x7f)
    if (arc > Number.MAX_SAFE_INTEGER) return null
    isFirst = (byte & 0x80) === 0
    if (isFirst) {
      arcs.push(arc)
      arc = 0
    }
  }
  if (!isFirst) return null
  const root = Math.min(Math.floor(arcs[0] / 40), 2)
  return [root, arcs[0] - 40 * root, ...arcs.slice(1)].join('.')
}

/** Non-negative INTEGER as big-endian magnitude without leading zeros (0 is one zero byte); null when negative or not minimal. */
export function readUnsigned(element: Der | null | undefined): Uint8Array | null {
  if (element?.tag !== Tag.INTEGER) return null
  const { content } = element
  if (content.length === 0 || (content[0] & 0x80) !== 0) return null
  if (content.length > 1 && content[0] === 0) return (content[1] & 0x80) !== 0 ? content.subarray(1) : null
  return content
}

/** INTEGER 0..2^31-1 as a number, or null. */
export function readSmall(element: Der | null | undefined): number | null {
  const magnitude = readUnsigned(element)
  if (!magnitude || magnitude.length > 4 || (magnitude.length === 4 && magnitude[0] > 0x7f)) return null
  return magnitude.reduce((value, byte) => value * 256 + byte, 0)
}

/** BOOLEAN in DER: 00 or FF. */
export function readBoolean(element: Der): boolean | null {
  if (element.tag !== Tag.BOOLEAN || element.content.length !== 1) return null
  return element.content[0] === 0 ? false : element.content[0] === 0xff ? true : null
}

/** Bytes of a BIT STRING without unused bits, or null. */
export function readBitBytes(element: Der | null | undefined): Uint8Array | null {
  if (element?.tag !== Tag.BIT_STRING || element.content[0] !== 0) return null
  return element.content.subarray(1)
}

function lengthOctets(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length)
  if (length < 0x100) return Uint8Array.of(0x81, length)
  if (length < 0x10000) return Uint8Array.of(0x82, length >>> 8, length)
  return Uint8Array.of(0x83, length >>> 16, length >>> 8, length)
}

/** One element of any tag; the parts are its contents. */
export function der(tag: number, ...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  return concat(Uint8Array.of(tag), lengthOctets(length), ...parts)
}

export const derSequence = (...parts: Uint8Array[]) => der(Tag.SEQUENCE, ...parts)
export const derNull = () => der(Tag.NULL)
export const derBoolean = (value: boolean) => der(Tag.BOOLEAN, Uint8Array.of(value ? 0xff : 0))
export const derOctets = (bytes: Uint8Array) => der(Tag.OCTET_STRING, bytes)
export const derBits = (bytes: Uint8Array, unused = 0) => der(Tag.BIT_STRING, Uint8Array.of(unused), bytes)
export const derText = (tag: number, text: string) => der(tag, new TextEncoder().encode(text))

/** Non-negative INTEGER from a big-endian magnitude. */
export function derUnsigned(magnitude: Uint8Array): Uint8Array<ArrayBuffer> {
  let from = 0
  while (from < magnitude.length - 1 && magnitude[from] === 0) from++
  const minimal = magnitude.subarray(from)
  return (minimal[0] & 0x80) !== 0 ? der(Tag.INTEGER, Uint8Array.of(0), minimal) : der(Tag.INTEGER, minimal)
}

/** OBJECT IDENTIFIER from dotted text of our own tables. */
export function derOid(dotted: string): Uint8Array<ArrayBuffer> {
  const [root, second, ...rest] = dotted.split('.').map(Number)
  const bytes: number[] = []
  for (const arc of [40 * root + second, ...rest]) {
    const groups = [arc % 128]
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left % 128) | 0x80)
    bytes.push(...groups)
  }
  return der(Tag.OID, Uint8Array.from(bytes))
}
