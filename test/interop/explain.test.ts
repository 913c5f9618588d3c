// What our gateway says when a negotiation with strongSwan 5.9.8 fails: one sentence that names the cause, in
// `show tunnel ipsec NAME detail` and in the log, for each of the usual mistakes.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  createCa,
  createCrl,
  issueCertificate,
  type MadeCertificate,
  makeKey,
  privateKeyPem,
  serialOf,
} from '../../control/pki/make.ts'
import { decodePem } from '../../control/pki/pem.ts'
import { storePaths } from '../../control/pki/store.ts'
import { type Bed, type BedOptions, interopTest, withBed } from './bed.ts'
import { AES128_SHA1, OUR_FILES, ourConfig, type Suite, swanConfig } from './config.ts'

const PATIENCE = 60_000 // ms
const LEFT = 'left.example.net'
const RIGHT = 'right.example.net'

type Report = { text: string; code: string; explanation: Record<string, unknown> }

/** Lets strongSwan begin; it fails, which is what is wanted. */
function theyInitiate(bed: Bed): void {
  assert.throws(() => bed.peer.swanctl('--initiate', '--child', 'net', '--timeout', '5'))
}

/** Waits for a report with this sentence; it must be in the log as well, with tunnel and reason. */
async function assertSaid(bed: Bed, code: string, sentence: RegExp): Promise<Report> {
  const deadline = performance.now() + PATIENCE
  for (;;) {
    const [detail] = await bed.rows('show tunnel ipsec right detail')
    const reports = detail.reports as Report[]
    const found = reports.find((report) => report.code === code && sentence.test(report.text))
    if (found) return assertLogged(bed, found)
    assert.notEqual(detail.state, 'up')
    const told = reports.map(({ text }) => text).join('\n')
    assert.ok(performance.now() < deadline, `nothing said like ${sentence}, but:\n${told}\n${bed.peer.log()}`)
    await sleep(100)
  }
}

async function assertLogged(bed: Bed, { text, code }: Report): Promise<Report> {
  const lines = await bed.rows('show log last 1000 tunnel right')
  const line = lines.find(({ message }) => String(message).includes(text))
  assert.equal(line?.reason, code)
  const [detail] = await bed.rows('show tunnel ipsec right detail')
  return (detail.reports as Report[]).find((report) => report.text === text) as Report
}

interopTest('a wrong PSK is explained, whoever initiates', async () => {
  const options: BedOptions = {
    config: ourConfig({ suite: AES128_SHA1, role: 'both' }),
    files: { psk: 'not what the peer has configured' },
    swan: swanConfig({ suite: AES128_SHA1 }),
  }
  await withBed(options, async (bed) => {
    await assertSaid(
      bed,
      'auth-failed',
      /^the peer answered IKE_AUTH with AUTHENTICATION_FAILED: it does not accept us as address 192\.0\.2\.1 with our pre-shared key$/,
    )
    theyInitiate(bed)
    const { explanation } = await assertSaid(
      bed,
      'auth-failed',
      /^authentication of the peer failed: the pre-shared key differs from ours for address 192\.0\.2\.2$/,
    )
    assert.equal(explanation.fault, 'pre-shared-key')
  })
})

interopTest('a wrong group is explained, whoever initiates', async () => {
  const theirs: Suite = { ...AES128_SHA1, ike: { ...AES128_SHA1.ike, swan: 'aes128-sha1-modp3072' } }
  const options: BedOptions = {
    config: ourConfig({ suite: AES128_SHA1, role: 'both' }),
    files: OUR_FILES,
    swan: swanConfig({ suite: theirs }),
  }
  await withBed(options, async (bed) => {
    await assertSaid(
      bed,
      'no-proposal',
      /^the peer answered IKE_SA_INIT with NO_PROPOSAL_CHOSEN: it takes none of our proposals/,
    )
    theyInitiate(bed)
    const { explanation } = await assertSaid(
      bed,
      'no-proposal',
      /^no IKE proposal in common: proposal 1 lacks dh-group group-14 \(it has group-15\)$/,
    )
    const [proposal] = explanation.proposals as { differs: unknown }[]
    assert.deepEqual(proposal.differs, [{ type: 'dh-group', offered: ['group-15'], allowed: ['group-14'] }])
  })
})

