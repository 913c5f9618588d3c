// What an IKE engine takes and gives: the seam between a protocol (ikev2/, later ikev1/) and the gateway.
//
// An engine is sans-IO. It takes events with the monotonic time and returns actions; the gateway executes
// them through the ports. Both gateways of a test run on this seam, message by message.

import type { KeyObject } from 'node:crypto'
import type { AuthMethod, Identity, IkeCipher } from '../config/model.ts'
import type {
  Address,
  CryptoJob,
  CryptoResult,
  DhGroup,
  Encapsulation,
  Endpoint,
  EspCipher,
  IkeDatagram,
  Integrity,
  Kem,
  TrafficSelector,
} from '../ports.ts'

/** One IKE proposal as configured; integrity null with AEAD ciphers. additionalKe: in the order of use (RFC 9370). */
export type IkeSuite = {
  encryption: IkeCipher
  integrity: Integrity | null
  prf: Integrity
  dhGroup: DhGroup
  additionalKe?: readonly Kem[]
}
/** One ESP proposal; dhGroup is the PFS group, used only in CREATE_CHILD_SA, additionalKe with it (RFC 9370 §2.2.4). */
export type ChildSuite = {
  cipher: EspCipher
  integrity: Integrity | null
  esn: boolean
  dhGroup: DhGroup | null
  additionalKe?: readonly Kem[]
}

export type LocalCertificate = { key: KeyObject; chain: Uint8Array[] } // DER, own certificate first
export type TrustAnchor = { name: string; der: Uint8Array }

/** Everything an engine needs for one tunnel with IKE, resolved from the configuration; secrets are bytes. */
export type PeerConfig = {
  tunnel: string
  /** on-demand: the tunnel that this one was made from when its peer had proven who it is (EngineEnvironment.admit) */
  template?: string
  local: Address | 'any'
  remote: Endpoint | null // null: any (on-demand)
  localId: Identity
  remoteId: Identity | 'any'
  localAuth: AuthMethod
  remoteAuth: AuthMethod
  localPsk: Uint8Array | null
  remotePsk: Uint8Array | null
  certificate: LocalCertificate | null
  trust: TrustAnchor[]
  crls: Uint8Array[]
  allowSha1Signatures: boolean
  ikeProposals: IkeSuite[]
  ikeLifetime: number // seconds
  childProposals: ChildSuite[]
  childLifetime: { seconds: number; bytes: number; packets: number }
  rekeyMargin: { seconds: number; fuzz: number }
  localSelectors: TrafficSelector[]
  remoteSelectors: TrafficSelector[]
  replayWindow: number
  role: 'initiator' | 'responder' | 'both'
  dpd: { interval: number; retries: number } | null // seconds
  natTraversal: 'auto' | 'force' | 'off'
  natTPort: number
  /** seconds of silence after which our NAT is reminded of us (RFC 3948 §4); default: 20 */
  natKeepalive?: number
  /** post-quantum pre-shared key (RFC 8784); required: without it there is no tunnel */
  ppk?: { id: string; key: Uint8Array; required: boolean } | null
  /** the addresses of the ends may change while the tunnel is up (RFC 4555) */
  mobike?: boolean
  /** begin without a Child SA where the peer takes that, so that the first one has its own Diffie-Hellman too (RFC 6023) */
  childless?: boolean
}

/** Ids are the engine's own, unique for the life of the process. */
export type IkeSaId = number
export type ChildSaId = number

/**
 * Both directions of a negotiated Child SA; the gateway hands it to the card and then wipes the four keys: the
 * engine keeps no reference to them.
 */
export type ChildInstall = {
  child: ChildSaId
  ikeSa: IkeSaId
  tunnel: string
  spiIn: number
  spiOut: number
  protocol: 'esp'
  cipher: EspCipher
  integrity: Integrity | null
  esn: boolean
  /** group of its own Diffie-Hellman exchange; null or left out: it had none */
  dhGroup?: DhGroup | null
  inbound: { encryptionKey: Uint8Array; integrityKey: Uint8Array }
  outbound: { encryptionKey: Uint8Array; integrityKey: Uint8Array }
  localSelectors: TrafficSelector[]
  remoteSelectors: TrafficSelector[]
  encapsulation: Encapsulation
  local: Address
  remote: Endpoint
  replayWindow: number
  lifetime: { seconds: number; bytes: number; packets: number }
  softSeconds: number
  /** false while the peer may not yet receive on it: the engine returns activate later */
  activateOutbound: boolean
  replaces: ChildSaId | null
}

