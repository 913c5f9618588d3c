// What the IKEv2 engine remembers. Records only: every transition is a function in the file of its exchange.
//
// IKE SA (one, bidirectional) and Child SA (a pair of ESP SAs) as of RFC 7296 §1. Times are monotonic ms,
// Infinity = never.

import type { CookieSecrets } from '../crypto/cookie.ts'
import type { IntAuth } from '../crypto/int-auth.ts'
import type { IkeKeys } from '../crypto/keys.ts'
import type { PpkKeys } from '../crypto/ppk.ts'
import type { Reassembly } from '../crypto/reassembly.ts'
import type {
  CryptoJob,
  CryptoResult,
  DhGroup,
  Encapsulation,
  Endpoint,
  IkeDatagram,
  Kem,
  SignatureHash,
  TrafficSelector,
} from '../ports.ts'
import type {
  Action,
  ChildSaId,
  ChildSuite,
  EngineEnvironment,
  IkeSaId,
  IkeSuite,
  PeerConfig,
  Reason,
} from '../sa/contract.ts'
import type { Message } from '../wire/types.ts'
import type { EngineOptions } from './options.ts'
import type { Notify } from './payloads.ts'

/** As in SIGNATURE_HASH_ALGORITHMS (RFC 7427 §7). */
export type HashAlgorithm = SignatureHash | 'identity'

/**
 * init, auth: not yet authenticated. established. replaced: rekeyed, only its Delete is expected.
 * fresh: made by the peer's renewal while ours of the same SA is open: which one inherits is not decided (§2.8.2).
 * deleting: our Delete is under way. lingering: nothing but the last answer is left; keys are wiped.
 */
export type IkeState = 'init' | 'auth' | 'fresh' | 'established' | 'replaced' | 'deleting' | 'lingering'

/** Our half of a Diffie-Hellman exchange; privateValue is wiped with wipeDh. */
export type DhPair = { group: DhGroup; publicValue: Uint8Array; privateValue: Uint8Array }

/** Our half of an ML-KEM exchange that we began; privateValue is wiped with wipeDh. */
export type KemPair = { kem: Kem; publicValue: Uint8Array; privateValue: Uint8Array }

/** One public-key operation under way or waiting for the one before it. */
export type PendingJob = {
  token: number
  job: CryptoJob
  then: (context: Context, result: CryptoResult) => void
  abandon: (context: Context) => void
}

/** What only IKE_SA_INIT and IKE_AUTH need; wiped and dropped once established. */
export type Handshake = {
  /** our order for the IKE_SA_INIT proposals; the answer is checked against the same list */
  suites: IkeSuite[]
  /** group of the KE payload to send; changes with INVALID_KE_PAYLOAD */
  group: DhGroup
  dh: DhPair | null
  peerPublic: Uint8Array | null
  nonce: Uint8Array
  peerNonce: Uint8Array
  /** first messages as sent and received, whole: AUTH covers them (§2.15) */
  ownMessage: Uint8Array
  peerMessage: Uint8Array
  cookie: Uint8Array | null
  cookieRounds: number
  keRounds: number
  /** SIGNATURE_HASH_ALGORITHMS of the peer (RFC 7427 §4); null: not sent */
  peerHashes: HashAlgorithm[] | null
  /** NAT detection was sent and answered */
  natDetection: boolean
  /** both ends use post-quantum pre-shared keys (RFC 8784) */
  usesPpk: boolean
  /** keys that our AUTH or the peer's is made with, in place of those of the SA; d comes with them */
  proofKeys: PpkKeys | null
  /** key exchanges of IKE_INTERMEDIATE that are still to come, in order (RFC 9370 §2.2.2) */
  additional: Kem[]
  /** what the IKE_INTERMEDIATE messages of both ends add to AUTH; null: none is agreed on (RFC 9242 §3.3.2) */
  intAuth: IntAuth | null
  /** the responder takes an IKE_AUTH without a Child SA (RFC 6023) */
  childless: boolean
  /** error in clear that came meanwhile (§2.21.1): type of the notify */
  clearError: number | null
  /** as responder: tunnels with these end points, in order of configuration */
  candidates: PeerConfig[]
}

/**
 * Key exchanges that follow a CREATE_CHILD_SA of ours (RFC 9370 §2.2.4). `secrets` are those so far, Diffie-Hellman first.
 * wiped with wipeFollowUp.
 */
