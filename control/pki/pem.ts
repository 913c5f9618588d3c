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

/** DER objects of one kind in a file: the PEM blocks with the label, or the whole file where it starts as DER. */
export function readDerObjects(bytes: Uint8Array, labels: string[]): Uint8Array[] | null {
  if (bytes[0] === 0x30) return [new Uint8Array(bytes)]
  const blocks = decodePem(bytes)
  return blocks?.filter((block) => labels.includes(block.label)).map((block) => block.der) ?? null
}
