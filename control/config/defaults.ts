// What stands where the configuration says nothing.
//
// "ipsec-policy default ... empty: anti-replay 64, ..., no padding, PFS, ESN" is read as no padding, no PFS and no
// ESN: the policy is empty, and each of the three is switched on by a statement that it does not hold.

import type {
  AspGroup,
  AspPool,
  Config,
  Context,
  IkePolicy,
  IkeProposal,
  Interface,
  IpsecPolicy,
  IpsecProposal,
  Lined,
  TunnelConfig,
} from './model.ts'

export const DEFAULT_IPSEC_POLICY = 'default'
export const LOCAL_CONTEXT = 'local'
export const SHARED_DEVICE = 'ase0'
export const DEFAULT_STORE = '/etc/asegate/pki'
export const DEFAULT_MTU = 1400
export const DEFAULT_ASPS: readonly number[] = [1, 2]
export const DEFAULT_NATT_PORT = 4500
export const DEFAULT_DPD_RETRIES = 3
export const DEFAULT_REKEY_FUZZ = 100
export const LOG_SERVER_PORT = 514
export const TRAP_PORT = 162

/** A configuration without a statement. */
export function emptyConfig(file: string): Config {
  return {
    file,
    statements: [],
    lines: {},
    legacyCrypto: false,
    insecureCrypto: null,
    alarmHolddown: 30,
    keepalive: { interval: 30, retries: DEFAULT_DPD_RETRIES },
    ikePort: 500,
    natTPort: DEFAULT_NATT_PORT,
    natKeepalive: 20,
    cookieThreshold: 30,
    pki: {
      store: DEFAULT_STORE,
      trust: new Map(),
      crl: new Map(),
      identity: new Map(),
      expiryWarningDays: 30,
    },
    contexts: new Map(),
    accessLists: new Map(),
    ikeProposals: new Map(),
    ikePolicies: new Map(),
    ipsecProposals: new Map(),
    ipsecPolicies: new Map([[DEFAULT_IPSEC_POLICY, newIpsecPolicy(DEFAULT_IPSEC_POLICY, 0)]]),
    ipsecSas: new Map(),
    qosPolicies: new Map(),
    tunnels: new Map(),
    aspPools: new Map(),
    aspGroups: new Map(),
  }
}

/** The part that every named object shares; `line` is that of its head. */
export function lined(name: string, line: number): Lined {
  return { name, line, lines: {} }
}

export function newContext(name: string, line: number): Context {
  return { ...lined(name, line), interfaces: new Map(), routes: [] }
}

export function newInterface(name: string, line: number): Interface {
  return { ...lined(name, line), multibind: false, addresses: [], shutdown: false }
}

export function newIkeProposal(name: string, line: number): IkeProposal {
  return { ...lined(name, line), additionalKe: [], lifetime: 28_800 }
}

export function newIkePolicy(name: string, line: number): IkePolicy {
  return {
    ...lined(name, line),
    version: 2,
    proposals: [],
    localAuth: 'pre-shared-key',
    remoteAuth: 'pre-shared-key',
    psk: {},
    role: 'both',
    rekeyMargin: { seconds: 300, fuzz: DEFAULT_REKEY_FUZZ },
    mobike: false,
  }
}

export function newIpsecProposal(name: string, line: number): IpsecProposal {
  return { ...lined(name, line), esn: false }
}

export function newIpsecPolicy(name: string, line: number): IpsecPolicy {
  return {
    ...lined(name, line),
    proposals: [],
    lifetime: { seconds: 3600 },
    additionalKe: [],
    antiReplay: 64,
    dfBit: 'copy',
    dscp: 'copy',
    ecn: 'normal',
  }
}

export function newTunnel(name: string, line: number): TunnelConfig {
  return {
    ...lined(name, line),
    kind: 'static',
    mode: 'circuit',
    endPointContext: LOCAL_CONTEXT,
    ipsecPolicy: DEFAULT_IPSEC_POLICY,
    manualSas: [],
    selectors: [],
    tcpMss: 'auto',
    natTraversal: 'auto',
    start: 'immediate',
    extranet: false,
    alarms: false,
    shutdown: false,
  }
}

export function newAspPool(name: string, line: number): AspPool {
  return { ...lined(name, line), asps: [] }
}

export function newAspGroup(name: string, line: number): AspGroup {
  return { ...lined(name, line), pools: [], redundancy: 0, onFailureDrop: true }
}
