// Each failed negotiation names its cause in one sentence and explains itself as data, at both ends (docs/reports.md).

import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import {
  createCa,
  createCrl,
  issueCertificate,
  type MadeCertificate,
  makeKey,
  privateKeyPem,
  serialOf,
} from '../control/pki/make.ts'
import { decodePem } from '../control/pki/pem.ts'
import { Bed, BedFiles, BedWire, pass } from './gateway-bed.ts'
import { circuit, LEFT, pair, RIGHT, type Site } from './gateway-pair.ts'

type Row = Record<string, unknown>
type Explained = { cause: string; report: Row; explanation: Row; line: string }

/** Runs both gateways until `a` has tried, and reads what each says about it. */
async function explain(
  a: Bed,
  b: Bed,
  wire: BedWire,
): Promise<{ initiator: Explained; responder: Explained }> {
  a.gateway.start()
  b.gateway.start()
  await pass(8_000, wire, a, b)
  for (const bed of [a, b]) assert.notEqual((await bed.ask('show tunnel ipsec'))[0].state, 'up')
  return { initiator: await explained(a), responder: await explained(b) }
}

async function explained(bed: Bed): Promise<Explained> {
  const [detail] = await bed.ask('show tunnel ipsec t detail')
  const report = (detail.reports as Row[]).at(-1) as Row
  assert.ok(report, bed.lines.join(''))
  const lines = bed.lines.filter((line) => line.includes(String(report.text)))
  assert.ok(lines.length > 0, bed.lines.join(''))
  assert.ok(lines.every((line) => line.includes(' tunnel=t ') && line.includes(` reason=${report.code} `)))
  const explanation = report.explanation as Row
  return { cause: String(detail.cause), report, explanation, line: lines[0] }
}

const WAITS: Site = { policy: ' role responder' }

describe('proposals', () => {
  test('a wrong group', async () => {
    const { a, b, wire } = pair({}, WAITS)
    b.gateway.reload(
      b.config(circuit(RIGHT, LEFT, '10.1.0.0/16', WAITS).replace('dh-group 31', 'dh-group 14')),
    )
    const { initiator, responder } = await explain(a, b, wire)
    assert.equal(
      responder.report.text,
      'no IKE proposal in common: proposal 1 lacks dh-group group-14 (it has group-31)',
    )
    assert.deepEqual(responder.explanation, {
      kind: 'proposals',
      protocol: 'ike',
      proposals: [
        {
          number: 1,
          offered: 'ike: aes-128, prf-sha1, sha1, group-31',
          nearest: 'ike: aes-128, prf-sha1, sha1, group-14',
          differs: [{ type: 'dh-group', offered: ['group-31'], allowed: ['group-14'] }],
          fault: null,
        },
      ],
    })
    assert.match(
      initiator.cause,
      /^the peer answered IKE_SA_INIT with NO_PROPOSAL_CHOSEN: it takes none of our proposals/,
    )
    assert.deepEqual(initiator.explanation.sent, {
      what: 'proposals',
      proposals: ['ike: aes-128, prf-sha1, sha1, group-31'],
      wantedGroup: null,
    })
  })

  test('a wrong cipher and hash of ESP', async () => {
    const { a, b, wire } = pair({}, WAITS)
    const text = circuit(RIGHT, LEFT, '10.1.0.0/16', WAITS)
    b.gateway.reload(
      b.config(
        text.replace(
          'esp encryption aes-128\n esp authentication sha1',
          'esp encryption aes-256\n esp authentication sha256',
        ),
      ),
    )
    const { initiator, responder } = await explain(a, b, wire)
    assert.equal(
      responder.report.text,
      'no IPsec proposal in common: proposal 1 lacks encryption aes-256 (it has aes-128) and authentication sha256 (it has sha1)',
    )
    assert.equal(responder.explanation.protocol, 'esp')
    assert.match(
      initiator.cause,
      /^the peer answered (IKE_AUTH|CREATE_CHILD_SA) with NO_PROPOSAL_CHOSEN: it takes none of our proposals$/,
    )
  })
})