interopTest('selectors that share nothing are explained, whoever initiates', async () => {
  const config = ourConfig({ suite: AES128_SHA1, role: 'both' })
  const swan = swanConfig({ suite: AES128_SHA1 })
  const options: BedOptions = {
    config,
    files: OUR_FILES,
    swan: {
      ...swan,
      connection: swan.connection.replace('remote_ts = 10.1.0.0/24', 'remote_ts = 10.7.0.0/24'),
    },
  }
  await withBed(options, async (bed) => {
    await assertSaid(
      bed,
      'ts-unacceptable',
      /with TS_UNACCEPTABLE: it shares nothing with local 10\.1\.0\.0\/24 remote 10\.2\.0\.0\/24$/,
    )
    theyInitiate(bed)
    const { explanation } = await assertSaid(
      bed,
      'ts-unacceptable',
      /^the traffic selectors of both ends share nothing: local: the peer has 10\.7\.0\.0\/24, here is 10\.1\.0\.0\/24$/,
    )
    assert.deepEqual(explanation.common, { local: [], remote: ['10.2.0.0/24'] })
  })
})

// ---- certificates: strongSwan presents one that we must not believe

type Own = { key: string; pem: string }

function certificate(ca: MadeCertificate, name: string, now = Date.now(), days = 30): Own {
  const key = makeKey('rsa-2048')
  const altNames = [{ kind: 'fqdn' as const, value: name }]
  const pem = issueCertificate({
    ca,
    subject: `O=Interop, CN=${name}`,
    now,
    days,
    publicKey: key,
    altNames,
  })
  return { key: privateKeyPem(key), pem }
}

/** Both sign; `theirs` is what strongSwan presents. */
function signing(ca: MadeCertificate, theirs: Own, crl?: string): BedOptions {
  const ours = certificate(ca, LEFT)
  const paths = storePaths('pki', 'left')
  const authentication = [
    ...['local-auth rsa-signature', 'remote-auth rsa-signature', 'identity left', 'trust ca'],
    ...[`local-id fqdn ${LEFT}`, `remote-id fqdn ${RIGHT}`],
  ]
  return {
    config: ourConfig({
      suite: AES128_SHA1,
      role: 'initiator',
      globals: ['pki store pki'],
      authentication,
    }),
    files: {
      [paths.privateKey]: ours.key,
      [paths.certificate]: ours.pem,
      [storePaths('pki', 'ca').trust]: ca.certificate,
      ...(crl === undefined ? {} : { [storePaths('pki', 'ca').crl]: crl }),
    },
    swan: swanConfig({
      suite: AES128_SHA1,
      psk: null,
      local: ['auth = pubkey', 'certs = right.pem', `id = ${RIGHT}`],
      remote: ['auth = pubkey', `id = ${LEFT}`, 'cacerts = ca.pem'],
      files: {
        'x509/right.pem': theirs.pem,
        'x509ca/ca.pem': ca.certificate,
        'private/right.pem': theirs.key,
      },
    }),
  }
}

const makeCa = (subject: string) => createCa({ subject, now: Date.now(), key: makeKey('rsa-2048') })
const DAY = 86_400_000

interopTest('an expired, a revoked and a foreign certificate are explained', async () => {
  const ca = makeCa('O=Interop, CN=CA')
  const revoked = certificate(ca, RIGHT)
  const [{ der }] = decodePem(new TextEncoder().encode(revoked.pem))!
  const { crl } = createCrl({ ca, revoked: [{ serial: serialOf(der) }], now: Date.now() - 60_000 })
  const cases: [fault: string, options: BedOptions, sentence: RegExp][] = [
    [
      'certificate-expired',
      signing(ca, certificate(ca, RIGHT, Date.now() - 40 * DAY, 30)),
      /certificate "O=Interop, CN=right\.example\.net": the certificate has expired \(\d{4}-\d\d-\d\d \d\d:\d\d\)$/,
    ],
    [
      'certificate-revoked',
      signing(ca, revoked, crl),
      /certificate "O=Interop, CN=right\.example\.net": the certificate is revoked by a fresh CRL of its issuer$/,
    ],
    [
      'certificate-untrusted',
      signing(ca, certificate(makeCa('O=Elsewhere, CN=CA'), RIGHT)),
      /: no path leads from the certificate to a trusted CA \(issued by "O=Elsewhere, CN=CA"\)$/,
    ],
  ]
  for (const [fault, options, sentence] of cases)
    await withBed(options, async (bed) => {
      const report = await assertSaid(bed, 'auth-failed', sentence)
      assert.equal(report.explanation.fault, fault)
      assert.equal(report.explanation.identity, `fqdn ${RIGHT}`)
    })
})