export type FollowUp = {
  /** what the responder wants to hear again */
  link: Uint8Array
  additional: Kem[]
  pair: KemPair | null
  secrets: Uint8Array[]
  /** the peer's exchange for the same SA wins: ours is not to go on (§2.8) */
  isLost: (context: Context) => boolean
  standBack: (context: Context) => void
  finish: (context: Context, secrets: Uint8Array[]) => void
  /** null: the answer is of no use */
  fail: (context: Context, error: Notify | null) => void
}

/** What the peer has begun and follows up with key exchanges; only one at a time: a newer one takes its place. */
export type PendingFollowUp = {
  what: 'ike' | 'child'
  link: Uint8Array
  additional: Kem[]
  secrets: Uint8Array[]
  endAt: number
  finish: (context: Context, secrets: Uint8Array[]) => void
  /** gives back what was prepared */
  abandon: (context: Context) => void
}

/** A Child SA under negotiation: our side of CREATE_CHILD_SA, or the child part of IKE_AUTH. */
export type ChildOffer = {
  tunnel: string
  spiIn: number
  suites: ChildSuite[]
  withDh: boolean
  group: DhGroup | null
  dh: DhPair | null
  nonce: Uint8Array
  localSelectors: TrafficSelector[]
  remoteSelectors: TrafficSelector[]
  /** Child SA that this one replaces (REKEY_SA, §1.3.3) */
  replaces: ChildSaId | null
  keRounds: number
  /** what the peer's exchange for the same SA made meanwhile, null: it is not done; and its lower nonce (§2.8.1) */
  rival: { child: ChildSaId | null; lowest: Uint8Array } | null
  followUp: FollowUp | null
  /** SPIs that the peer deleted while its answer is on the way: one of them may be the one it names */
  deletedByPeer: number[]
}

/** An IKE SA rekey that we began (§1.3.2). */
export type IkeOffer = {
  spi: bigint
  suites: IkeSuite[]
  group: DhGroup
  dh: DhPair | null
  nonce: Uint8Array
  keRounds: number
  /** what the peer's renewal of the same SA made meanwhile, null: it is not done; and its lower nonce (§2.8.2) */
  rival: { sa: IkeSaId | null; lowest: Uint8Array } | null
  followUp: FollowUp | null
}

/** What a request of ours was for; the response is handled by the file of that exchange. */
export type Purpose =
  | { kind: 'init' }
  | { kind: 'intermediate'; pair: KemPair }
  /** child: what we ask for in IKE_AUTH; null: an IKE SA without a Child SA (RFC 6023) */
  | { kind: 'auth'; child: ChildOffer | null }
  | { kind: 'child'; offer: ChildOffer }
  | { kind: 'rekey-ike'; offer: IkeOffer }
  | { kind: 'delete-child'; children: ChildSaId[] }
  | { kind: 'delete-ike' }
  | { kind: 'probe' }
  | { kind: 'update-addresses'; local: Endpoint }
  | { kind: 'check-address'; cookie: Uint8Array }
  | { kind: 'auth-failed' }

/** The one request in flight (window 1, §2.3). */
export type Exchange = {
  purpose: Purpose
  exchange: number
  messageId: number
  /** the whole message, or its fragments: all of them go out again (RFC 7383 §2.1) */
  datagrams: Uint8Array[]
  attempt: number
  nextAt: number
  giveUpAt: number
}

/** An authentic message; octets: of IKE_INTERMEDIATE, what AUTH covers of it (RFC 9242 §3.3.2). */
export type Received = Message & { octets: Uint8Array | null }

/** What waits until the exchange in flight is answered; not begun before `notBefore`. */
export type Task = { notBefore: number } & (
  | { kind: 'create-child'; tunnel: string; keRounds: number; group: DhGroup | null }
  | { kind: 'rekey-child'; child: ChildSaId; keRounds: number; group: DhGroup | null }
  | { kind: 'rekey-ike'; keRounds: number; group: DhGroup | null }
  | { kind: 'delete-child'; children: ChildSaId[]; spis: number[] }
  | { kind: 'delete-ike' }
  | { kind: 'probe' }
  | { kind: 'update-addresses' }
  | { kind: 'check-address' }
)

/** The last request of the peer, known by its digest or that of its first fragment, and our answer, repeated byte for byte (§2.1). */
export type Answered = { messageId: number; digest: string; datagrams: Uint8Array[] }

