// MOBIKE (RFC 4555): the end that began the first IKE SA may change its address, tells the other in an exchange of its
// own, and IKE SA and Child SAs go on.
//
//   HDR, SK {N(UPDATE_SA_ADDRESSES), N(NAT_DETECTION_SOURCE_IP), N(NAT_DETECTION_DESTINATION_IP), [N(COOKIE2)]}  -->
//                           <--  HDR, SK {N(NAT_DETECTION_SOURCE_IP), N(NAT_DETECTION_DESTINATION_IP), [N(COOKIE2)]}
//
// The responder then asks the new address for a cookie of its own: who only forwards our traffic cannot answer (§3.7).

import type { Address, Endpoint, IkeDatagram } from '../ports.ts'
import { addressBytes } from '../wire/address.ts'
import { concat, equalBytes, u16Bytes } from '../wire/bytes.ts'
import { NotifyError, NotifyStatus } from '../wire/notify.ts'
import { Exchange, type Payload } from '../wire/types.ts'
import { act, report, sameEndpoint } from './context.ts'
import { beginDelete } from './delete.ts'
import { sendRequest } from './exchange.ts'
import { encapsulationOf, espRemote, judgeNat, natNotifies } from './nat.ts'
import { hasNotify, notifies, notify } from './payloads.ts'
import { tunnelOf } from './sas.ts'
import type { Context, IkeSa } from './state.ts'
import { addTask } from './tasks.ts'

/** Bytes of our COOKIE2; 8 to 64 are allowed (§4.2.5). */
const COOKIE2_LENGTH = 16

/** In IKE_AUTH, from the end that wants it, and back from one that wants it too (§3.1). */
export function mobikeNotify(isWanted: boolean): Payload[] {
  return isWanted ? [notify(NotifyStatus.MOBIKE_SUPPORTED)] : []
}

/** Packets of the tunnel go between the ends of the IKE SA, in the encapsulation that the path needs. */
function tellGateway(context: Context, sa: IkeSa): void {
  act(context, {
    kind: 'moved',
    ikeSa: sa.id,
    tunnel: tunnelOf(sa),
    remote: espRemote(sa),
    local: sa.local.address,
    encapsulation: encapsulationOf(sa),
  })
  for (const child of sa.children.values()) child.encapsulation = encapsulationOf(sa)
}

/** Our own address has changed: said to every peer that takes it, by whoever may say it (§3.5). */
export function moveOurselves(context: Context, tunnel: string, local: Address): void {
  for (const sa of context.state.sas.values()) {
    const isCarrier = [...sa.children.values()].some((child) => child.tunnel === tunnel)
    const mayMove = sa.state === 'established' && sa.mobike === 'initiator'
    if (!isCarrier || !mayMove || sa.local.address === local) continue
    sa.local = { ...sa.local, address: local }
    tellGateway(context, sa)
    addTask(sa, { kind: 'update-addresses' })
  }
}

/** The request, from where we are now. What was in flight before has been repeated from there too. */
export function beginUpdate(context: Context, sa: IkeSa): void {
  const payloads = [notify(NotifyStatus.UPDATE_SA_ADDRESSES), ...detection(context, sa)]
  sendRequest(context, sa, Exchange.INFORMATIONAL, payloads, { kind: 'update-addresses', local: sa.local })
}

function detection(context: Context, sa: IkeSa): Payload[] {
  return natNotifies(context, sa.peer?.natTraversal ?? 'auto', sa, sa.local, sa.remote)
}

/** The answer: whether there is a NAT on the new path. If we have moved on meanwhile, another update follows anyway. */
export function receiveUpdateResponse(
  context: Context,
  sa: IkeSa,
  payloads: Payload[],
  from: Endpoint,
  datagram: IkeDatagram,
) {
  const refused = [NotifyError.UNACCEPTABLE_ADDRESSES, NotifyError.UNEXPECTED_NAT_DETECTED].find((type) =>
    hasNotify(payloads, type),
  )
  if (refused !== undefined) return reportRefused(context, sa)
  if (sa.state !== 'established' || !sameEndpoint(from, sa.local)) return
  rejudge(sa, payloads, datagram)
  tellGateway(context, sa)
}

