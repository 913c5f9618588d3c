// The configuration as data: what the parser builds, what the checks judge, what the gateway runs.
// Names and defaults: config-language of this product (README, docs). Every named object carries the
// line of its head, and `lines` the line of each single-valued statement, so that any later refusal can say FILE:LINE.

import type { Address, DhGroup, EspCipher, Integrity, Kem, TunnelMode } from '../ports.ts'

export type IkeCipher = Exclude<EspCipher, 'null'>
export type AuthMethod = 'pre-shared-key' | 'rsa-signature' | 'digital-signature'
export type Identity =
  | { kind: 'address'; value: Address }
  | { kind: 'fqdn' | 'user-fqdn' | 'dn'; value: string }
  | { kind: 'key-id'; value: string } // hex

/**
 * Bytes that never reach a log: text, hex or the content of a file read at load. `value` is not enumerable
 * (secrets.ts makes it so), so JSON, console and assertion messages never show it; a structured clone loses it.
 */
export type SecretSource =
  | { kind: 'text'; value: string }
  | { kind: 'hex'; value: string }
  | { kind: 'file'; path: string }

export type Lined = { name: string; line: number; lines: Record<string, number> }

export type Selector =
  | { kind: 'any'; port?: [number, number] }
  | { kind: 'host' | 'prefix'; value: string; port?: [number, number] }
  | { kind: 'range'; from: Address; to: Address; port?: [number, number] }

export type Interface = Lined & {
  multibind: boolean
  addresses: string[]
  mtu?: number
  shutdown: boolean
}
export type NextHop = { kind: 'interface' | 'tunnel'; name: string } | { kind: 'null0' }
export type StaticRoute = {
  line: number
  prefix: string
  nextHop: NextHop
  distance: number
  source?: Address
  withdraw: boolean
  /** made for the networks of an accepted peer, in no file */
  peer?: boolean
}
export type Context = Lined & { interfaces: Map<string, Interface>; routes: StaticRoute[] }

export type AccessRule = {
  line: number
  sequence: number
  action: 'permit' | 'discard'
  protocol: number // 0 = ip
  local: Selector
  remote: Selector
  class?: string
}
export type AccessList = Lined & { rules: AccessRule[] }

export type IkeProposal = Lined & {
  encryption?: IkeCipher | 'null'
  authentication?: Integrity
  prf?: Integrity
  dhGroup?: DhGroup
  /** in the order of use (RFC 9370) */
  additionalKe: Kem[]
  lifetime: number // seconds, 28800
}

export type IkePolicy = Lined & {
  version: 1 | 2 | 'both'
  mode?: 'main' | 'aggressive'
  proposals: { sequence: number; name: string; line: number }[]
  localAuth: AuthMethod
  remoteAuth: AuthMethod
  psk: { local?: SecretSource; remote?: SecretSource }
  identity?: string
  trust?: string
  localId?: Identity
  remoteId?: Identity | 'any'
  role: 'initiator' | 'responder' | 'both'
  dpd?: { interval: number; retries: number } | 'disable'
  rekeyMargin: { seconds: number; fuzz: number }
  ppk?: { id: string; key: SecretSource; required: boolean }
  mobike: boolean
}

export type IpsecProposal = Lined & {
  espEncryption?: EspCipher
  espAuthentication?: Integrity
  ahAuthentication?: Integrity
  esn: boolean
}

export type IpsecPolicy = Lined & {
  proposals: { sequence: number; name: string; line: number }[]
  pfs?: DhGroup
  /** after the key exchange of `pfs`, in this order (RFC 9370) */
  additionalKe: Kem[]
  lifetime: { seconds: number; kilobytes?: number; packets?: number }
  antiReplay: number // 0 = off
  dfBit: 'copy' | 'set' | 'clear'
  dscp: 'copy' | number
  ecn: 'normal' | 'compatibility'
  tfcPad?: number
}

export type ManualSa = {
  line: number
  direction: 'inbound' | 'outbound'
  protocol: 'esp' | 'ah'
  spi: number
  encryption?: { cipher: EspCipher; key?: SecretSource }
  authentication?: { integrity: Integrity; key?: SecretSource }
}
export type IpsecSa = Lined & { sas: ManualSa[] }

export type QosClass = {
  name: string
  line: number
  priority: number
  matchDscp?: number[]
  markDscp?: number
}
export type QosPolicy = Lined & { classes: QosClass[] }

export type TunnelSelectors =
  | { kind: 'access-list'; name: string; line: number }
  | { kind: 'pair'; protocol: number; local: Selector; remote: Selector; line: number }

export type TunnelConfig = Lined & {
  kind: 'static' | 'on-demand' | 'manual'
  mode: TunnelMode
  local?: Address | 'any'
  remote?: string // address or DNS name
  endPointContext: string // local
  bind?: { interface: string; context: string }
  ikePolicy?: string
  ipsecPolicy: string // 'default' is built in
  manualSas: { sequence: number; name: string; line: number }[]
  selectors: TunnelSelectors[] // empty = any any
  qosPolicy?: string
  maxTunnels?: number
  aspGroup?: string
  mtu?: number
  tcpMss: 'auto' | 'off' | number
  natTraversal: 'auto' | 'force' | 'off'
  start: 'immediate' | 'traffic'
  extranet: boolean
  alarms: boolean
  description?: string
  shutdown: boolean
}

export type AspPool = Lined & { asps: number[] }
export type AspGroup = Lined & { pools: string[]; redundancy: number; onFailureDrop: boolean }

export type Pki = {
  store: string // /etc/asegate/pki
  trust: Map<string, { path: string; line: number }>
  crl: Map<string, { path: string; line: number }>
  identity: Map<string, { key: string; certificate: string; line: number }>
  expiryWarningDays: number // 30
}

export type Config = {
  file: string
  /** every statement that took effect, in order, indented by mode, secrets as `<hidden>` */
  statements: string[]
  lines: Record<string, number> // of the global statements
  legacyCrypto: boolean
  insecureCrypto: string | null // the REASON
  alarmHolddown: number // 30
  keepalive: { interval: number; retries: number } | 'disable'
  ikePort: number // 500
  natTPort: number // 4500
  natKeepalive: number // 20 seconds of silence before a NAT is reminded of us (RFC 3948 §4)
  cookieThreshold: number // 30
  pki: Pki
  contexts: Map<string, Context>
  accessLists: Map<string, AccessList>
  ikeProposals: Map<string, IkeProposal>
  ikePolicies: Map<string, IkePolicy>
  ipsecProposals: Map<string, IpsecProposal>
  ipsecPolicies: Map<string, IpsecPolicy>
  ipsecSas: Map<string, IpsecSa>
  qosPolicies: Map<string, QosPolicy>
  tunnels: Map<string, TunnelConfig>
  aspPools: Map<string, AspPool>
  aspGroups: Map<string, AspGroup>
  security?: Lined & {
    aspGroup?: string
    logServer?: { address: Address; port: number; transport: 'udp' | 'tcp' | 'tls' }
  }
  management?: Lined & {
    listen?: { address: Address; port: number }
    identity?: string
    clientCa?: string
    metrics?: { address: Address; port: number }
    traps: { address: Address; port: number }[]
  }
}

export type Finding = { line: number; code: string; message: string }
export type CheckResult = { config: Config; errors: Finding[]; warnings: Finding[] }
