// Distinguished names (X.501, RFC 5280 §4.1.2.4): DER <-> the text of the configuration ("O=Provider, CN=pe1").
//
// The text lists the relative names in the order of the DER, as strongSwan and `openssl -subject` do.
// Comparison follows RFC 5280 §7.1: attribute by attribute, string types alike, letter case and runs of
// spaces ignored. Case folding is ASCII only, so that no two distinct non-ASCII names ever meet.

import { equalBytes, fromHex, hex } from './bytes.ts'
import {
  type Der,
  der,
  derOid,
  derSequence,
  derText,
  readChildren,
  readElement,
  readOid,
  readWhole,
  Tag,
} from './der.ts'

/** One attribute: dotted type, DER of its value, and its text (null for values that are no string). */
export type DnAttribute = { type: string; value: Uint8Array; text: string | null }
/** Relative names in DER order; each is a set of attributes, nearly always one. */
export type Dn = DnAttribute[][]

const attributeTypes: Record<string, string> = {
  CN: '2.5.4.3',
  SURNAME: '2.5.4.4',
  SERIALNUMBER: '2.5.4.5',
  C: '2.5.4.6',
  L: '2.5.4.7',
  ST: '2.5.4.8',
  STREET: '2.5.4.9',
  O: '2.5.4.10',
  OU: '2.5.4.11',
  T: '2.5.4.12',
  POSTALCODE: '2.5.4.17',
  N: '2.5.4.41',
  G: '2.5.4.42',
  I: '2.5.4.43',
  DNQUALIFIER: '2.5.4.46',
  DC: '0.9.2342.19200300.100.1.25',
  UID: '0.9.2342.19200300.100.1.1',
  E: '1.2.840.113549.1.9.1',
}
const aliases: Record<string, string> = {
  EMAIL: 'E',
  EMAILADDRESS: 'E',
  S: 'ST',
  SN: 'SERIALNUMBER',
  GN: 'G',
  D: 'DC',
}
const nameOfType = new Map(Object.entries(attributeTypes).map(([name, type]) => [type, name]))
const ia5Types = new Set([attributeTypes.DC, attributeTypes.E])
const printable = /^[A-Za-z0-9 '()+,\-./:=?]*$/

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes)
  } catch {
    return null // the only signal TextDecoder gives for ill-formed UTF-8
  }
}

/** Big-endian code units of `width` bytes (BMPString 2, UniversalString 4). */
function decodeUnits(bytes: Uint8Array, width: number): string | null {
  if (bytes.length % width !== 0) return null
  let text = ''
  for (let at = 0; at < bytes.length; at += width) {
    const code = bytes.subarray(at, at + width).reduce((value, byte) => value * 256 + byte, 0)
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return null
    text += String.fromCodePoint(code)
  }
  return text
}

/** Text of a DirectoryString or IA5String, or null when it is neither. */
export function stringText(value: Der): string | null {
  const { tag, content } = value
  if (tag === Tag.UTF8) return decodeUtf8(content)
  if (tag === Tag.PRINTABLE || tag === Tag.IA5)
    return content.every((byte) => byte < 0x80) ? decodeUtf8(content) : null
  if (tag === Tag.TELETEX) return String.fromCharCode(...content.subarray(0, 4096))
  if (tag === Tag.BMP) return decodeUnits(content, 2)
  return tag === Tag.UNIVERSAL ? decodeUnits(content, 4) : null
}

function readAttribute(element: Der): DnAttribute | null {
  const parts = readChildren(element, Tag.SEQUENCE)
  const type = readOid(parts?.[0])
  if (parts?.length !== 2 || type === null) return null
  return { type, value: parts[1].full, text: stringText(parts[1]) }
}

/** Reads a DER Name that fills bytes exactly; null when malformed. */
export function readDn(bytes: Uint8Array): Dn | null {
  const sets = readChildren(readWhole(bytes), Tag.SEQUENCE)
  if (!sets) return null
  const dn: Dn = []
  for (const set of sets) {
    const attributes = readChildren(set, Tag.SET)?.map(readAttribute)
    if (!attributes?.length || attributes.includes(null)) return null
    dn.push(attributes as DnAttribute[])
  }
  return dn
}