function reportRefused(context: Context, sa: IkeSa): void {
  report(context, {
    tunnel: tunnelOf(sa),
    level: 'warning',
    code: 'mobike-refused',
    text: `the peer does not take our new address ${sa.local.address}`,
    advice: 'see the peer’s configuration; the tunnel is tried anew when the peer no longer answers',
    peer: sa.remote,
  })
}

function rejudge(sa: IkeSa, payloads: Payload[], datagram: IkeDatagram): void {
  const mode = sa.peer?.natTraversal ?? 'auto'
  const found = judgeNat(payloads, mode, sa, datagram.local, datagram.remote)
  if (found) sa.nat = found
}

/**
 * What an INFORMATIONAL request of the peer asks for beside its Deletes: payloads of the answer. COOKIE2 comes back as
 * it is (§4.2.5); the addresses of an update are those that the request came between (§3.5).
 */
export function answerMobility(
  context: Context,
  sa: IkeSa,
  payloads: Payload[],
  datagram: IkeDatagram,
): Payload[] {
  if (sa.mobike === null || sa.state !== 'established') return []
  const cookies = notifies(payloads, NotifyStatus.COOKIE2).map((each) => notify(each.type, each.data))
  if (sa.mobike === 'initiator' || !hasNotify(payloads, NotifyStatus.UPDATE_SA_ADDRESSES)) return cookies
  if (isTranslated(payloads, datagram)) return [notify(NotifyError.UNEXPECTED_NAT_DETECTED), ...cookies]
  const isElsewhere = !sameEndpoint(sa.remote, datagram.remote)
  sa.local = datagram.local
  sa.remote = datagram.remote
  sa.movedAt = context.now
  rejudge(sa, payloads, datagram)
  tellGateway(context, sa)
  if (isElsewhere) addTask(sa, { kind: 'check-address' })
  return [...detection(context, sa), ...cookies]
}

/** NO_NATS_ALLOWED holds the addresses and ports as they were sent (§4.2.6). */
function isTranslated(payloads: Payload[], { local, remote }: IkeDatagram): boolean {
  const [sent] = notifies(payloads, NotifyStatus.NO_NATS_ALLOWED)
  if (!sent) return false
  const [source, destination] = [addressBytes(remote.address), addressBytes(local.address)]
  if (!source || !destination) return true
  return !equalBytes(sent.data, concat(source, destination, u16Bytes(remote.port), u16Bytes(local.port)))
}

/** Return routability: is the peer really where its update came from? (§3.7) */
export function beginAddressCheck(context: Context, sa: IkeSa): void {
  const cookie = context.environment.random(COOKIE2_LENGTH)
  const payloads = [notify(NotifyStatus.COOKIE2, cookie)]
  sendRequest(context, sa, Exchange.INFORMATIONAL, payloads, { kind: 'check-address', cookie })
}

/** Another cookie, or none: somebody else has answered, and the SA ends (§3.7). */
export function receiveAddressCheck(
  context: Context,
  sa: IkeSa,
  payloads: Payload[],
  cookie: Uint8Array,
): void {
  if (sa.state !== 'established') return
  const [returned] = notifies(payloads, NotifyStatus.COOKIE2)
  if (returned && equalBytes(returned.data, cookie)) return
  report(context, {
    tunnel: tunnelOf(sa),
    level: 'error',
    code: 'mobike-cookie',
    text: 'the peer’s new address did not return our cookie; the IKE SA ends',
    advice: 'the tunnel is tried again by itself; see who is on the path',
    peer: sa.remote,
  })
  beginDelete(context, sa, 'peer-dead')
}
