// NAT detection and what follows from it: encapsulation and ports (RFC 7296 §2.23).

import { natDetectionHash } from '../crypto/natt.ts'
import type { Encapsulation, Endpoint } from '../ports.ts'
import type { PeerConfig } from '../sa/contract.ts'
import { equalBytes } from '../wire/bytes.ts'
import { NotifyStatus } from '../wire/notify.ts'
import type { Payload } from '../wire/types.ts'
import { notifies, notify } from './payloads.ts'
import type { Context, IkeSa } from './state.ts'

type NatMode = PeerConfig['natTraversal']
type Spis = { initiatorSpi: bigint; responderSpi: bigint }

/** The two notifies of IKE_SA_INIT; none with `off`; a hash that fits no address with `force`. */
export function natNotifies(
  context: Context,
  mode: NatMode,
  spis: Spis,
  local: Endpoint,
  remote: Endpoint,
): Payload[] {
  if (mode === 'off') return []
  const source =
    mode === 'force'
      ? context.environment.random(20)
      : natDetectionHash(spis.initiatorSpi, spis.responderSpi, local)
  return [
    notify(NotifyStatus.NAT_DETECTION_SOURCE_IP, source),
    notify(
      NotifyStatus.NAT_DETECTION_DESTINATION_IP,
      natDetectionHash(spis.initiatorSpi, spis.responderSpi, remote),
    ),
  ]
}

/** Who is behind a NAT, from the peer's notifies as they arrived between `local` and `remote`. null: peer or we do not speak NAT traversal. */
export function judgeNat(
  payloads: Payload[],
  mode: NatMode,
  spis: Spis,
  local: Endpoint,
  remote: Endpoint,
): { local: boolean; remote: boolean } | null {
  const sources = notifies(payloads, NotifyStatus.NAT_DETECTION_SOURCE_IP)
  const destinations = notifies(payloads, NotifyStatus.NAT_DETECTION_DESTINATION_IP)
  if (mode === 'off' || sources.length === 0 || destinations.length === 0) return null
  const seen = natDetectionHash(spis.initiatorSpi, spis.responderSpi, remote)
  const own = natDetectionHash(spis.initiatorSpi, spis.responderSpi, local)
  return {
    remote: !sources.some((each) => equalBytes(each.data, seen)),
    local: mode === 'force' || !destinations.some((each) => equalBytes(each.data, own)),
  }
}

export function isNat(sa: IkeSa): boolean {
  return sa.nat.local || sa.nat.remote
}

/** ESP goes in UDP exactly when a NAT was found (RFC 3948; RFC 7296 §2.23). */
export function encapsulationOf(sa: IkeSa): Encapsulation {
  return isNat(sa) ? 'udp' : 'raw'
}

/** Where ESP goes: the peer's NAT-T port as IKE sees it, or no port at all. */
export function espRemote(sa: IkeSa): Endpoint {
  return { address: sa.remote.address, port: isNat(sa) ? sa.remote.port : 0 }
}

/**
 * §2.23: behind or before a NAT the initiator goes on with IKE_AUTH on port 4500 at both ends; one that may move does so
 * wherever the peer speaks NAT traversal (RFC 4555 §3.3).
 */
export function floatPorts(sa: IkeSa, ikePort: number, natTPort: number): void {
  const mayMove = sa.peer?.mobike === true && sa.handshake?.natDetection === true
  if (!isNat(sa) && !mayMove) return
  if (sa.local.port === ikePort) sa.local = { ...sa.local, port: natTPort }
  if (sa.remote.port === ikePort) sa.remote = { ...sa.remote, port: natTPort }
}
