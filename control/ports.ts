// The only way from the control plane to the machine.
//
// Protocol rooms (wire, crypto, ikev2, sa, tunnel, config, gateway) see these interfaces and
// nothing else of the machine; bindings/ implements them (type-only import) and control/cli,
// the composition root, joins the two. Times are monotonic milliseconds unless a name says wall.

/** An IP address in canonical text form (RFC 5952 for IPv6). */
export type Address = string

/** UDP endpoint; port in host order. */
export type Endpoint = { address: Address; port: number }

/** Inclusive selector of RFC 7296 §3.13.1. start/end are 4 or 16 bytes, network order. */
export type TrafficSelector = {
  family: 4 | 6
  protocol: number // 0 = any
  startPort: number
  endPort: number
  start: Uint8Array
  end: Uint8Array
}

export type EspCipher =
  | 'des'
  | '3des'
  | 'aes-128'
  | 'aes-192'
  | 'aes-256'
  | 'aes-gcm-128'
  | 'aes-gcm-256'
  | 'chacha20-poly1305'
  | 'null'
export type Integrity = 'md5' | 'sha1' | 'sha256' | 'sha384' | 'sha512' | 'none'

/** How a tunnel's protected packets travel (RFC 3948; protocols 50 and 51 natively). */
export type Encapsulation = 'udp' | 'raw'

export type TunnelMode = 'circuit' | 'economical'

/** Reference to a tunnel, SA or circuit in the card's tables (an index, stable until deleted). */
export type TunnelRef = number
export type SaRef = number

/** What the card must know of a tunnel before any SA can point to it. */
export type CardTunnel = {
  name: string
  mode: TunnelMode
  asp: number // 1-based ASP number of the configuration
  local: Address
  remote: Endpoint // port 4500 with encapsulation udp, 0 with raw
  encapsulation: Encapsulation
  /** circuit mode: the TUN device; economical: 'ase0' */
  device: string
  mtu: number // largest inner packet, bytes
  dfBit: 'copy' | 'set' | 'clear'
  dscp: 'copy' | number
  ecn: 'normal' | 'compatibility'
  /** inner packets are padded to so many bytes at least, never beyond the MTU (RFC 4303 §2.7); default: not */
  tfcPad?: number
  /** TCP SYNs tell no larger MSS: `auto` what fits the MTU, or a number of bytes; default: off */
  tcpMss?: 'auto' | 'off' | number
  /** accept UDP and native ESP whatever this end sends (RFC 7296 §2.23); default: only what it sends */
  anyEncapsulation?: boolean
}

/** One direction of a Child SA or of a manual SA (RFC 4301 §4.4.2). Keys are copied once and wiped by the caller. */
export type CardSa = {
  tunnel: TunnelRef
  spi: number
  protocol: 'esp' | 'ah'
  cipher: EspCipher
  encryptionKey: Uint8Array
  integrity: Integrity
  integrityKey: Uint8Array
  /** AH around ESP: the ESP SA inside this AH SA, of the same tunnel and direction, added before */
  bundle?: SaRef
  esn: boolean
  /** packets, power of two 32..4096; 0 = off. Inbound only. */
  replayWindow: number
  /** selectors of the inner packet as the sender sees it: source side, destination side */
  source: TrafficSelector[]
  destination: TrafficSelector[]
  /** hard limits; 0 = none. Seconds from installation, inner bytes, packets. */
  hardSeconds: number
  hardBytes: number
  hardPackets: number
  softBytes: number
  softPackets: number
}

export type SaCounters = { bytes: bigint; packets: bigint; sequence: bigint; lastUsed: number }
export type DropCounter = { reason: string; sentence: string; packets: bigint }
export type StageCounter = { stage: string; packets: bigint }
export type AspStatus = { asp: number; state: 'up' | 'down'; role: 'active' | 'standby'; packets: bigint }

export type FibEntry = { prefix: string; target: { tunnel: TunnelRef } | 'null0' }

