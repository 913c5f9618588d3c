// Security associations in the card: which Child SA or manual SA lies in which slot, which one sends.
//
// A tunnel sends on one SA at a time and accepts on all that are installed. Order of an exchange (make before
// break, RFC 7296 §2.8): new inbound in, new outbound in, outbound switched in one store, old pair out.

import type { Card, CardSa, EspCipher, SaCounters, SaRef, TrafficSelector, TunnelRef } from '../ports.ts'
import type { ChildInstall, ChildSaId, IkeSaId } from '../sa/contract.ts'
import type { LoadedManualSa } from './manual.ts'

/** One SA as the operator may see it: no key ever comes here. */
export type SaEntry = {
  tunnel: string
  direction: 'in' | 'out'
  spi: number
  protocol: 'esp' | 'ah'
  cipher: EspCipher
  integrity: string
  esn: boolean
  dhGroup: number | null // of its own key exchange
  source: TrafficSelector[]
  destination: TrafficSelector[]
  child: ChildSaId | null // null: manual
  ikeSa: IkeSaId | null
  ref: SaRef
  installedAt: number // monotonic ms
  softAt: number // monotonic ms, Infinity: never
  hardAt: number
}

type Child = {
  tunnel: string
  inbound: SaEntry
  outbound: SaEntry
  maySend: boolean
  order: number
  lastPackets: bigint
  lastSent: bigint
}

const GIB = 2 ** 30
const SOFT_64_BIT = 800 * 2 ** 20 // bytes; hard 1 GiB (Sweet32)

export class Children {
  readonly #card: Card
  readonly #children = new Map<ChildSaId, Child>()
  readonly #manual = new Map<string, SaEntry[]>()
  readonly #manualSenders = new Set<SaEntry>()
  readonly #byRef = new Map<SaRef, SaEntry>()
  readonly #sending = new Map<string, ChildSaId>()
  #installed = 0

  constructor(card: Card) {
    this.#card = card
  }

  /** Puts both directions into the card and wipes the keys. Throws the card's refusal, nothing left behind. */
  install(child: ChildInstall, tunnel: TunnelRef, now: number) {
    try {
      const inbound = this.#add(child, inboundSa(child, tunnel), 'in', now)
      const outbound = this.#addOrUndo(child, outboundSa(child, tunnel), inbound, now)
      const order = this.#installed++
      const entry = {
        tunnel: child.tunnel,
        inbound,
        outbound,
        maySend: false,
        order,
        lastPackets: 0n,
        lastSent: 0n,
      }
      this.#children.set(child.child, entry)
    } finally {
      wipeKeys(child)
    }
    if (child.activateOutbound) this.activate(child.child)
  }

  /** Makes this Child SA the one that sends. */
  activate(id: ChildSaId) {
    const child = this.#children.get(id)
    if (child === undefined) return
    child.maySend = true
    this.#card.activateOutbound(child.outbound.ref)
    this.#sending.set(child.tunnel, id)
  }