test('selectors that share nothing: ours, theirs and the intersection', async () => {
  const { a, b, wire } = pair(
    {
      tunnel:
        ' traffic-selector local 10.1.0.0/16 remote 10.2.0.0/16\n traffic-selector local 10.5.0.0/16 remote 10.2.0.0/16',
    },
    { ...WAITS, tunnel: ' traffic-selector local 10.9.0.0/16 remote 10.1.0.0/17' },
  )
  const { initiator, responder } = await explain(a, b, wire)
  assert.equal(
    responder.report.text,
    'the traffic selectors of both ends share nothing: local: the peer has 10.2.0.0/16, here is 10.9.0.0/16',
  )
  assert.deepEqual(responder.explanation, {
    kind: 'selectors',
    offered: { local: ['10.2.0.0/16'], remote: ['10.1.0.0/16', '10.5.0.0/16'] },
    allowed: [{ tunnel: 't', local: ['10.9.0.0/16'], remote: ['10.1.0.0/17'] }],
    common: { local: [], remote: ['10.1.0.0/17'] },
  })
  assert.match(
    initiator.cause,
    /with TS_UNACCEPTABLE: it shares nothing with local 10\.1\.0\.0\/16 10\.5\.0\.0\/16 remote 10\.2\.0\.0\/16$/,
  )
  assert.equal((await a.ask('show tunnel ipsec'))[0].reason, 'ts-unacceptable')
})

describe('authentication', () => {
  test('a wrong pre-shared key', async () => {
    const { a, b, wire } = pair(
      { psk: 'one key that is long enough' },
      { ...WAITS, psk: 'another key that is long' },
    )
    const { initiator, responder } = await explain(a, b, wire)
    assert.equal(
      responder.report.text,
      `authentication of the peer failed: the pre-shared key differs from ours for address ${LEFT}`,
    )
    assert.deepEqual(responder.explanation, {
      kind: 'authentication',
      identity: `address ${LEFT}`,
      fault: 'pre-shared-key',
      method: 'a pre-shared key',
      expected: 'pre-shared-key',
      searched: [{ tunnel: 't', remoteId: `address ${LEFT}`, proof: 'pre-shared-key' }],
    })
    assert.equal(
      initiator.cause,
      `the peer answered IKE_AUTH with AUTHENTICATION_FAILED: it does not accept us as address ${LEFT} with our pre-shared key`,
    )
    for (const bed of [a, b]) assert.ok(!bed.lines.join('').includes('long enough'))
  })

  test('an identity that no tunnel expects', async () => {
    const { a, b, wire } = pair({ policy: ' local-id fqdn mallory.example' }, WAITS)
    const { responder } = await explain(a, b, wire)
    assert.match(String(responder.report.text), /failed: no tunnel here expects fqdn mallory\.example$/)
    assert.deepEqual(responder.explanation.searched, [
      { tunnel: 't', remoteId: `address ${LEFT}`, proof: 'pre-shared-key' },
    ])
  })
})