export type CardEvent =
  | { kind: 'ready'; asp: number }
  | { kind: 'acquire'; tunnel: TunnelRef }
  | { kind: 'sa-soft' | 'sa-hard' | 'sequence-near-wrap'; sa: SaRef }
  | { kind: 'peer-address'; tunnel: TunnelRef; remote: Endpoint }
  | { kind: 'unknown-spi'; spi: number; source: Endpoint }
  /**
   * What the way to the peer carries, bytes of the outer IP packet: told when the end points are set and whenever
   * it has changed (RFC 1191, RFC 8201). Datagrams above it leave in fragments or, with DF, not at all.
   */
  | { kind: 'path-mtu'; tunnel: TunnelRef; mtu: number }
  | { kind: 'asp-failed'; asp: number; reason: string }

/** One packet's way through the card, for `trace packet`. */
export type PacketTrace = {
  tunnel: TunnelRef
  direction: 'out' | 'in'
  stages: string[]
  length: number
  drop: string | null
}

/** The card as the control plane programs it (design section 2). All calls are synchronous and throw CardError on refusal. */
export interface Card {
  readonly abiVersion: number
  readonly build: string
  setTunnel(tunnel: CardTunnel, ref?: TunnelRef): TunnelRef
  deleteTunnel(ref: TunnelRef): void
  /** carrier of the circuit / operational state: down drops with reason tunnel-down (and raises acquire) */
  setTunnelState(ref: TunnelRef, up: boolean): void
  setPeer(ref: TunnelRef, remote: Endpoint, encapsulation: Encapsulation): void
  addInbound(sa: CardSa): SaRef
  addOutbound(sa: CardSa): SaRef
  /** one atomic store switches the tunnel's sending SA: make before break */
  activateOutbound(sa: SaRef): void
  /** zeroises record, key schedules and pads */
  deleteSa(sa: SaRef): void
  saCounters(sa: SaRef): SaCounters
  setFib(entries: FibEntry[]): Promise<void>
  drops(): DropCounter[]
  stages(ref: TunnelRef): StageCounter[]
  tunnelCounters(ref: TunnelRef): {
    rxPackets: bigint
    rxBytes: bigint
    txPackets: bigint
    txBytes: bigint
    drops: bigint
  }
  asps(): AspStatus[]
  trace(ref: TunnelRef, count: number): Promise<PacketTrace[]>
  onEvent(handler: (event: CardEvent) => void): void
  stop(): Promise<void>
}

/** A received or to-be-sent IKE datagram; the non-ESP marker of RFC 3948 §2.2 is removed/added by the sockets. */
export type IkeDatagram = { local: Endpoint; remote: Endpoint; data: Uint8Array }

export interface Sockets {
  send(datagram: IkeDatagram): void
  /** one byte 0xff from the NAT traversal port, without marker (RFC 3948 §2.3) */
  keepalive(local: Endpoint, remote: Endpoint): void
  onDatagram(handler: (datagram: IkeDatagram) => void): void
  /** the source address the kernel would use towards remote, or null when there is no route */
  sourceFor(remote: Address): Address | null
}

export type Route = {
  prefix: string
  device: string | null
  metric: number
  source?: Address
  blackhole?: boolean
}

/** A route over a device of ours that another program made; gateway null: none, or one of the other family. */
export type LearnedRoute = { prefix: string; metric: number; gateway: Address | null }

/** Devices, addresses and kernel routes. Everything made here is removed by removeAll, except guard blackholes that outlive the process on purpose. */
export interface Routes {
  createDevice(name: string, options: { mtu: number; multicast: boolean }): void
  deleteDevice(name: string): void
  addAddress(device: string, prefix: string): void
  setMtu(device: string, mtu: number): void
  /** operational state: UP when true, DORMANT when false (RFC 2863) */
  setOperational(device: string, up: boolean): void
  addRoute(route: Route): void
  deleteRoute(route: Route): void
  listRoutes(device: string): Route[]
  /** routes over our device that others made, a routing daemon mostly; left out: none */
  learned?(device: string): LearnedRoute[]
  /** blackholes made by this program, now or in an earlier life, whatever their prefix */
  listGuards(): Route[]
  /** those of the routes that the kernel no longer has: it drops them with an address or a device that goes down; left out: none */
  missing?(routes: Route[]): Route[]
  /**
   * told soon after anybody changed devices, addresses, our routes, or routes over a device without multicast, once for
   * many changes; left out: never
   */
  onChange?(handler: () => void): void
  /** whether the kernel would send to remote over this device of ours; left out: never */
  leadsInto?(remote: Address, device: string): boolean
  /** sysctls the product needs and found different, as operator sentences */
  hostFindings(): string[]
  removeAll(): void
}

