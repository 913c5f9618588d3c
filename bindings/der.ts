// The few DER structures (X.690) that node:crypto wants around raw Diffie-Hellman values.
//
// Only values that we or OpenSSL made are read here; nothing from the network.

export const INTEGER = 0x02
export const BIT_STRING = 0x03
export const OCTET_STRING = 0x04
export const OBJECT_IDENTIFIER = 0x06
export const SEQUENCE = 0x30

/** One element; the result is a buffer of its own, so the owner of a secret can wipe it. */
export function der(tag: number, ...parts: Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const header = [tag, ...lengthBytes(length)]
  const bytes = new Uint8Array(header.length + length)
  bytes.set(header)
  let at = header.length
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

/** Unsigned big-endian number: leading zeros go, one zero comes back where the first bit is set. */
export function derInteger(value: Uint8Array): Uint8Array {
  let start = 0
  while (start < value.length - 1 && value[start] === 0) start++
  const digits = value.subarray(start)
  return digits[0] & 0x80 ? der(INTEGER, Uint8Array.of(0), digits) : der(INTEGER, digits)
}

export function derBitString(...parts: Uint8Array[]): Uint8Array {
  return der(BIT_STRING, Uint8Array.of(0), ...parts)
}

function lengthBytes(length: number): number[] {
  if (length < 0x80) return [length]
  if (length < 0x100) return [0x81, length]
  return [0x82, length >>> 8, length & 0xff]
}

export type Element = { tag: number; value: Uint8Array }

/** The elements in a run of DER, as views. Throws on a length that does not fit. */
export function derElements(bytes: Uint8Array): Element[] {
  const elements: Element[] = []
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at]
    const first = bytes[at + 1] ?? 0
    const extra = first < 0x80 ? 0 : first & 0x7f
    let length = first < 0x80 ? first : 0
    for (let index = 0; index < extra; index++) length = length * 256 + (bytes[at + 2 + index] ?? 0)
    const start = at + 2 + extra
    if (start + length > bytes.length) throw new Error('malformed DER')
    elements.push({ tag, value: bytes.subarray(start, start + length) })
    at = start + length
  }
  return elements
}
