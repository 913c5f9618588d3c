// Fragments on their way to being a message again (RFC 7383 §2.6). Only authentic ones come here.
//
// Bounded in every direction (security G1, G3): fragments and bytes of a message, one message per direction of an IKE
// SA, messages and bytes over all SAs, and time. Who passes a bound over all SAs pushes the oldest message out: an
// honest one is complete within a round trip. Every call costs the same, however many messages wait.

import { copy } from '../wire/bytes.ts'
import { malformed } from '../wire/reasons.ts'
import type { Decoded, Header, Malformed, SkfPart } from '../wire/types.ts'
import { wipe } from './suite.ts'

export type ReassemblyLimits = {
  /** messages that wait, over all SAs */
  messages: number
  /** bytes that wait, over all SAs */
  bytes: number
  /** bytes of one message */
  messageBytes: number
  /** ms from the first fragment; the peer's retransmissions fall into it */
  life: number
}

export const defaultReassemblyLimits: ReassemblyLimits = {
  messages: 1024,
  bytes: 4 * 1024 * 1024,
  messageBytes: 64 * 1024,
  life: 60_000,
}

/** What a kept fragment costs beside its bytes. */
const bookkeeping = 128

type Waiting = {
  messageId: number
  total: number
  pieces: (Uint8Array | undefined)[]
  count: number
  bytes: number
  nextPayload: number
  startedAt: number
}

/** The inside of the original SK payload. */
export type Reassembled = { nextPayload: number; bytes: Uint8Array }

type Id = Pick<Header, 'initiatorSpi' | 'responderSpi' | 'initiator' | 'response' | 'messageId'>

export class Reassembly {
  /** messages given up because they took too long, since the start */
  expired = 0
  /** messages pushed out by newer ones, since the start */
  evicted = 0
  /** oldest first */
  readonly #waiting = new Map<string, Waiting>()
  readonly #limits: ReassemblyLimits
  #bytes = 0

  constructor(limits: ReassemblyLimits = defaultReassemblyLimits) {
    this.#limits = limits
  }

  /** Messages that wait for fragments. */
  get messages(): number {
    return this.#waiting.size
  }

  /** Bytes that they hold, with their bookkeeping. */
  get bytes(): number {
    return this.#bytes
  }

  /** Before any cryptography: is the fragment new, and of the message that is being put together? (§2.6) */
  judge(header: Id, skf: SkfPart, now: number): Malformed | null {
    this.expire(now)
    const waiting = this.#waiting.get(keyOf(header))
    if (!waiting || waiting.messageId < header.messageId) return null
    const detail = `${skf.number} of ${skf.total}, message id ${header.messageId}`
    if (waiting.messageId > header.messageId || skf.total < waiting.total)
      return malformed('ike-fragment-stale', detail)
    const isKept = skf.total === waiting.total && waiting.pieces[skf.number - 1] !== undefined
    return isKept ? malformed('ike-fragment-repeated', detail) : null
  }

  /**
   * Keeps an authentic fragment that judge let through; `plain` is its inside without padding and is copied. The whole
   * inside when it was the last one missing, else null. A greater total is the peer's second try with smaller pieces
   * (§2.5.2): what came before is given up.
   */
  add(header: Id, skf: SkfPart, plain: Uint8Array, now: number): Decoded<Reassembled | null> {
    const key = keyOf(header)
    const waiting = this.#current(key, header, skf, now)
    if (waiting.bytes + plain.length > this.#limits.messageBytes) {
      this.#discard(key)
      return malformed('ike-fragment-size', `message id ${header.messageId}`)
    }
    waiting.pieces[skf.number - 1] = copy(plain)
    waiting.count++
    waiting.bytes += plain.length
    this.#bytes += plain.length + bookkeeping
    if (skf.number === 1) waiting.nextPayload = skf.nextPayload
    if (waiting.count < waiting.total) {
      this.#makeRoom()
      return { ok: true, value: null }
    }
    const whole = { nextPayload: waiting.nextPayload, bytes: join(waiting) }
    this.#discard(key)
    return { ok: true, value: whole }
  }

  /** Gives up what is too old. Call it now and then: judge does too. */
  expire(now: number): void {
    for (const [key, { startedAt }] of this.#waiting) {
      if (now - startedAt < this.#limits.life) return
      this.#discard(key)
      this.expired++
    }
  }

  /** The IKE SA has ended: both directions go. */
  forget(sa: Pick<Header, 'initiatorSpi' | 'responderSpi'>): void {
    for (const initiator of [true, false])
      for (const response of [true, false]) this.#discard(keyOf({ ...sa, initiator, response }))
  }

  /** The message that this fragment belongs to: the one that waits, or a new one in its place. */
  #current(key: string, header: Id, skf: SkfPart, now: number): Waiting {
    const waiting = this.#waiting.get(key)
    if (waiting && waiting.messageId === header.messageId && waiting.total === skf.total) return waiting
    this.#discard(key)
    const { messageId } = header
    const pieces = new Array<Uint8Array | undefined>(skf.total)
    const fresh = { messageId, total: skf.total, pieces, count: 0, bytes: 0, nextPayload: 0, startedAt: now }
    this.#waiting.set(key, fresh)
    return fresh
  }

  #makeRoom(): void {
    for (const key of this.#waiting.keys()) {
      if (this.#waiting.size <= this.#limits.messages && this.#bytes <= this.#limits.bytes) return
      this.#discard(key)
      this.evicted++
    }
  }

  #discard(key: string): void {
    const waiting = this.#waiting.get(key)
    if (!waiting) return
    this.#waiting.delete(key)
    this.#bytes -= waiting.bytes + waiting.count * bookkeeping
    wipe(...waiting.pieces)
  }
}

/** One message at a time per sender and direction of an IKE SA: its window is one. */
function keyOf(header: Omit<Id, 'messageId'>): string {
  const { initiatorSpi, responderSpi, initiator, response } = header
  return `${initiatorSpi}/${responderSpi}/${initiator ? 'i' : 'r'}${response ? 'r' : 'q'}`
}

function join(waiting: Waiting): Uint8Array {
  const bytes = new Uint8Array(waiting.bytes)
  let at = 0
  for (const piece of waiting.pieces) {
    bytes.set(piece!, at)
    at += piece!.length
  }
  return bytes
}