export interface Clock {
  /** monotonic milliseconds */
  now(): number
  /** wall clock, milliseconds since 1970: only for certificates and logs */
  wall(): number
  /** calls handler once at or after the monotonic deadline; a new call replaces the old one */
  wakeAt(deadline: number, handler: () => void): void
}

export interface Entropy {
  /** fresh random bytes in a buffer of their own */
  bytes(length: number): Uint8Array
}

/** Long public-key work. Rooms return compute(job) and continue on computed(result). */
export interface CryptoJobs {
  run(job: CryptoJob): Promise<CryptoResult>
}

export type DhGroup = 1 | 2 | 5 | 14 | 15 | 16 | 17 | 18 | 19 | 20 | 21 | 31
/** Key encapsulation of FIPS 203, by parameter set. */
export type Kem = 'mlkem-512' | 'mlkem-768' | 'mlkem-1024'
export type SignatureHash = 'sha1' | 'sha256' | 'sha384' | 'sha512'
export type CryptoJob =
  | { kind: 'dh-generate'; group: DhGroup }
  /** peerPublic has passed the checks of RFC 6989 before it comes here */
  | { kind: 'dh-derive'; group: DhGroup; privateValue: Uint8Array; peerPublic: Uint8Array }
  | { kind: 'kem-generate'; kem: Kem }
  /** peerPublic and ciphertext have passed the checks of FIPS 203 §7.2, §7.3 before they come here */
  | { kind: 'kem-encapsulate'; kem: Kem; peerPublic: Uint8Array }
  | { kind: 'kem-decapsulate'; kem: Kem; privateValue: Uint8Array; ciphertext: Uint8Array }
  | { kind: 'sign'; key: PrivateKey; algorithm: SignatureAlgorithm; data: Uint8Array }
  | {
      kind: 'verify'
      spki: Uint8Array
      algorithm: SignatureAlgorithm
      data: Uint8Array
      signature: Uint8Array
    }
export type SignatureAlgorithm = {
  key: 'rsa-pkcs1' | 'rsa-pss' | 'ecdsa' | 'ed25519'
  hash: SignatureHash | 'identity'
}
/** node:crypto KeyObject, opaque here */
export type PrivateKey = import('node:crypto').KeyObject
export type CryptoResult =
  | { kind: 'dh-generate'; publicValue: Uint8Array; privateValue: Uint8Array }
  | { kind: 'dh-derive'; secret: Uint8Array }
  /** privateValue: the seed of 64 bytes, d | z (FIPS 203 §7.1) */
  | { kind: 'kem-generate'; publicValue: Uint8Array; privateValue: Uint8Array }
  | { kind: 'kem-encapsulate'; ciphertext: Uint8Array; secret: Uint8Array }
  | { kind: 'kem-decapsulate'; secret: Uint8Array }
  | { kind: 'sign'; signature: Uint8Array }
  | { kind: 'verify'; valid: boolean }
  | { kind: 'failed'; reason: string }

export interface Files {
  read(path: string): Uint8Array
  /** owner root or the process's user and mode 0600/0640, else throws with an operator sentence */
  readSecret(path: string): Uint8Array
  list(directory: string): string[]
  exists(path: string): boolean
}

/** Files that may also be written: the certificate store. Every fault throws with an operator sentence. */
export interface StoreFiles extends Files {
  /**
   * Puts the whole content in the place of what is there, or nothing at all: a temporary file beside it, fsync, rename,
   * fsync of the directory. Mode 0600; directories that are missing are made with mode 0700. A directory in which
   * anybody may write is refused.
   */
  write(path: string, content: Uint8Array): void
  /** as write, but what is there stays: throws when the path exists */
  create(path: string, content: Uint8Array): void
  remove(path: string): void
}

export interface Resolver {
  resolve(name: string): Promise<Address[]>
}

export type LogLevel = 'debug' | 'info' | 'warning' | 'error'
export type LogFields = { tunnel?: string; reason?: string; [key: string]: unknown }
export interface Log {
  log(level: LogLevel, message: string, fields?: LogFields): void
}