/** Names of features.md section 4; `reason` of a tunnel. */
export type Reason =
  | 'no-route'
  | 'recursive-route'
  | 'no-asp'
  | 'not-bound'
  | 'no-answer'
  | 'no-proposal'
  | 'auth-failed'
  | 'ts-unacceptable'
  | 'no-certificate'
  | 'peer-dead'
  | 'expired'
  | 'cleared'
  | 'shutdown'
  | 'peer-deleted'

/** One transform type in which a proposal of the peer and ours are different; `type` is the statement that decides. */
export type TransformDifference = { type: string; offered: string[]; allowed: string[] }
/** A proposal of the peer beside the nearest of ours; `fault`: it is no proposal for this SA at all. */
export type ProposalDifference = {
  number: number
  offered: string
  nearest: string | null
  differs: TransformDifference[]
  fault: string | null
}
/** Selectors as text, as seen from here. */
export type SelectorSides = { local: string[]; remote: string[] }

/** What exactly did not match in a failed negotiation: as data, without secrets. docs/reports.md describes the JSON. */
export type Explanation =
  | { kind: 'proposals'; protocol: 'ike' | 'esp'; proposals: ProposalDifference[] }
  | {
      kind: 'selectors'
      offered: SelectorSides
      allowed: (SelectorSides & { tunnel: string })[]
      /** the intersection, of the tunnel that shares most; a side without an entry is the cause */
      common: SelectorSides
    }
  /** the peer's proof was not accepted; `searched`: the identities, keys and CAs that were tried, by tunnel */
  | {
      kind: 'authentication'
      identity: string | null
      fault: AuthenticationFault
      method: string | null
      expected: string | null
      searched: { tunnel: string; remoteId: string; proof: string }[]
    }
  /** the peer did not accept what we sent; it does not say more */
  | { kind: 'refused-by-peer'; notify: string; sent: RefusedOffer }

/** What we had sent: proposals as text, selectors, or the identity and how it was proven. */
export type RefusedOffer =
  | { what: 'proposals'; proposals: string[]; wantedGroup: number | null }
  | ({ what: 'selectors' } & SelectorSides)
  | { what: 'identity'; identity: string; method: string }
  | { what: 'other' }

/** Stable: `identity`, `method`, `pre-shared-key`, `signature`, `own-identity`, or a reason of control/pki/reasons.ts. */
export type AuthenticationFault = string

/** One refusal or end as data: rendered once by explain.ts. */
export type Report = {
  tunnel: string | null
  level: 'info' | 'warning' | 'error'
  code: string // stable: reason or drop-counter name
  text: string // one sentence for the operator
  offered?: string[]
  allowed?: string[]
  advice?: string
  peer?: Endpoint
  explanation?: Explanation
}

export type Action =
  | { kind: 'send'; datagram: IkeDatagram }
  | { kind: 'compute'; ikeSa: IkeSaId; token: number; job: CryptoJob }
  | { kind: 'install'; child: ChildInstall }
  | { kind: 'activate'; child: ChildSaId }
  /** 'replaced': its successor carries the traffic, the tunnel stays up */
  | { kind: 'remove'; child: ChildSaId; reason: Reason | 'replaced' }
  | { kind: 'ike-up'; ikeSa: IkeSaId; tunnel: string }
  | { kind: 'ike-down'; ikeSa: IkeSaId; tunnel: string; reason: Reason }
  /** RFC 7296 §1.3.2: `to` takes over `from` and its Child SAs; there is no ike-down and no ike-up for this pair */
  | { kind: 'ike-rekeyed'; from: IkeSaId; to: IkeSaId; tunnel: string }
  /** authentic IKE traffic came from a new endpoint behind a NAT (RFC 7296 §2.23): send the tunnel's packets there */
  | {
      kind: 'moved'
      ikeSa: IkeSaId
      tunnel: string
      remote: Endpoint
      /** MOBIKE: our own end, and the encapsulation that the new path needs; left out: as before, and UDP */
      local?: Address
      encapsulation?: Encapsulation
    }
  /** behind a NAT and silent for a while: one byte 0xff keeps its mapping alive (RFC 3948 §2.3, §4), no IKE message */
  | { kind: 'keepalive'; local: Endpoint; remote: Endpoint }
  /** initiator failed before a Child SA came up: the gateway retries with backoff */
  | { kind: 'failed'; tunnel: string; reason: Reason }
  | { kind: 'report'; report: Report }
  | { kind: 'drop'; reason: string; source: Endpoint | null }

