/** Reads NIST CAVP response files: `[SECTION]` lines and records of `NAME = value` lines that begin with COUNT. */

/** One record. */
export type RspRecord = {
  /** The bracketed line above it without the brackets, e.g. `ENCRYPT` or `L=20`; empty if there was none. */
  section: string
  /** Values by upper-case name, e.g. `KEY`. */
  fields: Map<string, string>
}

/** All records of a file; comments and lines without `=` are left out. */
export function parseRsp(content: string): RspRecord[] {
  const records: RspRecord[] = []
  let section = ''
  for (const line of content.split(/\r?\n/)) {
    const bracket = /^\[(.*)\]\s*$/.exec(line)
    if (bracket) section = bracket[1]
    const pair = /^(\w+) = ?(.*)$/.exec(line)
    if (!pair) continue
    const name = pair[1].toUpperCase()
    if (name === 'COUNT') records.push({ section, fields: new Map() })
    records.at(-1)?.fields.set(name, pair[2].trim())
  }
  return records
}

/** A field's text; throws if the record has none. */
export function field(record: RspRecord, name: string): string {
  const value = record.fields.get(name)
  if (value === undefined) throw new Error(`record without ${name}`)
  return value
}

/** A field of hex digits as bytes. */
export function bytesOf(record: RspRecord, name: string): Uint8Array {
  return hexBytes(field(record, name))
}

/** Hex digits as bytes; throws on anything else. */
export function hexBytes(text: string): Uint8Array {
  if (!/^([0-9a-f]{2})*$/i.test(text)) throw new Error(`not hex: ${text.slice(0, 20)}`)
  return new Uint8Array(Buffer.from(text, 'hex'))
}

/** Bytes as lower-case hex digits. */
export function hexText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}
