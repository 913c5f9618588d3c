// Every number of the IKEv2 engine that is a decision and not a value of the protocol, in one place.

/** Retransmission of one request (RFC 7296 §2.4): waits of base, base*factor, ... each capped and jittered. */
export type RetransmitSchedule = {
  baseMs: number
  factor: number
  capMs: number
  /** share of the wait that is random, to both sides: 0.1 = ±10 % */
  jitter: number
  /** from the first transmission to the moment the peer counts as dead */
  giveUpMs: number
}

/** What the gateway may set; everything has a default. Times are milliseconds. */
export type EngineOptions = {
  ikePort: number
  /** half-open responder SAs from which on a cookie is demanded (RFC 7296 §2.6) */
  cookieThreshold: number
  /** half-open responder SAs in all, and per source address */
  halfOpenLimit: number
  halfOpenPerAddress: number
  halfOpenMs: number
  /** of those, how many may wait for their key pair: public-key work of strangers comes after that of peers */
  halfOpenJobs: number
  /** when the limit is reached, the oldest half-open SA of this age makes room */
  halfOpenLoadMs: number
  retransmit: RetransmitSchedule
  /** wait for a usable answer after an unauthenticated error (RFC 7296 §2.21.1) */
  errorGraceMs: number
  /** an old inbound SA still receives after it was replaced */
  overlapMs: number
  /** a finished IKE SA still repeats its last answer */
  lingerMs: number
  /** a replaced IKE SA whose peer never sent the Delete */
  replacedMs: number
  /** next try after TEMPORARY_FAILURE (RFC 7296 §2.25): base plus up to as much again */
  temporaryFailureMs: number
  /** TEMPORARY_FAILURE for so long: both ends are out of step, the IKE SA ends (RFC 7296 §2.25) */
  outOfStepMs: number
  /** behind a NAT: silence after which its mapping is refreshed (RFC 3948 §4) */
  keepaliveMs: number
  /** a peer behind a NAT is followed to a new address at most this often (security H4) */
  moveMs: number
  /** which of two equal IKE SAs goes: its initiator deletes it, later the other end does */
  duplicateMs: number
  /** a CREATE_CHILD_SA of the peer waits so long for the next of its additional key exchanges (RFC 9370 §2.2.4) */
  followUpMs: number
  maxChildren: number
  /** message id from which on an IKE SA is renewed: ids never wrap (RFC 7296 §2.2) */
  messageIdLimit: number
  /** authentic or not yet checkable datagrams kept per SA while a job runs */
  maxHeld: number
  /** bytes of them; the fragments of an IKE_AUTH with a long certificate chain fit in */
  maxHeldBytes: number
  /** split protected messages where the peer can put them together again (RFC 7383), for paths of this many bytes */
  fragmentation: boolean
  pathMtu: number
  /** per address: answers in clear to nonsense, and reports about refusals in clear */
  clearAnswerMs: number
  answerUnknownSpi: boolean
}

export const DEFAULT_OPTIONS: EngineOptions = {
  ikePort: 500,
  cookieThreshold: 30,
  halfOpenLimit: 1_000,
  halfOpenPerAddress: 5,
  halfOpenMs: 30_000,
  halfOpenJobs: 64,
  halfOpenLoadMs: 2_000,
  retransmit: { baseMs: 500, factor: 1.8, capMs: 8_000, jitter: 0.1, giveUpMs: 30_000 },
  errorGraceMs: 5_000,
  overlapMs: 5_000,
  lingerMs: 30_000,
  replacedMs: 60_000,
  temporaryFailureMs: 2_000,
  outOfStepMs: 180_000,
  keepaliveMs: 20_000,
  moveMs: 2_000,
  duplicateMs: 10_000,
  followUpMs: 30_000,
  maxChildren: 64,
  messageIdLimit: 0xffff_fe00,
  maxHeld: 32,
  maxHeldBytes: 65_536,
  fragmentation: true,
  pathMtu: 1_280,
  clearAnswerMs: 1_000,
  answerUnknownSpi: false,
}

/** IKE_SA_INIT rounds after COOKIE or INVALID_KE_PAYLOAD before the attempt ends (RFC 7296 §2.6.1). */
export const MAX_KE_ROUNDS = 2
export const MAX_COOKIE_ROUNDS = 2

/** Exchanges left, once the limit of message ids is reached, for the renewal and at last for the Delete. */
export const SPARE_IDS = 128

/** Bytes of our own nonces: at least half the PRF key, SHA-512 at most 64 (RFC 7296 §2.10). */
export const NONCE_LENGTH = 32