/** A peer of an on-demand tunnel gets a tunnel of its own, or is refused for a reason of the gateway's. */
export type Admission = { ok: true; peer: PeerConfig } | { ok: false; report: Report }
/** Who asks for admission: identity as proven, end points as it came. */
export type Applicant = { identity: Identity; local: Endpoint; remote: Endpoint }

/** The machine as an engine sees it: no socket, no clock, no file. */
export type EngineEnvironment = {
  random(length: number): Uint8Array
  /** a fresh inbound SPI >= 256 for this tunnel, unique in the gateway; released when the child is removed */
  allocateSpi(tunnel: string): number
  /** an allocated SPI whose Child SA never came up: no install and no remove will name it */
  releaseSpi?(spi: number): void
  /** an authenticated peer of a tunnel whose remote is null; left out: such a tunnel has one peer at a time */
  admit?(template: string, applicant: Applicant): Admission
  /** wall clock for certificate validity, milliseconds since 1970 */
  wall(): number
}

/** What `show ike sa` prints; rekeyIn in seconds. */
export type IkeSaView = {
  id: IkeSaId
  initiatorSpi: string
  responderSpi: string
  version: 1 | 2
  role: 'initiator' | 'responder'
  state: string
  tunnel: string | null
  local: Endpoint
  remote: Endpoint
  remoteId: string | null
  encryption: string
  authentication: string
  prf: string
  dhGroup: number
  additionalKe: string[]
  rekeyIn: number | null
  nat: { local: boolean; remote: boolean }
  children: ChildSaId[]
}

export interface Engine {
  /** adds or replaces the configuration of one tunnel; existing SAs are untouched */
  setPeer(peer: PeerConfig): void
  removePeer(tunnel: string, now: number): Action[]
  /** half-open responder SAs from which on a cookie is demanded (RFC 7296 §2.6); left out: as at its creation */
  setCookieThreshold?(count: number): void
  /** starts negotiating: IKE SA and first Child, or a further Child on an existing IKE SA */
  initiate(tunnel: string, local: Address, now: number): Action[]
  receive(datagram: IkeDatagram, now: number): Action[]
  computed(ikeSa: IkeSaId, token: number, result: CryptoResult, now: number): Action[]
  tick(now: number): Action[]
  /** earliest monotonic ms at which tick wants to run; Infinity when idle */
  deadline(): number
  /**
   * Inbound protected traffic was seen on a child: liveness needs no probe (RFC 7296 §2.4), and a rekeyed
   * Child SA whose peer uses it is switched to (§2.8): execute the actions.
   */
  activity(child: ChildSaId, now: number): Action[]
  /**
   * Protected traffic was sent on a child: a NAT between us needs no keepalive (RFC 3948 §4). Left out: the engine
   * counts IKE messages only.
   */
  sent?(child: ChildSaId, now: number): Action[]
  /**
   * The card saw an authentic ESP packet of this tunnel, past its replay window, come from a new endpoint. Only the
   * engine knows whether the peer is behind a NAT and so may be followed (RFC 7296 §2.23): action moved, or nothing.
   * An engine without this method follows IKE messages only.
   */
  peerAddress?(tunnel: string, remote: Endpoint, now: number): Action[]
  /** the kernel would use another source address towards the tunnel's peer now (RFC 4555 §3.5) */
  localAddress?(tunnel: string, local: Address, now: number): Action[]
  /** soft limit or operator: rekey this Child SA */
  rekeyChild(child: ChildSaId, now: number): Action[]
  /** hard limit of the card (bytes, packets, sequence numbers): Delete and remove, reason expired */
  expireChild(child: ChildSaId, now: number): Action[]
  rekeyIke(ikeSa: IkeSaId, now: number): Action[]
  /** sends Deletes and drops all SAs of the tunnel */
  clear(tunnel: string, reason: Reason, now: number): Action[]
  ikeSas(now: number): IkeSaView[]
  /** sends Deletes for everything, wipes keys */
  shutdown(now: number): Action[]
}
