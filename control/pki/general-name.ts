// General names (RFC 5280 §4.2.1.6) and the subtrees of name constraints (§4.2.1.10).

import { addressText } from '../wire/address.ts'
import { equalBytes } from '../wire/bytes.ts'
import { context, type Der, readAll, readChildren, readWhole, Tag } from '../wire/der.ts'
import { type Dn, dnText, isWithinDn, readDn } from '../wire/dn.ts'

export type GeneralName =
  | { kind: 'dns' | 'email' | 'uri'; value: string }
  | { kind: 'address'; value: Uint8Array } // 4 or 16 bytes; in constraints address and mask, 8 or 32
  | { kind: 'dn'; value: Dn }
  | { kind: 'other'; tag: number }

/** Visible ASCII only: no NUL, no space, no control character can hide the end of a name (security L7). */
function readText(content: Uint8Array): string | null {
  if (content.length > 255 || !content.every((byte) => byte > 0x20 && byte < 0x7f)) return null
  return String.fromCharCode(...content)
}

const textKinds: Record<number, 'dns' | 'email' | 'uri'> = {
  [context(1, false)]: 'email',
  [context(2, false)]: 'dns',
  [context(6, false)]: 'uri',
}

/** One GeneralName; null when malformed. addressLengths: 4 and 16, in constraints 8 and 32. */
export function readGeneralName(element: Der, addressLengths: number[]): GeneralName | null {
  const kind = textKinds[element.tag]
  if (kind) {
    const value = readText(element.content)
    return value === null ? null : { kind, value }
  }
  if (element.tag === context(7, false)) {
    return addressLengths.includes(element.content.length)
      ? { kind: 'address', value: element.content }
      : null
  }
  if (element.tag === context(4)) {
    const value = readDn(element.content)
    return value && { kind: 'dn', value }
  }
  return { kind: 'other', tag: element.tag }
}

/** Contents of a SubjectAltName extension: at least one name. */
export function readGeneralNames(value: Uint8Array): GeneralName[] | null {
  const elements = readChildren(readWhole(value), Tag.SEQUENCE)
  if (!elements?.length) return null
  const names = elements.map((element) => readGeneralName(element, [4, 16]))
  return names.includes(null) ? null : (names as GeneralName[])
}

export type NameConstraints = { permitted: GeneralName[]; excluded: GeneralName[] }

/** GeneralSubtrees; minimum and maximum must be left out (§4.2.1.10). */
function readSubtrees(content: Uint8Array): GeneralName[] | null {
  const subtrees = readAll(content)
  if (!subtrees?.length) return null
  const bases: GeneralName[] = []
  for (const subtree of subtrees) {
    const parts = readChildren(subtree, Tag.SEQUENCE)
    const base = parts?.length === 1 ? readGeneralName(parts[0], [8, 32]) : null
    if (!base) return null
    bases.push(base)
  }
  return bases
}

/** Contents of a NameConstraints extension. */
export function readNameConstraints(value: Uint8Array): NameConstraints | null {
  const parts = readChildren(readWhole(value), Tag.SEQUENCE)
  if (!parts || parts.length === 0) return null
  const constraints: NameConstraints = { permitted: [], excluded: [] }
  for (const part of parts) {
    const list = part.tag === context(0) ? 'permitted' : part.tag === context(1) ? 'excluded' : null
    const bases = list && readSubtrees(part.content)
    if (!list || !bases || constraints[list].length > 0) return null
    constraints[list] = bases
  }
  return constraints
}

/** host is base, or, with whole labels in front, below it; a leading dot asks for at least one label. */
function isWithinDomain(host: string, base: string): boolean {
  const name = host.toLowerCase()
  const domain = base.toLowerCase()
  if (domain === '') return true
  return domain.startsWith('.') ? name.endsWith(domain) : name === domain || name.endsWith(`.${domain}`)
}

/** A mailbox, a host (exact) or a domain with a leading dot (§4.2.1.10). */
function isWithinMail(mail: string, base: string): boolean {
  const host = mail.slice(mail.lastIndexOf('@') + 1).toLowerCase()
  if (base.includes('@')) {
    const local = mail.slice(0, mail.lastIndexOf('@'))
    return (
      base === `${local}@${base.slice(base.lastIndexOf('@') + 1)}` &&
      host === base.slice(base.lastIndexOf('@') + 1).toLowerCase()
    )
  }
  return base.startsWith('.') ? host.endsWith(base.toLowerCase()) : base === '' || host === base.toLowerCase()
}

function isWithinNetwork(address: Uint8Array, base: Uint8Array): boolean {
  const size = address.length
  if (base.length !== 2 * size) return false
  const masked = address.map((byte, index) => byte & base[size + index])
  const wanted = base.subarray(0, size).map((byte, index) => byte & base[size + index])
  return equalBytes(masked, wanted)
}

/** True when the name lies in the subtree; both are of the same kind. URIs are judged by no one: false. */
function isWithin(name: GeneralName, base: GeneralName): boolean {
  if (name.kind === 'dns' && base.kind === 'dns') return isWithinDomain(name.value, base.value)
  if (name.kind === 'email' && base.kind === 'email') return isWithinMail(name.value, base.value)
  if (name.kind === 'address' && base.kind === 'address') return isWithinNetwork(name.value, base.value)
  if (name.kind === 'dn' && base.kind === 'dn') return isWithinDn(name.value, base.value)
  return false
}

const sameKind = (a: GeneralName, b: GeneralName): boolean =>
  a.kind === b.kind && (a.kind !== 'other' || (b.kind === 'other' && a.tag === b.tag))

/** Kinds whose constraints are processed; a name of another constrained kind refuses the certificate (§4.2.1.10). */
const processed = new Set<GeneralName['kind']>(['dns', 'email', 'address', 'dn'])

/** Why a name violates the constraints, or null. */
export function constraintViolation(name: GeneralName, constraints: NameConstraints): string | null {
  const permitted = constraints.permitted.filter((base) => sameKind(base, name))
  const excluded = constraints.excluded.filter((base) => sameKind(base, name))
  if (!processed.has(name.kind)) {
    return permitted.length + excluded.length > 0 ? `${generalNameText(name)} of a constrained kind` : null
  }
  if (excluded.some((base) => isWithin(name, base))) return `${generalNameText(name)} is excluded`
  if (permitted.length > 0 && !permitted.some((base) => isWithin(name, base)))
    return `${generalNameText(name)} is not permitted`
  return null
}

/** `dns gw.example.net`: for sentences. */
export function generalNameText(name: GeneralName): string {
  if (name.kind === 'address') return `address ${addressText(name.value) ?? 'of odd length'}`
  if (name.kind === 'dn') return `dn ${dnText(name.value)}`
  return name.kind === 'other' ? `name of form ${name.tag & 0x1f}` : `${name.kind} ${name.value}`
}