describe('certificates', () => {
  const now = Date.UTC(2026, 10, 23)
  const DAY = 86_400_000
  let ca: MadeCertificate
  let foreign: MadeCertificate

  before(() => {
    ca = createCa({ subject: 'O=Provider, CN=CA', now, key: makeKey('p256') })
    foreign = createCa({ subject: 'O=Elsewhere, CN=CA', now, key: makeKey('p256') })
  })

  /** A gateway whose certificate was issued by `issuer` so many days before now, for `days`. */
  function gateway(name: 'a' | 'b', wire: BedWire, issuer = ca, age = 0, days = 825): Bed {
    const [address, remote, net, other] =
      name === 'a' ? [LEFT, RIGHT, '10.2.0.0/16', 'b'] : [RIGHT, LEFT, '10.1.0.0/16', 'a']
    const key = makeKey('rsa-2048')
    const altNames = [{ kind: 'fqdn' as const, value: `${name}.example` }]
    const subject = `O=Provider, CN=${name}`
    const pem = issueCertificate({
      ca: issuer,
      subject,
      altNames,
      publicKey: key,
      now: now - age * DAY,
      days,
    })
    const files = new BedFiles()
    files.set('/etc/asegate/pki/private/me.pem', privateKeyPem(key))
    files.set('/etc/asegate/pki/certs/me.pem', pem)
    files.set('/etc/asegate/pki/trust/ca.pem', ca.certificate)
    files.set('/etc/asegate/crl.pem', createCrl({ ca, revoked: [], now: now - DAY }).crl)
    const policy = ` local-auth rsa-signature
 remote-auth rsa-signature
 identity me
 trust ca
 local-id fqdn ${name}.example
 remote-id fqdn ${other}.example
${name === 'b' ? ' role responder' : ''}`
    const text = circuit(address, remote, net, { policy, global: 'pki crl ca file crl.pem' }).replace(
      / pre-shared-key .*\n/,
      '',
    )
    return new Bed(text, { wire, address, files })
  }

  test('expired', async () => {
    const wire = new BedWire()
    const { initiator, responder } = await explain(gateway('a', wire, ca, 40, 30), gateway('b', wire), wire)
    assert.match(
      String(responder.report.text),
      /^authentication of the peer failed: certificate "O=Provider, CN=a": the certificate has expired \(2026-11-1\d \d\d:\d\d\)$/,
    )
    assert.equal(responder.explanation.fault, 'certificate-expired')
    assert.deepEqual(responder.explanation.searched, [
      { tunnel: 't', remoteId: 'fqdn a.example', proof: 'certificate of ca' },
    ])
    assert.match(initiator.cause, /it does not accept us as fqdn a\.example with our certificate$/)
  })

  test('revoked', async () => {
    const wire = new BedWire()
    const [a, b] = [gateway('a', wire), gateway('b', wire)]
    const [{ der }] = decodePem(a.files.read('/etc/asegate/pki/certs/me.pem'))!
    const { crl } = createCrl({ ca, revoked: [{ serial: serialOf(der) }], now })
    b.files.set('/etc/asegate/crl.pem', crl)
    const { responder } = await explain(a, b, wire)
    assert.equal(
      responder.report.text,
      'authentication of the peer failed: certificate "O=Provider, CN=a": the certificate is revoked by a fresh CRL of its issuer',
    )
    assert.equal(responder.explanation.fault, 'certificate-revoked')
  })

  test('issued by a CA that is not trusted', async () => {
    const wire = new BedWire()
    const { responder } = await explain(gateway('a', wire, foreign), gateway('b', wire), wire)
    assert.match(
      String(responder.report.text),
      /: no path leads from the certificate to a trusted CA \(issued by "O=Elsewhere, CN=CA"\)$/,
    )
    assert.equal(responder.explanation.fault, 'certificate-untrusted')
  })

  test('the responder’s: the initiator says so, and tells it', async () => {
    const wire = new BedWire()
    const { initiator, responder } = await explain(gateway('a', wire), gateway('b', wire, foreign), wire)
    assert.match(initiator.cause, /no path leads from the certificate to a trusted CA/)
    assert.equal(initiator.explanation.identity, 'fqdn b.example')
    assert.match(
      String(responder.report.text),
      /^the peer answered our AUTH with AUTHENTICATION_FAILED: it does not accept us as fqdn b\.example with our certificate$/,
    )
  })
})

test('a peer that does not answer', async () => {
  const { a, wire } = pair()
  a.gateway.start()
  await pass(31_000, wire, a)
  const { cause } = await explained(a)
  assert.equal(cause, 'the peer did not answer IKE_SA_INIT')
})

test('what repeats is counted, kept once, and logged once', async () => {
  const { a, b, wire } = pair(
    { psk: 'one key that is long enough' },
    { ...WAITS, psk: 'another key that is long' },
  )
  a.gateway.start()
  b.gateway.start()
  await pass(200_000, wire, a, b)
  const [detail] = await b.ask('show tunnel ipsec t detail')
  const [report, ...others] = detail.reports as Row[]
  assert.deepEqual(others, [])
  assert.ok(Number(report.times) > 5, String(report.times))
  const told = b.entries().filter(({ reason, level }) => reason === 'auth-failed' && level !== 'debug')
  assert.equal(told.length, 1)
})
