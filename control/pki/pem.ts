// PEM (RFC 7468): text blocks around DER. Strict about base64, lenient about text between the blocks.

/** One block: its label, e.g. CERTIFICATE, and its DER. */
export type PemBlock = { label: string; der: Uint8Array }

/** Files above this are no key and no chain. */
export const maxPemBytes = 8 * 1024 * 1024

const begin = '-----BEGIN '
const end = '-----END '
const dashes = '-----'
const base64 = /^[A-Za-z0-9+/]+={0,2}$/

/** The base64 between the marks, or null when it is none (encrypted PKCS#1 keys carry headers: not accepted). */
function decodeBody(text: string): Uint8Array | null {
  const compact = text.replace(/[\r\n\t ]/g, '')
  if (compact.length % 4 !== 0 || !base64.test(compact)) return null
  return new Uint8Array(Buffer.from(compact, 'base64'))
}

/** All blocks of a file, in order; null when a block is cut off or holds no base64. No block at all gives an empty list. */
export function decodePem(bytes: Uint8Array): PemBlock[] | null {
  if (bytes.length > maxPemBytes) return null
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
  const blocks: PemBlock[] = []
  for (let at = text.indexOf(begin); at >= 0; at = text.indexOf(begin, at)) {
    const labelEnd = text.indexOf(dashes, at + begin.length)
    const label = text.slice(at + begin.length, labelEnd)
    const stop = text.indexOf(`${end}${label}${dashes}`, labelEnd)
    if (labelEnd < 0 || stop < 0) return null
    const der = decodeBody(text.slice(labelEnd + dashes.length, stop))
    if (!der) return null
    blocks.push({ label, der })
    at = stop + end.length
  }
  return blocks
}

/** One PEM block, lines of 64 characters, with a line end. */
export function encodePem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der.buffer, der.byteOffset, der.byteLength)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `${begin}${label}${dashes}\n${lines.join('\n')}\n${end}${label}${dashes}\n`
}

const alphabet = new TextEncoder().encode('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')

/** As encodePem, in bytes alone: for private keys, which never become a string. The caller wipes the result. */
export function encodePemBytes(label: string, der: Uint8Array): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder()
  const head = text.encode(`${begin}${label}${dashes}\n`)
  const tail = text.encode(`${end}${label}${dashes}\n`)
  const characters = Math.ceil(der.length / 3) * 4
  const pem = new Uint8Array(head.length + characters + Math.ceil(characters / 64) + tail.length)
  pem.set(head)
  let at = head.length
  for (let from = 0, column = 0; from < der.length; from += 3) {
    at = encodeGroup(der, from, pem, at)
    column += 4
    if (column % 64 === 0 || from + 3 >= der.length) pem[at++] = 0x0a
  }
  pem.set(tail, at)
  return pem
}

/** Three bytes as four characters (RFC 4648 §4); where fewer are left, `=` fills up. */
function encodeGroup(der: Uint8Array, from: number, pem: Uint8Array, at: number): number {
  const left = der.length - from
  const bits = (der[from] << 16) | ((der[from + 1] ?? 0) << 8) | (der[from + 2] ?? 0)
  for (let index = 0; index < 4; index++)
    pem[at++] = index <= left ? alphabet[(bits >> (18 - 6 * index)) & 63] : 0x3d
  return at
}

/** DER objects of one kind in a file: the PEM blocks with the label, or the whole file where it starts as DER. */
export function readDerObjects(bytes: Uint8Array, labels: string[]): Uint8Array[] | null {
  if (bytes[0] === 0x30) return [new Uint8Array(bytes)]
  const blocks = decodePem(bytes)
  return blocks?.filter((block) => labels.includes(block.label)).map((block) => block.der) ?? null
}
