// What goes into the gateway's reducer and what comes out of it.

import type { Config } from './config/model.ts'
import type {
  Address,
  CryptoJob,
  CryptoResult,
  Encapsulation,
  Endpoint,
  IkeDatagram,
  LogFields,
  LogLevel,
} from './ports.ts'
import type { Action, ChildInstall, ChildSaId, IkeSaId } from './sa/contract.ts'
import type { PeerTemplate } from './tunnel/peer.ts'

export type TunnelEvent =
  | { kind: 'resolved'; tunnel: string; addresses: Address[] }
  /** the first packet of a tunnel that is down */
  | { kind: 'acquire'; tunnel: string }
  | { kind: 'sa-expired'; tunnel: string; child: ChildSaId | null }
  /** the card refused an SA of this tunnel */
  | { kind: 'refused'; tunnel: string; text: string }
  | { kind: 'clear'; tunnel: string }
  /** authentic ESP of this tunnel came from a new endpoint */
  | { kind: 'peer-address'; tunnel: string; remote: Endpoint }
  /** the ASP of this tunnel failed or works again */
  | { kind: 'asp'; tunnel: string; up: boolean }

export type GatewayEvent =
  | TunnelEvent
  /** a configuration takes effect; tunnels named in keep go on with their SAs */
  | { kind: 'commit'; config: Config; peers: Map<string, PeerTemplate>; keep: ReadonlySet<string> }
  | { kind: 'datagram'; datagram: IkeDatagram }
  | { kind: 'computed'; ikeSa: IkeSaId; token: number; result: CryptoResult }
  | { kind: 'tick' }
  /** protected traffic arrived on these Child SAs */
  | { kind: 'activity'; children: ChildSaId[] }
  /** our own addresses may have changed */
  | { kind: 'roam' }
  /** protected traffic left on these */
  | { kind: 'sent'; children: ChildSaId[] }
  | { kind: 'rekey'; child: ChildSaId }
  | { kind: 'rekey-ike'; ikeSa: IkeSaId }
  | { kind: 'shutdown' }

/** To be performed in order. */
export type Effect =
  | { kind: 'machine'; config: Config }
  /** the same when a peer of an on-demand tunnel came, changed or left: a failure costs that peer only */
  | { kind: 'members'; tunnel: string; config: Config }
  | { kind: 'send'; datagram: IkeDatagram }
  | { kind: 'keepalive'; local: Endpoint; remote: Endpoint }
  | { kind: 'compute'; ikeSa: IkeSaId; token: number; job: CryptoJob }
  | { kind: 'resolve'; tunnel: string; name: string }
  | { kind: 'end-points'; tunnel: string; local: Address; remote: Endpoint; encapsulation: Encapsulation }
  /** what travels under this IKE SA, and the tunnel it is named for, goes to `remote` from now on */
  | Extract<Action, { kind: 'moved' }>
  | { kind: 'install'; child: ChildInstall }
  | { kind: 'activate' | 'remove'; child: ChildSaId }
  | { kind: 'inherit'; from: IkeSaId; to: IkeSaId }
  | { kind: 'load-manual' | 'unload-manual'; tunnel: string }
  | { kind: 'carrier'; tunnel: string; up: boolean }
  | { kind: 'drop'; reason: string }
  | { kind: 'log'; level: LogLevel; message: string; fields: LogFields }
