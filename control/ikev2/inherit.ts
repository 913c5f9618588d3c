// The heir of an IKE SA (RFC 7296 §1.3.2, §2.8.2, §2.18): keys from SK_d of the old one, message ids from zero, and,
// once it is clear which of two new SAs stays, the Child SAs and the open tasks.

import { deriveRekeyedIkeKeys } from '../crypto/keys.ts'
import { wipe } from '../crypto/suite.ts'
import type { IkeSuite } from '../sa/contract.ts'
import { act } from './context.ts'
import { settleDuplicates } from './duplicates.ts'
import { startLifetimes } from './handshake.ts'
import { peerNow } from './peers.ts'
import { createIkeSa, tunnelOf } from './sas.ts'
import type { Context, IkeSa } from './state.ts'
import { prfOf } from './suite.ts'

/** What both ends agreed on for the new IKE SA; SPIs are those of its header. */
export type AgreedIke = {
  role: 'initiator' | 'responder'
  suite: IkeSuite
  initiatorSpi: bigint
  responderSpi: bigint
  ni: Uint8Array
  nr: Uint8Array
}

/**
 * -- (nothing) -> fresh: keys by §2.18; the secrets are wiped, that of Diffie-Hellman first, then those of additional key
 * exchanges (RFC 9370 §2.2.4). Nobody hears of it before it inherits.
 */
export function createHeir(context: Context, old: IkeSa, agreed: AgreedIke, secrets: Uint8Array[]): IkeSa {
  const [sharedSecret, ...additional] = secrets
  const { role, suite, initiatorSpi, responderSpi, ni, nr } = agreed
  const peer = peerNow(context, old.peer!)
  const { local, remote } = old
  const sa = createIkeSa(context, { role, initiatorSpi, responderSpi, peer, local, remote, handshake: null })
  sa.suite = suite
  const { encryption: cipher, integrity } = suite
  const spis = { spiI: initiatorSpi, spiR: responderSpi }
  const input = { prf: prfOf(sa), integrity, cipher, ni, nr, ...spis, sharedSecret, additional }
  sa.keys = deriveRekeyedIkeKeys(prfOf(old), old.keys!.d, input)
  wipe(...secrets)
  sa.state = 'fresh'
  sa.nat = old.nat
  sa.fragmentation = old.fragmentation
  sa.hasPpk = old.hasPpk
  sa.mobike = old.mobike
  sa.remoteId = old.remoteId
  sa.endAt = context.now + context.options.replacedMs
  return sa
}

/** -- fresh -> established, and established -> replaced for the old one, which its Delete ends, or time. */
export function inherit(context: Context, old: IkeSa, heir: IkeSa): void {
  heir.state = 'established'
  heir.confirmed = true
  heir.local = old.local
  heir.remote = old.remote
  heir.nat = old.nat
  heir.movedAt = old.movedAt
  heir.lastOutbound = old.lastOutbound
  startLifetimes(context, heir)
  moveChildren(old, heir)
  old.state = 'replaced'
  old.replacedBy = heir.id
  old.softAt = old.hardAt = old.duplicateAt = Number.POSITIVE_INFINITY
  old.endAt = context.now + context.options.replacedMs
  act(context, { kind: 'ike-rekeyed', from: old.id, to: heir.id, tunnel: tunnelOf(heir) })
  settleDuplicates(context, heir)
}

function moveChildren(from: IkeSa, to: IkeSa): void {
  for (const child of from.children.values()) {
    child.ikeSa = to.id
    to.children.set(child.id, child)
  }
  from.children.clear()
  to.tasks = from.tasks.filter((task) => task.kind !== 'rekey-ike' && task.kind !== 'probe')
  from.tasks = []
}