/**
 * fresh: installed, the peer sends on the older one still (§2.8). active: we send on it.
 * replaced: rekeyed, Delete due or under way. draining: both ends agreed to delete; it still receives.
 */
export type ChildState = 'fresh' | 'active' | 'replaced' | 'draining'

export type ChildSa = {
  id: ChildSaId
  createdAt: number
  ikeSa: IkeSaId
  tunnel: string
  state: ChildState
  spiIn: number
  spiOut: number
  suite: ChildSuite
  localSelectors: TrafficSelector[]
  remoteSelectors: TrafficSelector[]
  encapsulation: Encapsulation
  softAt: number
  hardAt: number
  removeAt: number
  /** a fresh SA sends from then on even if the peer has not used it; monotonic ms */
  activateAt: number
  /** a task or exchange of ours is about to replace it */
  rekeying: boolean
  /** Delete queued or in flight */
  deleting: boolean
  /** the older SA that it was made to replace */
  replaces: ChildSaId | null
  /** what the gateway hears when it goes and no other SA takes over */
  endReason: Reason
}

export type IkeSa = {
  id: IkeSaId
  /** of this IKE SA: who began its IKE_SA_INIT or its rekey */
  role: 'initiator' | 'responder'
  initiatorSpi: bigint
  responderSpi: bigint
  state: IkeState
  /** configuration that authenticated it; null as long as the responder does not know */
  peer: PeerConfig | null
  /** further tunnels that share this IKE SA and wait for it */
  wanted: string[]
  local: Endpoint
  remote: Endpoint
  suite: IkeSuite | null
  keys: IkeKeys | null
  handshake: Handshake | null
  /** who is behind a NAT, or pretends to be (§2.23) */
  nat: { local: boolean; remote: boolean }
  /** which end we were when the first IKE SA began, where both ends take changes of address (RFC 4555) */
  mobike: 'initiator' | 'responder' | null
  /** a post-quantum pre-shared key is in the keys (RFC 8784) */
  hasPpk: boolean
  /** both ends said so in IKE_SA_INIT (RFC 7383 §2.3) */
  fragmentation: boolean
  /** digest of fragment 1 of the peer's latest fragmented request */
  firstFragment: { messageId: number; digest: string } | null
  remoteId: string | null
  nextRequestId: number
  expectedRequestId: number
  answered: Answered | null
  /** id of the peer's request that a job works on */
  workingOn: number | null
  exchange: Exchange | null
  /** the peer's CREATE_CHILD_SA that waits for its additional key exchanges */
  pending: PendingFollowUp | null
  tasks: Task[]
  jobs: PendingJob[]
  held: IkeDatagram[]
  children: Map<ChildSaId, ChildSa>
  createdAt: number
  establishedAt: number
  lastInbound: number
  /** when anything of this SA last went out to the peer: IKE, protected packets, keepalives */
  lastOutbound: number
  /** when the peer's address was last followed (§2.23) */
  movedAt: number
  softAt: number
  hardAt: number
  /** half-open, lingering, replaced and childless SAs go at this time */
  endAt: number
  /** since when every CREATE_CHILD_SA is answered with TEMPORARY_FAILURE (§2.25) */
  refusedSince: number
  /** SA of the rekey that replaced this one */
  replacedBy: IkeSaId | null
  /** the peer has shown that it is up there too: its IKE_AUTH answer, or any message after it */
  confirmed: boolean
  /** a second IKE SA to the same identity stays: this one goes at that time */
  duplicateAt: number
}

export type EngineState = {
  peers: Map<string, PeerConfig>
  sas: Map<IkeSaId, IkeSa>
  /** by our own SPI */
  bySpi: Map<bigint, IkeSa>
  /** responder SAs by the initiator's SPI and address, to recognise a repeated IKE_SA_INIT */
  byInit: Map<string, IkeSa>
  /** responder SAs that nobody has authenticated, oldest first */
  halfOpen: Set<IkeSa>
  children: Map<ChildSaId, ChildSa>
  /** Child SA on which each tunnel sends */
  sending: Map<string, ChildSaId>
  cookies: CookieSecrets | null
  reassembly: Reassembly
  /** last answer in clear, and last report about something in clear, per address */
  clearAnswers: Map<string, number>
  clearReports: Map<string, number>
  nextId: number
  nextToken: number
}

/** One call into the engine: state, machine, time, and the actions collected so far. */
export type Context = {
  state: EngineState
  environment: EngineEnvironment
  options: EngineOptions
  now: number
  actions: Action[]
}