/** RFC 4514 §2.4: specials behind a backslash, control characters as hex pairs of their UTF-8 (so that logs stay one line). */
function escapeText(text: string): string {
  return text
    .replace(/[\\,+"<>;=]/g, '\\$&')
    .replace(/^[ #]| $/g, '\\$&')
    .replace(/\p{Cc}/gu, (control) => hex(new TextEncoder().encode(control)).replace(/../g, '\\$&'))
}

function unescapeText(text: string): string | null {
  let isWellFormed = true
  const plain = text.replace(/(?:\\[0-9a-fA-F]{2})+|\\(.)/gsu, (found, single: string | undefined) => {
    if (single !== undefined) return single
    const decoded = decodeUtf8(fromHex(found.replaceAll('\\', '')))
    isWellFormed &&= decoded !== null
    return decoded ?? ''
  })
  return isWellFormed ? plain : null
}

function attributeText(attribute: DnAttribute): string {
  const name = nameOfType.get(attribute.type) ?? attribute.type
  return `${name}=${attribute.text === null ? `#${hex(attribute.value)}` : escapeText(attribute.text)}`
}

/** `O=Provider, CN=pe1`; the parts of a multi-valued relative name are joined by ` + `. */
export function dnText(dn: Dn): string {
  return dn.map((set) => set.map(attributeText).join(' + ')).join(', ')
}

type Part = { name: string; value: string; joined: boolean }

/** Splits the text at unescaped separators; null when a part has no `=` or an escape is cut off. */
function splitText(text: string): Part[] | null {
  const pattern = /\s*([A-Za-z][A-Za-z0-9]*|[0-9]+(?:\.[0-9]+)+)\s*=\s*((?:[^\\,+]|\\.)*?)\s*(?:([,+])|$)/suy
  const parts: Part[] = []
  let joined = false
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text)
    if (!match) return null
    parts.push({ name: match[1], value: match[2], joined })
    joined = match[3] === '+'
    if (match[3] !== undefined && pattern.lastIndex === text.length) return null
  }
  return parts.length > 0 ? parts : null
}

function encodeValue(type: string, value: string): Uint8Array | null {
  if (value.startsWith('#')) {
    if (!/^#([0-9a-fA-F]{2})+$/.test(value)) return null
    const bytes = fromHex(value.slice(1))
    return readWhole(bytes) ? bytes : null
  }
  const text = unescapeText(value)
  if (!text) return null
  if (ia5Types.has(type)) return derText(Tag.IA5, text)
  return derText(printable.test(text) ? Tag.PRINTABLE : Tag.UTF8, text)
}

/** Parses the text form; null when it is no distinguished name. Values become PrintableString where they can, else UTF8String. */
export function parseDnText(text: string): Dn | null {
  const parts = splitText(text)
  if (!parts) return null
  const dn: Dn = []
  for (const { name, value, joined } of parts) {
    const upper = name.toUpperCase()
    const type = /^[0-9]/.test(name) ? name : attributeTypes[aliases[upper] ?? upper]
    const encoded = type === undefined ? null : encodeValue(type, value)
    if (encoded === null) return null
    const attribute = { type, value: encoded, text: stringText(readElement(encoded)!) }
    if (joined) dn[dn.length - 1].push(attribute)
    else dn.push([attribute])
  }
  return dn
}

/** DER of a name. */
export function encodeDn(dn: Dn): Uint8Array<ArrayBuffer> {
  const sets = dn.map((set) => {
    const attributes = set.map(({ type, value }) => derSequence(derOid(type), value))
    return der(Tag.SET, ...attributes.sort((a, b) => Buffer.compare(a, b)))
  })
  return derSequence(...sets)
}

const fold = (text: string): string =>
  text
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase())
    .replace(/ +/g, ' ')
    .replace(/^ | $/g, '')

/** `*` as the whole value of a pattern attribute matches any value; only where wildcards are asked for. */
function matchesAttribute(pattern: DnAttribute, actual: DnAttribute, wildcards: boolean): boolean {
  if (pattern.type !== actual.type) return false
  if (wildcards && pattern.text === '*') return true
  if (pattern.text === null || actual.text === null) return equalBytes(pattern.value, actual.value)
  return fold(pattern.text) === fold(actual.text)
}

/** RDN sequence comparison (RFC 5280 §7.1): same number, same order. wildcards: values `*` in the pattern match anything. */
export function matchesDn(pattern: Dn, actual: Dn, wildcards = false): boolean {
  return (
    pattern.length === actual.length &&
    pattern.every((set, index) => {
      const other = actual[index]
      return (
        set.length === other.length &&
        set.every((attribute) => other.some((each) => matchesAttribute(attribute, each, wildcards)))
      )
    })
  )
}

/** True when `dn` lies in the subtree of `base`: its first relative names are those of base (RFC 5280 §4.2.1.10). */
export function isWithinDn(dn: Dn, base: Dn): boolean {
  return dn.length >= base.length && matchesDn(base, dn.slice(0, base.length))
}
