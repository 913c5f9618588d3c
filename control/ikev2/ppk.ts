// Post-quantum pre-shared keys in IKE_AUTH (RFC 8784 §3). Both ends said USE_PPK in IKE_SA_INIT; the initiator names its
// PPK and, where it may do without, proves itself a second time without it; the responder's answer says which it was.
//
//   ... AUTH (with the PPK), N(PPK_IDENTITY), [N(NO_PPK_AUTH)]  -->
//                                                           <--  ... AUTH, [N(PPK_IDENTITY)]

import { decodePpkId, encodePpkId, mixPpk, type PpkKeys, wipePpkKeys } from '../crypto/ppk.ts'
import type { PeerConfig } from '../sa/contract.ts'
import { NotifyStatus } from '../wire/notify.ts'
import type { Payload } from '../wire/types.ts'
import { makeAuth, type OwnAuth } from './authenticate.ts'
import { hasNotify, notifies, notify } from './payloads.ts'
import type { AuthFault } from './reports.ts'
import type { Context, IkeSa } from './state.ts'
import { prfOf } from './suite.ts'

export const NO_PPK = 'our ppk is required, and the peer does not use post-quantum pre-shared keys'

type Proven = (context: Context, auth: OwnAuth, more: Payload[]) => void

/** Initiator: AUTH and, where a PPK is used, the notifies beside it. */
export function prove(context: Context, sa: IkeSa, peer: PeerConfig, idRaw: Uint8Array, done: Proven) {
  const { ppk } = peer
  const handshake = sa.handshake!
  if (!ppk || !handshake.usesPpk)
    return makeAuth(context, sa, peer, idRaw, (later, auth) => done(later, auth, []))
  const mixed = mixPpk(prfOf(sa), ppk.key, sa.keys!)
  const named = notify(NotifyStatus.PPK_IDENTITY, encodePpkId(ppk.id))
  handshake.proofKeys = mixed
  makeAuth(context, sa, peer, idRaw, (later, auth) => {
    if (!auth.ok || ppk.required) return done(later, auth, [named])
    withoutPpk(later, sa, peer, idRaw, (last, plain) => {
      const data = plain.ok && plain.payload.kind === 'AUTH' ? plain.payload.data : new Uint8Array(0)
      done(last, auth, [named, notify(NotifyStatus.NO_PPK_AUTH, data)])
    })
  })
}

/** The same proof under the keys of the SA as they are. */
function withoutPpk(
  context: Context,
  sa: IkeSa,
  peer: PeerConfig,
  idRaw: Uint8Array,
  done: (context: Context, auth: OwnAuth) => void,
) {
  const handshake = sa.handshake!
  const mixed = handshake.proofKeys
  handshake.proofKeys = null
  makeAuth(context, sa, peer, idRaw, done) // takes what it covers before it returns
  handshake.proofKeys = mixed
}

/** Initiator: the answer says whether the responder has the PPK; its AUTH is checked under the keys that follow. */
export function settlePpk(sa: IkeSa, peer: PeerConfig, answer: Payload[]): AuthFault | null {
  const handshake = sa.handshake!
  const mixed = handshake.proofKeys
  handshake.proofKeys = null
  if (!mixed) return null
  if (hasNotify(answer, NotifyStatus.PPK_IDENTITY)) {
    adopt(sa, mixed)
    sa.hasPpk = true
    return null
  }
  wipePpkKeys(mixed)
  return peer.ppk?.required
    ? { fault: 'ppk', text: 'it did not use our ppk, which is required', method: null }
    : null
}

/** The SA goes on with the keys that the PPK is in. */
function adopt(sa: IkeSa, mixed: PpkKeys): void {
  wipePpkKeys(sa.keys!)
  sa.keys = { ...sa.keys!, ...mixed }
}

export type JudgedPpk = { ok: true; payloads: Payload[] } | { ok: false; fault: AuthFault }

/**
 * Responder, before anything is checked: with the named PPK the keys change; without it the second proof takes the
 * place of the first, if there is one and we may do without (§3.1, table 1).
 */
export function choosePpk(sa: IkeSa, peer: PeerConfig, request: Payload[]): JudgedPpk {
  const [named] = notifies(request, NotifyStatus.PPK_IDENTITY)
  const { ppk } = peer
  const isOurs = ppk && sa.handshake!.usesPpk && named && decodePpkId(named.data) === ppk.id
  if (isOurs) {
    adopt(sa, mixPpk(prfOf(sa), ppk.key, sa.keys!))
    sa.hasPpk = true
    return { ok: true, payloads: request }
  }
  if (ppk?.required) return refused('it did not use our ppk, which is required')
  if (!named) return { ok: true, payloads: request }
  const [plain] = notifies(request, NotifyStatus.NO_PPK_AUTH)
  if (!plain) return refused('it requires a ppk that we do not have')
  const payloads = request.map((each) => (each.kind === 'AUTH' ? { ...each, data: plain.data } : each))
  return { ok: true, payloads }
}

function refused(text: string): JudgedPpk {
  return { ok: false, fault: { fault: 'ppk', text, method: null } }
}
