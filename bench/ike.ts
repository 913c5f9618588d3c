// `bench ike`: IKE_SAs a second that one end can bring up on one core, by authentication, group and role.
//
// The reference is the same public-key work done by node:crypto alone, interleaved with the handshakes: what is left
// between the two is ours (messages, proposals, key derivation, certificates). strongSwan's figures are CPU time per
// IKE_SA and role, measured with its load-tester on a machine of this kind; they are for orientation.

import {
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import type { DhGroup } from '../control/ports.ts'
import { type HandshakeJobs, type IkeAuth, IkePair, type IkeRole } from './ike-pair.ts'
import { processTime } from './process-clock.ts'
import { median } from './rounds.ts'

/** One line: IKE_SAs a second of one core, this end alone. */
export type IkeRow = {
  auth: IkeAuth
  dhGroup: DhGroup
  role: IkeRole
  perSecond: number
  /** the same for the public-key work alone */
  reference: number
  /** perSecond / reference, median over alternating rounds */
  ratio: number
  /** IKE_SAs a second of strongSwan 5.9.8, one core, this role; null: not measured */
  strongswan: number | null
}

const CASES: readonly HandshakeJobs[] = [
  { auth: 'psk', dhGroup: 14 },
  { auth: 'psk', dhGroup: 31 },
  { auth: 'psk', dhGroup: 19 },
  { auth: 'rsa-2048', dhGroup: 14 },
  { auth: 'rsa-2048', dhGroup: 31 },
]
const ROLES: readonly IkeRole[] = ['initiator', 'responder']

/** handshakes a round, and before the first one */
const PER_ROUND = 5
const WARM_UP = 40

const STRONGSWAN: Readonly<Record<string, number>> = {
  'psk 14 initiator': 227,
  'psk 14 responder': 222,
  'rsa-2048 14 initiator': 149,
  'rsa-2048 14 responder': 167,
}

/** Measures every case whose name (`psk 14`) holds one of the texts. */
export async function benchIke(
  selects: (name: string) => boolean,
  rounds: number,
  announce: (row: IkeRow) => void,
): Promise<IkeRow[]> {
  const rows: IkeRow[] = []
  for (const each of CASES.filter(({ auth, dhGroup }) => selects(`${auth} ${dhGroup}`))) {
    for (const row of await measure(each, rounds)) {
      rows.push(row)
      announce(row)
    }
  }
  return rows
}

async function measure(jobs: HandshakeJobs, rounds: number): Promise<IkeRow[]> {
  const pair = new IkePair(jobs, WARM_UP + rounds * PER_ROUND)
  const reference = referenceFor(jobs)
  const spent: Record<IkeRole | 'reference', number[]> = { initiator: [], responder: [], reference: [] }
  for (let count = 0; count < WARM_UP; count++) {
    await pair.handshake()
    reference()
  }
  while (pair.left > 0) {
    const sum = { initiator: 0, responder: 0, reference: 0 }
    for (let count = 0; count < PER_ROUND; count++) {
      const { initiator, responder } = await pair.handshake()
      sum.initiator += initiator
      sum.responder += responder
    }
    for (let count = 0; count < PER_ROUND; count++) sum.reference += reference()
    for (const [name, list] of Object.entries(spent)) list.push(sum[name as IkeRole] / PER_ROUND)
  }
  return ROLES.map((role) => rowOf(jobs, role, spent[role], spent.reference))
}

function rowOf(
  { auth, dhGroup }: HandshakeJobs,
  role: IkeRole,
  spent: readonly number[],
  reference: readonly number[],
): IkeRow {
  return {
    auth,
    dhGroup,
    role,
    perSecond: 1000 / median(spent),
    reference: 1000 / median(reference),
    ratio: median(spent.map((milliseconds, round) => reference[round] / milliseconds)),
    strongswan: STRONGSWAN[`${auth} ${dhGroup} ${role}`] ?? null,
  }
}

/** The type definitions leave out 'dh' with a named group. */
const makePair = generateKeyPairSync as unknown as (
  type: string,
  options: { group?: string; namedCurve?: string },
) => { publicKey: KeyObject; privateKey: KeyObject }

/** Public-key work of one end of one handshake; the CPU milliseconds it took. */
function referenceFor({ auth, dhGroup }: HandshakeJobs): () => number {
  const pairOf = () => {
    if (dhGroup === 31) return makePair('x25519', {})
    return dhGroup === 14 ? makePair('dh', { group: 'modp14' }) : makePair('ec', { namedCurve: 'P-256' })
  }
  const peer = pairOf()
  const rsa = auth === 'psk' ? null : generateKeyPairSync('rsa', { modulusLength: 2048 })
  const data = new Uint8Array(600)
  const signature = rsa && sign('sha256', data, rsa.privateKey)
  const spki = rsa?.publicKey.export({ format: 'der', type: 'spki' })
  return () => {
    const before = processTime()
    diffieHellman({ privateKey: pairOf().privateKey, publicKey: peer.publicKey })
    if (rsa && signature && spki) {
      sign('sha256', data, rsa.privateKey)
      const key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
      verify('sha256', data, key, signature) // AUTH
      verify('sha256', data, key, signature) // the certificate
    }
    return processTime() - before
  }
}

const WIDTHS = [10, 6, 11, -10, -11, -7, -12] as const

const fitted = (text: string, width: number) => (width < 0 ? text.padStart(-width) : text.padEnd(width))
const row = (cells: readonly string[]) => cells.map((cell, index) => fitted(cell, WIDTHS[index])).join('')

export const ikeHeading = row(['auth', 'group', 'role', 'IKE_SA/s', 'node alone', 'ratio', 'strongSwan'])

export function ikeLine({ auth, dhGroup, role, perSecond, reference, ratio, strongswan }: IkeRow): string {
  return row([
    auth,
    String(dhGroup),
    role,
    perSecond.toFixed(0),
    reference.toFixed(0),
    ratio.toFixed(2),
    strongswan === null ? '-' : String(strongswan),
  ])
}

const BAR = 40

/** IKE_SAs a second as bars, one a row. */
export function ikeChart(rows: readonly IkeRow[]): string {
  const most = Math.max(1, ...rows.map(({ perSecond }) => perSecond))
  const lines = rows.map(({ auth, dhGroup, role, perSecond }) => {
    const bar = '█'.repeat(Math.round((perSecond / most) * BAR))
    return `${`${auth} ${dhGroup} ${role}`.padEnd(26)}${bar} ${perSecond.toFixed(0)}`
  })
  return ['IKE_SAs a second, one core, this end alone', ...lines].join('\n')
}

/** The JSON contract, one line. */
export function ikeJson(rows: readonly IkeRow[]): string {
  const short = (value: number) => Number(value.toPrecision(4))
  const data = rows.map((each) => ({
    ...each,
    perSecond: short(each.perSecond),
    reference: short(each.reference),
    ratio: short(each.ratio),
  }))
  return JSON.stringify({ ok: true, data: { rows: data } })
}
