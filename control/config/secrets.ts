// Secrets of the configuration: how they are written, read and kept out of output.
//
// A pre-shared key file is text or bytes: when it is printable text its one line end does not belong to the key
// (editors and echo add it), otherwise every byte counts. A key of fixed length is the raw bytes or their
// hexadecimal text.

import type { Files } from '../ports.ts'
import type { SecretSource } from './model.ts'

type SecretFiles = Pick<Files, 'readSecret'>

/** An inline secret whose value no enumeration of the configuration shows. */
export function inlineSecret(kind: 'text' | 'hex', value: string): SecretSource {
  const secret = { kind } as { kind: 'text' | 'hex'; value: string }
  Object.defineProperty(secret, 'value', { value, enumerable: false })
  return secret
}

/** Bytes of a pre-shared key, in a buffer of their own: the caller wipes it. Throws what readSecret throws. */
export function secretBytes(source: SecretSource, files: SecretFiles): Uint8Array {
  switch (source.kind) {
    case 'text':
      return ownText(source.value)
    case 'hex':
      return ownHex(source.value)
    case 'file':
      return withoutLineEnd(files.readSecret(source.path))
  }
}

/** Bytes of a key of exactly `length` bytes, or of whatever length was found (the caller compares). Throws what readSecret throws. */
export function keyBytes(source: SecretSource, files: SecretFiles, length: number): Uint8Array {
  if (source.kind !== 'file') return secretBytes(source, files)
  const content = files.readSecret(source.path)
  if (content.length === length) return content
  const text = withoutLineEnd(content)
  if (text.length !== length * 2 || !text.every(isHexDigit)) return text
  const key = Buffer.alloc(length)
  for (let at = 0; at < length; at++) key[at] = hexValue(text[at * 2]) * 16 + hexValue(text[at * 2 + 1])
  text.fill(0)
  return key
}

/** Buffer.from would use the shared pool, which outlives the key. */
function ownText(value: string): Uint8Array {
  const bytes = Buffer.alloc(Buffer.byteLength(value, 'utf8'))
  bytes.write(value, 'utf8')
  return bytes
}

function ownHex(value: string): Uint8Array {
  const bytes = Buffer.alloc(value.length / 2)
  bytes.write(value, 'hex')
  return bytes
}

function withoutLineEnd(content: Uint8Array): Uint8Array {
  const end = content.at(-1) !== 10 ? 0 : content.at(-2) === 13 ? 2 : 1
  const kept = content.length - end
  if (end === 0 || !content.subarray(0, kept).every(isPrintable)) return content
  const key = Buffer.alloc(kept)
  key.set(content.subarray(0, kept))
  content.fill(0)
  return key
}

function isPrintable(byte: number): boolean {
  return byte >= 32 && byte !== 127
}

function isHexDigit(byte: number): boolean {
  return hexValue(byte) >= 0
}

function hexValue(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48
  const letter = byte | 32
  return letter >= 97 && letter <= 102 ? letter - 87 : -1
}
