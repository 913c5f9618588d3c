// The two ends' configurations for the same tunnel, from one description.

import type { SwanConfig } from './strongswan.ts'

export const PSK = 'a shared secret of the interop tests, 45 bytes'

export type Suite = {
  /** our words, and strongSwan's word for the same */
  ike: { encryption: string; hash: string; group: number; swan: string }
  esp: { encryption: string; hash: string; swan: string }
  /** PFS group, null: none */
  pfs: number | null
}

export const AES128_SHA1: Suite = {
  ike: { encryption: 'aes-128', hash: 'sha1', group: 14, swan: 'aes128-sha1-modp2048' },
  esp: { encryption: 'aes-128', hash: 'sha1', swan: 'aes128-sha1' },
  pfs: null,
}

export type OurOptions = {
  suite: Suite
  role: 'initiator' | 'responder' | 'both'
  /** statements of the IKE policy about authentication; default: the PSK */
  authentication?: string[]
  /** statements before everything else */
  globals?: string[]
  /** statements of the IKE policy, the IKE proposal and the IPsec policy */
  policy?: string[]
  proposal?: string[]
  ipsec?: string[]
}

export const OUR_FILES = { psk: PSK }

/** Our file: one circuit tunnel `right` between the two LANs. */
export function ourConfig(options: OurOptions): string {
  const { suite, role } = options
  const lines = (statements: string[]) => statements.map((statement) => ` ${statement}`)
  return [
    ...(options.globals ?? []),
    'context local',
    ' interface t-right',
    ' ip route 10.2.0.0/24 interface t-right',
    'ike proposal suite',
    ...lines([`encryption ${suite.ike.encryption}`, `authentication ${suite.ike.hash}`]),
    ...lines([`prf ${suite.ike.hash}`, `dh-group ${suite.ike.group}`, ...(options.proposal ?? [])]),
    'ike policy peer',
    ...lines(['seq 10 proposal suite', `role ${role}`, ...(options.policy ?? [])]),
    ...lines(options.authentication ?? ['pre-shared-key file psk']),
    'ipsec proposal suite',
    ...lines([`esp encryption ${suite.esp.encryption}`, `esp authentication ${suite.esp.hash}`]),
    'ipsec policy data',
    ...lines(['seq 10 proposal suite', ...(options.ipsec ?? [])]),
    ...lines(suite.pfs === null ? [] : [`perfect-forward-secrecy dh-group ${suite.pfs}`]),
    'tunnel ipsec right',
    ...lines(['peer-end-point local 192.0.2.1 remote 192.0.2.2', 'bind interface t-right local']),
    ...lines(['ike-policy peer', 'ipsec-policy data']),
    ...lines(['traffic-selector local 10.1.0.0/24 remote 10.2.0.0/24', '']),
  ].join('\n')
}

export type SwanOptions = {
  suite: Suite
  /** what the child does by itself: 'none', 'start', 'trap' */
  startAction?: string
  local?: string[]
  remote?: string[]
  psk?: string | null
  files?: Record<string, string>
}

const PFS_WORDS: Record<number, string> = { 14: '-modp2048', 19: '-ecp256', 31: '-curve25519' }

/** strongSwan's half: connection `peer` with the child `net`. */
export function swanConfig(options: SwanOptions): SwanConfig {
  const { suite, psk = PSK } = options
  const pfs = suite.pfs === null ? '' : PFS_WORDS[suite.pfs]!
  const section = (name: string, lines: string[]) => [`${name} {`, ...lines, '}']
  const connection = [
    ...['version = 2', 'local_addrs = 192.0.2.2', 'remote_addrs = 192.0.2.1'],
    ...[`proposals = ${suite.ike.swan}`, 'mobike = no', 'dpd_delay = 5s', 'keyingtries = 0'],
    ...section('local', options.local ?? ['auth = psk']),
    ...section('remote', options.remote ?? ['auth = psk']),
    ...section('children', [
      'net {',
      ...['local_ts = 10.2.0.0/24', 'remote_ts = 10.1.0.0/24', `esp_proposals = ${suite.esp.swan}${pfs}`],
      ...[`start_action = ${options.startAction ?? 'none'}`, 'dpd_action = clear', 'close_action = none'],
      '}',
    ]),
  ].join('\n')
  const secrets = psk === null ? '' : `ike-1 {\nsecret = "${psk}"\n}`
  return { connection, secrets, files: options.files }
}
