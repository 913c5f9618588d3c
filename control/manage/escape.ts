// Text of strangers made harmless before it reaches a terminal or a log line.
//
// Identities, vendor ids, distinguished names and notify data come from the peer: a newline forges a log
// line, an escape sequence repaints the operator's terminal, 64 KB fill the disk. Bytes are never shown:
// they may be keys.

/** Longest foreign string in a log line or table cell, characters. */
export const LONGEST = 256

// Control characters (C0, DEL, C1), format characters (bidirectional overrides, zero width), line separators.
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/** Control characters as \xNN or \u{NNNN}, cut to `longest` characters with an ellipsis. */
export function escapeText(text: string, longest = LONGEST): string {
  const cut = text.length > longest ? `${text.slice(0, longest - 1)}…` : text
  return cut.replace(UNSAFE, (char) => {
    const code = char.codePointAt(0) ?? 0
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`
  })
}

/** A value fit for a log field: strings escaped, bytes redacted, bigint as number or decimal text, depth and size capped. */
export function safeValue(value: unknown, depth = 3): unknown {
  if (typeof value === 'string') return escapeText(value)
  if (typeof value === 'bigint') return plainNumber(value)
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value
  if (ArrayBuffer.isView(value)) return `[redacted ${value.byteLength} bytes]`
  if (value instanceof Error) return escapeText(value.message)
  if (typeof value !== 'object') return `[${typeof value}]`
  if (depth === 0) return '[…]'
  if (Array.isArray(value)) return value.slice(0, 32).map((item) => safeValue(item, depth - 1))
  const entries = Object.entries(value).slice(0, 32)
  return Object.fromEntries(entries.map(([key, item]) => [escapeText(key, 64), safeValue(item, depth - 1)]))
}

/** A 64-bit counter for JSON: a number while it is exact, else its decimal digits. */
export function plainNumber(value: bigint): number | string {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString()
}
