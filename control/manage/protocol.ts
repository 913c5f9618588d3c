// The control socket's lines: one JSON object each way a line.
//
//   -> {"id":1,"command":"show ike sa"}
//   <- {"id":1,"ok":true,"data":[...]}   or   {"id":1,"ok":false,"error":{"code":"usage","message":"..."}}
//
// Whatever arrives is judged as a value: no key of it is ever used as a property name here.

import type { Answer } from './exec.ts'

export const DEFAULT_SOCKET = '/run/asegate/asegate.sock'
/** Longest request line, bytes; a command of the language is far shorter. */
export const LONGEST_REQUEST = 8 * 1024
/** Longest answer a client reads, bytes. */
export const LONGEST_ANSWER = 64 * 1024 * 1024

export type Request = { id: number | string | null; command: string }
export type RequestResult = { ok: true; request: Request } | { ok: false; message: string }

/** Reads one request line. */
export function readRequest(line: string): RequestResult {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return { ok: false, message: 'the line is no JSON' }
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { ok: false, message: 'the line is no JSON object' }
  const own = (name: string) => Object.getOwnPropertyDescriptor(value, name)?.value as unknown
  const command = own('command')
  if (typeof command !== 'string')
    return { ok: false, message: 'the member "command" is missing or no string' }
  const id = own('id')
  const usable = typeof id === 'number' || (typeof id === 'string' && id.length <= 64)
  return { ok: true, request: { id: usable ? id : null, command } }
}

/** One answer line with its newline. */
export function writeAnswer(id: Request['id'], answer: Answer): string {
  return `${JSON.stringify({ id, ...answer })}\n`
}

/** Reads one answer line; what is none becomes an error. */
export function readAnswer(line: string): Answer {
  try {
    const value = JSON.parse(line) as {
      ok?: unknown
      data?: unknown
      error?: { code?: unknown; message?: unknown }
    }
    if (value.ok === true) return { ok: true, data: value.data }
    const { code, message } = value.error ?? {}
    return {
      ok: false,
      error: { code: String(code ?? 'failed'), message: String(message ?? 'no reason given') },
    }
  } catch {
    return {
      ok: false,
      error: { code: 'failed', message: 'the gateway answered with something that is no JSON' },
    }
  }
}
