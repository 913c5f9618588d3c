// rtnetlink messages as bytes: a header, a fixed body and attributes, everything 4-byte aligned, host order.

const HEADER_SIZE = 16
const ATTRIBUTE_HEADER = 4
const LARGEST = 65536

export const align = (length: number): number => (length + 3) & ~3

/** Builds one request: body first, then attributes; nest() groups attributes. */
export class NetlinkRequest {
  readonly type: number
  readonly flags: number
  readonly #bytes = new Uint8Array(1024)
  readonly #view = new DataView(this.#bytes.buffer)
  #length = HEADER_SIZE

  constructor(type: number, flags: number, body: Uint8Array) {
    this.type = type
    this.flags = flags
    this.#append(body)
  }

  attribute(type: number, data: Uint8Array): this {
    this.#view.setUint16(this.#length, ATTRIBUTE_HEADER + data.length, true)
    this.#view.setUint16(this.#length + 2, type, true)
    this.#length += ATTRIBUTE_HEADER
    this.#append(data)
    return this
  }

  u8(type: number, value: number): this {
    return this.attribute(type, Uint8Array.of(value))
  }

  u32(type: number, value: number): this {
    const data = new Uint8Array(4)
    new DataView(data.buffer).setUint32(0, value, true)
    return this.attribute(type, data)
  }

  text(type: number, value: string): this {
    return this.attribute(type, new TextEncoder().encode(`${value}\0`))
  }

  nest(type: number, fill: (inner: this) => void): this {
    const start = this.#length
    this.#length += ATTRIBUTE_HEADER
    fill(this)
    this.#view.setUint16(start, this.#length - start, true)
    this.#view.setUint16(start + 2, type, true)
    return this
  }

  /** The finished message; NLM_F_REQUEST is always set. */
  finish(sequence: number): Uint8Array {
    this.#view.setUint32(0, this.#length, true)
    this.#view.setUint16(4, this.type, true)
    this.#view.setUint16(6, this.flags | 1, true)
    this.#view.setUint32(8, sequence, true)
    this.#view.setUint32(12, 0, true)
    return this.#bytes.slice(0, this.#length)
  }

  #append(data: Uint8Array): void {
    if (this.#length + align(data.length) > this.#bytes.length) throw new Error('netlink request too long')
    this.#bytes.set(data, this.#length)
    this.#length += align(data.length)
  }
}

/** One message of an answer; body and attributes are views into the receive buffer. */
export type NetlinkMessage = { type: number; flags: number; sequence: number; body: DataView }

/** Splits a datagram; what does not fit its own length ends the list. */
export function splitMessages(bytes: Uint8Array): NetlinkMessage[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const messages: NetlinkMessage[] = []
  for (let at = 0; at + HEADER_SIZE <= bytes.length; ) {
    const length = view.getUint32(at, true)
    if (length < HEADER_SIZE || length > LARGEST || at + length > bytes.length) break
    messages.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      body: new DataView(bytes.buffer, bytes.byteOffset + at + HEADER_SIZE, length - HEADER_SIZE),
    })
    at += align(length)
  }
  return messages
}

/** Attributes behind a fixed part of `skip` bytes: type -> value bytes (nesting flags removed). */
export function attributes(body: DataView, skip: number): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>()
  for (let at = skip; at + ATTRIBUTE_HEADER <= body.byteLength; ) {
    const length = body.getUint16(at, true)
    if (length < ATTRIBUTE_HEADER || at + length > body.byteLength) break
    const start = body.byteOffset + at + ATTRIBUTE_HEADER
    found.set(
      body.getUint16(at + 2, true) & 0x3fff,
      new Uint8Array(body.buffer, start, length - ATTRIBUTE_HEADER),
    )
    at += align(length)
  }
  return found
}

export function attributeU32(found: Map<number, Uint8Array>, type: number): number | null {
  const bytes = found.get(type)
  if (bytes === undefined || bytes.length < 4) return null
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true)
}
