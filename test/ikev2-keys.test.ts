// IKE_AUTH with every kind of key that a certificate may hold (RFC 7427, RFC 8420), between two engines.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  createCa,
  createCrl,
  issueCertificate,
  type KeyKind,
  makeKey,
  serialOf,
} from '../control/pki/make.ts'
import { decodePem } from '../control/pki/pem.ts'
import type { CryptoJob } from '../control/ports.ts'
import type { LocalCertificate, PeerConfig } from '../control/sa/contract.ts'
import { assertUp, IkeBed } from './support/ike-bed.ts'
import { peerA, peerB, wallNow } from './support/ike-peers.ts'

const kinds = ['rsa-2048', 'p256', 'p384', 'p521', 'ed25519'] as const satisfies KeyKind[]
const auth = {
  localAuth: 'digital-signature',
  remoteAuth: 'digital-signature',
  localPsk: null,
  remotePsk: null,
} as const

type Party = { certificate: LocalCertificate; ca: ReturnType<typeof createCa> }

/** A gateway with a certificate of its own CA, both of one kind of key. */
function party(kind: KeyKind, name: string): Party {
  const ca = createCa({ subject: `CN=ca of ${name}`, now: wallNow, key: makeKey(kind) })
  const key = makeKey(kind)
  const altNames = [{ kind: 'fqdn', value: name } as const]
  const pem = issueCertificate({ ca, subject: `CN=${name}`, altNames, publicKey: key, now: wallNow })
  const [{ der }] = decodePem(new TextEncoder().encode(pem))!
  return { certificate: { key, chain: [der] }, ca }
}

const trustIn = ({ ca }: Party) => [{ name: 'peer', der: ca.der }]

function connect(a: Party, b: Party, change: Partial<PeerConfig> = {}): { bed: IkeBed; jobs: CryptoJob[] } {
  const bed = new IkeBed().configure(
    { ...peerA(auth), certificate: a.certificate, trust: trustIn(b), ...change },
    { ...peerB(auth), certificate: b.certificate, trust: trustIn(a), ...change },
  )
  const jobs: CryptoJob[] = []
  bed.a.initiate()
  do {
    for (const side of [bed.a, bed.b])
      for (let next = side.jobs[0]; next; next = side.jobs[0]) {
        jobs.push(next.job)
        bed.compute(side)
      }
  } while (bed.deliver())
  return { bed, jobs }
}

describe('every pair of kinds authenticates', () => {
  const parties = kinds.map((kind) => ({
    kind,
    a: party(kind, 'a.example.net'),
    b: party(kind, 'b.example.net'),
  }))
  const hashes = { 'rsa-2048': 'sha256', p256: 'sha256', p384: 'sha384', p521: 'sha512', ed25519: 'identity' }
  for (const ours of parties)
    for (const theirs of parties)
      test(`${ours.kind} against ${theirs.kind}`, () => {
        const { bed, jobs } = connect(ours.a, theirs.b)
        assertUp(bed)
        const used = jobs.flatMap((job) => (job.kind === 'verify' ? [job.algorithm.hash as string] : []))
        assert.deepEqual(new Set(used), new Set([hashes[ours.kind], hashes[theirs.kind]]))
      })

  test('a revoked certificate is refused by its CA’s list, whatever the key', () => {
    for (const { a, b } of parties) {
      const revoked = [{ serial: serialOf(a.certificate.chain[0]) }]
      const { bed } = connect(a, b, { crls: [createCrl({ ca: a.ca, revoked, now: wallNow - 1000 }).der] })
      assert.deepEqual([bed.a.installed.size, bed.b.up.size], [0, 0])
      assert.match(bed.b.reports.map(({ text }) => text).join(), /revoked/)
    }
  })
})
