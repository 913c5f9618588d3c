// Two matching tunnel configurations for engines in one process, and certificates for them.

import type { Identity } from '../../control/config/model.ts'
import { createCa, issueCertificate, type MadeCertificate, makeKey } from '../../control/pki/make.ts'
import { decodePem } from '../../control/pki/pem.ts'
import type { TrafficSelector } from '../../control/ports.ts'
import type { ChildSuite, IkeSuite, LocalCertificate, PeerConfig } from '../../control/sa/contract.ts'
import { addressBytes } from '../../control/wire/address.ts'

export const suite: IkeSuite = { encryption: 'aes-128', integrity: 'sha256', prf: 'sha256', dhGroup: 31 }
export const childSuite: ChildSuite = { cipher: 'aes-128', integrity: 'sha1', esn: false, dhGroup: null }

/** Inclusive range of one family, any protocol and port. */
export function range(from: string, to: string): TrafficSelector {
  const start = addressBytes(from)!
  return {
    family: start.length === 4 ? 4 : 6,
    protocol: 0,
    startPort: 0,
    endPort: 65535,
    start,
    end: addressBytes(to)!,
  }
}

export const netA = range('10.1.0.0', '10.1.0.255')
export const netB = range('10.2.0.0', '10.2.0.255')

const key = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))
const idA: Identity = { kind: 'fqdn', value: 'a.example.net' }
const idB: Identity = { kind: 'fqdn', value: 'b.example.net' }

/** Settings of both ends; `a` sees itself as local. */
export type Common = Partial<PeerConfig> & { psk?: string }

function baseOf(
  common: Common,
): Omit<PeerConfig, 'local' | 'remote' | 'localId' | 'remoteId' | 'localSelectors' | 'remoteSelectors'> {
  const { psk = 'a secret of thirty-two characters', ...rest } = common
  return {
    tunnel: 't',
    localAuth: 'pre-shared-key',
    remoteAuth: 'pre-shared-key',
    localPsk: key(psk),
    remotePsk: key(psk),
    certificate: null,
    trust: [],
    crls: [],
    allowSha1Signatures: false,
    ikeProposals: [suite],
    ikeLifetime: 28_800,
    childProposals: [childSuite],
    childLifetime: { seconds: 3_600, bytes: 0, packets: 0 },
    rekeyMargin: { seconds: 300, fuzz: 100 },
    replayWindow: 64,
    role: 'both',
    dpd: { interval: 30, retries: 3 },
    natTraversal: 'auto',
    natTPort: 4500,
    ...rest,
  }
}

export function peerA(common: Common = {}): PeerConfig {
  return {
    local: '192.0.2.1',
    remote: { address: '192.0.2.2', port: 500 },
    localId: idA,
    remoteId: idB,
    localSelectors: [netA],
    remoteSelectors: [netB],
    ...baseOf(common),
  }
}

export function peerB(common: Common = {}): PeerConfig {
  return {
    local: '192.0.2.2',
    remote: { address: '192.0.2.1', port: 500 },
    localId: idB,
    remoteId: idA,
    localSelectors: [netB],
    remoteSelectors: [netA],
    ...baseOf(common),
  }
}

/** Wall clock of the bed's default: certificates are made around it. */
export const wallNow = Date.UTC(2026, 10, 23)

let shared: MadeCertificate | null = null

/** One CA for all tests of a file: RSA keys cost time. */
export function testCa(): MadeCertificate {
  shared ??= createCa({ subject: 'O=Test, CN=Test CA', now: wallNow, key: makeKey('rsa-2048') })
  return shared
}

export type CertificateOptions = {
  ca?: MadeCertificate
  days?: number
  now?: number
  name?: string
  kind?: 'rsa-2048' | 'p256'
}

/** Certificate and key whose subjectAltName is the given host name. */
export function certificateFor(name: string, options: CertificateOptions = {}): LocalCertificate {
  const ca = options.ca ?? testCa()
  const privateKey = makeKey(options.kind ?? 'rsa-2048')
  const pem = issueCertificate({
    ca,
    subject: `O=Test, CN=${name}`,
    altNames: [{ kind: 'fqdn', value: options.name ?? name }],
    publicKey: privateKey,
    now: options.now ?? wallNow,
    ...(options.days === undefined ? {} : { days: options.days }),
  })
  const [block] = decodePem(new TextEncoder().encode(pem))!
  return { key: privateKey, chain: [block.der] }
}