  /** Takes both directions out; when it was the sender, the newest other Child SA that may send takes over. */
  remove(id: ChildSaId) {
    const child = this.#children.get(id)
    if (child === undefined) return
    this.#children.delete(id)
    if (this.#sending.get(child.tunnel) === id) this.#handOver(child.tunnel)
    this.#drop(child.outbound)
    this.#drop(child.inbound)
  }

  /** Loads the SAs of a manual tunnel; the outermost outbound one of the lowest set sends. Throws the card's refusal. */
  loadManual(name: string, tunnel: TunnelRef, sas: LoadedManualSa[], now: number) {
    this.unloadManual(name)
    const entries: SaEntry[] = []
    this.#manual.set(name, entries)
    const wrapped = new Set(sas.map(({ inside }) => inside))
    for (const [place, loaded] of sas.entries()) {
      const bundle = loaded.inside === undefined ? {} : { bundle: entries[loaded.inside].ref }
      const entry = this.#addManual(name, { ...loaded.sa, ...bundle, tunnel }, loaded.direction, now)
      entries.push(entry)
      if (!loaded.sends) continue
      this.#manualSenders.add(entry)
      if (!wrapped.has(place)) this.#card.activateOutbound(entry.ref)
    }
  }

  unloadManual(name: string) {
    for (const entry of [...(this.#manual.get(name) ?? [])].reverse()) this.#drop(entry) // AH before its ESP
    this.#manual.delete(name)
  }

  /** Child SAs on which protected traffic arrived since the last call. */
  active(): ChildSaId[] {
    const seen: ChildSaId[] = []
    for (const [id, child] of this.#children) {
      const { packets } = this.#card.saCounters(child.inbound.ref)
      if (packets !== child.lastPackets) seen.push(id)
      child.lastPackets = packets
    }
    return seen
  }

  /** Child SAs on which protected traffic left since the last call. */
  sentOn(): ChildSaId[] {
    const seen: ChildSaId[] = []
    for (const [id, child] of this.#children) {
      const { packets } = this.#card.saCounters(child.outbound.ref)
      if (packets !== child.lastSent) seen.push(id)
      child.lastSent = packets
    }
    return seen
  }

  counters(entry: SaEntry): SaCounters {
    return this.#card.saCounters(entry.ref)
  }

  /** All SAs, in pairs, oldest first. */
  entries(): SaEntry[] {
    const pairs = [...this.#children.values()].flatMap((child) => [child.inbound, child.outbound])
    return [...pairs, ...[...this.#manual.values()].flat()]
  }

  /** Whether its tunnel sends on this SA now; inbound: false. */
  isSending(entry: SaEntry): boolean {
    if (entry.direction === 'in') return false
    if (entry.child !== null) return this.#sending.get(entry.tunnel) === entry.child
    return this.#manualSenders.has(entry)
  }

  inboundSpi(id: ChildSaId): number | undefined {
    return this.#children.get(id)?.inbound.spi
  }

  byRef(ref: SaRef): SaEntry | undefined {
    return this.#byRef.get(ref)
  }

  /** Tunnels with a Child SA under this IKE SA. */
  tunnelsOn(ikeSa: IkeSaId): string[] {
    const under = [...this.#children.values()].filter(({ inbound }) => inbound.ikeSa === ikeSa)
    return [...new Set(under.map(({ tunnel }) => tunnel))]
  }

  /** The Child SA of `ikeSa` belongs to `to` from now on (IKE SA rekey, RFC 7296 §1.3.2). */
  inherit(from: IkeSaId, to: IkeSaId) {
    for (const { inbound, outbound } of this.#children.values())
      for (const entry of [inbound, outbound]) if (entry.ikeSa === from) entry.ikeSa = to
  }

  /** Forgets everything that lay in a card that was reset or is about to stop. */
  removeAll() {
    for (const id of [...this.#children.keys()]) this.remove(id)
    for (const name of [...this.#manual.keys()]) this.unloadManual(name)
  }

  #handOver(tunnel: string) {
    this.#sending.delete(tunnel)
    const heirs = [...this.#children].filter(([, child]) => child.tunnel === tunnel && child.maySend)
    const newest = heirs.sort(([, a], [, b]) => b.order - a.order)[0]
    if (newest !== undefined) this.activate(newest[0])
  }

  #add(child: ChildInstall, sa: CardSa, direction: 'in' | 'out', now: number): SaEntry {
    const ref = direction === 'in' ? this.#card.addInbound(sa) : this.#card.addOutbound(sa)
    return this.#enter({
      ...visible(sa, child.tunnel, direction),
      dhGroup: child.dhGroup ?? null,
      child: child.child,
      ikeSa: child.ikeSa,
      ref,
      installedAt: now,
      softAt: seconds(now, child.softSeconds),
      hardAt: seconds(now, child.lifetime.seconds),
    })
  }

  #addOrUndo(child: ChildInstall, sa: CardSa, inbound: SaEntry, now: number): SaEntry {
    try {
      return this.#add(child, sa, 'out', now)
    } catch (error) {
      this.#drop(inbound)
      throw error
    }
  }

  #addManual(name: string, sa: CardSa, way: LoadedManualSa['direction'], now: number): SaEntry {
    const direction = way === 'inbound' ? 'in' : 'out'
    const ref = direction === 'in' ? this.#card.addInbound(sa) : this.#card.addOutbound(sa)
    const never = { softAt: Number.POSITIVE_INFINITY, hardAt: Number.POSITIVE_INFINITY }
    return this.#enter({
      ...visible(sa, name, direction),
      dhGroup: null,
      child: null,
      ikeSa: null,
      ref,
      installedAt: now,
      ...never,
    })
  }

  #enter(entry: SaEntry): SaEntry {
    this.#byRef.set(entry.ref, entry)
    return entry
  }

  #drop(entry: SaEntry) {
    this.#byRef.delete(entry.ref)
    this.#manualSenders.delete(entry)
    this.#card.deleteSa(entry.ref)
  }
}

function seconds(now: number, count: number): number {
  return count > 0 ? now + count * 1000 : Number.POSITIVE_INFINITY
}

function visible(sa: CardSa, tunnel: string, direction: 'in' | 'out') {
  const { spi, protocol, cipher, integrity, esn, source, destination } = sa
  return { tunnel, direction, spi, protocol, cipher, integrity, esn, source, destination }
}

function inboundSa(child: ChildInstall, tunnel: TunnelRef): CardSa {
  return {
    ...commonSa(child, tunnel),
    ...child.inbound,
    spi: child.spiIn,
    source: child.remoteSelectors,
    destination: child.localSelectors,
  }
}

function outboundSa(child: ChildInstall, tunnel: TunnelRef): CardSa {
  return {
    ...commonSa(child, tunnel),
    ...child.outbound,
    spi: child.spiOut,
    source: child.localSelectors,
    destination: child.remoteSelectors,
  }
}

function commonSa(child: ChildInstall, tunnel: TunnelRef) {
  const { protocol, cipher, esn, replayWindow } = child
  const integrity = child.integrity ?? ('none' as const)
  return { tunnel, protocol, cipher, integrity, esn, replayWindow, ...childLimits(child) }
}

/** Hard limits as negotiated or configured, soft ones at 80 %; 64-bit blocks never beyond 800 MiB and 1 GiB. */
function childLimits(child: ChildInstall) {
  const { seconds: hardSeconds, bytes, packets } = child.lifetime
  const short = child.cipher === 'des' || child.cipher === '3des'
  const hardBytes = short ? Math.min(bytes || GIB, GIB) : bytes
  const softBytes = Math.floor(hardBytes * 0.8)
  return {
    hardSeconds,
    hardBytes,
    hardPackets: packets,
    softBytes: short ? Math.min(softBytes, SOFT_64_BIT) : softBytes,
    softPackets: Math.floor(packets * 0.8),
  }
}

/** The four keys of a Child SA that is in the card, or comes to nothing. */
export function wipeKeys(child: ChildInstall) {
  for (const { encryptionKey, integrityKey } of [child.inbound, child.outbound]) {
    encryptionKey.fill(0)
    integrityKey.fill(0)
  }
}
