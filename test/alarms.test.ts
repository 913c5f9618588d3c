// Alarms: hold-down, at once, history; raised by tunnels, certificates and ASPs of a gateway, told in the log, by show
// and as metrics.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { pageFor } from '../control/manage/health.ts'
import { createCa, issueCertificate, makeKey, privateKeyPem } from '../control/pki/make.ts'
import { Alarms, type Condition } from '../control/tunnel/alarms.ts'
import { Bed, BedFiles, BedWire, pass } from './gateway-bed.ts'
import { LEFT, pair, RIGHT, upPair } from './gateway-pair.ts'

const fault = (more: Partial<Condition> = {}): Condition => ({
  key: 'tunnel t',
  kind: 'tunnel',
  tunnel: 't',
  remoteIdType: null,
  remoteId: null,
  cause: 'it is down',
  atOnce: false,
  ...more,
})
const at = (now: number) => ({ now, wall: 1_000_000 + now, hold: 30_000 })

describe('a fault', () => {
  test('is an alarm when it lasted as long as the hold-down, and not before', () => {
    const alarms = new Alarms()
    assert.deepEqual(alarms.update([fault()], at(0)), [])
    assert.equal(alarms.deadline(), 30_000)
    assert.deepEqual(alarms.update([fault()], at(29_999)), [])
    const [{ alarm, raised }] = alarms.update([fault()], at(30_000))
    assert.deepEqual([raised, alarm.id, alarm.since, alarm.cleared], [true, 1, 1_030_000, null])
    assert.equal(alarms.deadline(), Number.POSITIVE_INFINITY)
    assert.deepEqual(alarms.update([fault({ cause: 'another' })], at(40_000)), [])
    assert.equal(alarms.active()[0].cause, 'another')
  })

  test('that goes in time is none, and its time starts anew', () => {
    const alarms = new Alarms()
    alarms.update([fault()], at(0))
    assert.deepEqual(alarms.update([], at(20_000)), [])
    alarms.update([fault()], at(25_000))
    assert.deepEqual(alarms.update([fault()], at(50_000)), [])
    assert.equal(alarms.update([fault()], at(55_000)).length, 1)
  })

  test('that is known to be real is an alarm at once', () => {
    const alarms = new Alarms()
    assert.equal(alarms.update([fault({ atOnce: true })], at(0)).length, 1)
  })

  test('clears its alarm when it ends; ids are never used again', () => {
    const alarms = new Alarms()
    alarms.update([fault({ atOnce: true }), fault({ key: 'asp 1', kind: 'asp', atOnce: true })], at(0))
    const changes = alarms.update([fault()], at(5))
    assert.deepEqual(
      changes.map(({ alarm, raised }) => [alarm.id, raised, alarm.cleared]),
      [[2, false, 1_000_005]],
    )
    assert.deepEqual(
      alarms.history().map(({ id }) => id),
      [2],
    )
    alarms.update([], at(6))
    alarms.update([fault({ atOnce: true })], at(7))
    assert.equal(alarms.active()[0].id, 3)
  })

  test('whose alarm was dismissed raises none until it has gone and comes again', () => {
    const alarms = new Alarms()
    alarms.update([fault({ atOnce: true })], at(0))
    assert.equal(alarms.dismiss(7, 0), false)
    assert.equal(alarms.dismiss(1, 3), true)
    assert.deepEqual(alarms.active(), [])
    assert.deepEqual(alarms.update([fault({ atOnce: true })], at(60_000)), [])
    alarms.update([], at(60_001))
    assert.equal(alarms.update([fault({ atOnce: true })], at(60_002))[0].alarm.id, 2)
  })

  test('does not fill the memory with its history', () => {
    const alarms = new Alarms()
    for (let round = 0; round < 300; round++)
      alarms.update(round % 2 ? [] : [fault({ atOnce: true })], at(round))
    assert.equal(alarms.history().length, 100)
  })
})

describe('a tunnel', () => {
  const site = { tunnel: ' alarms', global: 'ipsec alarms holddown 5' }

  test('that does not come up raises one, and clears it when it does', async () => {
    const { a, b, wire, beds } = pair(site, { policy: ' role responder' })
    a.gateway.start()
    await pass(4_000, wire, a)
    assert.deepEqual(await a.ask('show alarms'), [])
    await pass(40_000, wire, a)
    const [alarm, ...more] = await a.ask('show alarms')
    assert.deepEqual(more, [])
    assert.deepEqual([alarm.id, alarm.kind, alarm.tunnel, alarm.cleared], [1, 'tunnel', 't', null])
    assert.deepEqual([alarm.remoteIdType, alarm.remoteId], ['address', RIGHT])
    assert.match(String(alarm.cause), /did not answer/)
    assert.match(page(a), /^asegate_alarms\{kind="tunnel"\} 1$/m)
    b.gateway.start()
    await pass(60_000, wire, ...beds)
    assert.deepEqual(await a.ask('show alarms'), [])
    assert.equal((await a.ask('show alarms history')).length, 1)
    const said = a.entries().filter(({ reason }) => reason === 'alarm')
    assert.deepEqual(
      said.map(({ level, message }) => `${level} ${message.slice(0, 16)}`),
      ['error alarm 1 raised: ', 'info alarm 1 cleared:'],
    )
  })

  test('whose peer is dead raises one without waiting', async () => {
    const { a, wire } = await upPair({ tunnel: ' alarms', global: 'ipsec alarms holddown 120' })
    wire.cut = true
    for (let tries = 0; tries < 120 && (await a.ask('show alarms')).length === 0; tries++)
      await pass(1_000, wire, a)
    const [alarm] = await a.ask('show alarms')
    assert.equal(alarm?.kind, 'tunnel')
    assert.match(String(alarm.cause), /answered none/)
  })

  test('raises none when it does not say alarms, is shut down, or waits for its first packet', async () => {
    for (const lines of ['', ' alarms\n shutdown', ' alarms\n start traffic']) {
      const { a, wire } = pair({ tunnel: lines, global: 'ipsec alarms holddown 1' })
      a.gateway.start()
      await pass(30_000, wire, a)
      assert.deepEqual(await a.ask('show alarms'), [], lines)
    }
  })

  test('its alarm can be dismissed', async () => {
    const { a, wire } = pair(site)
    a.gateway.start()
    await pass(40_000, wire, a)
    assert.deepEqual(await a.ask('clear alarm 1'), { cleared: ['alarm 1'] } as never)
    await pass(40_000, wire, a)
    assert.deepEqual(await a.ask('show alarms'), [])
    await assert.rejects(a.ask('clear alarm 1'), /not-found: there is no alarm 1/)
  })
})

test('an ASP that ends raises one, and clears it when it works again', async () => {
  const { a, wire } = await upPair()
  a.card.aspStates = ['up', 'down']
  a.card.raise({ kind: 'asp-failed', asp: 2, reason: 'gone' })
  const [alarm] = await a.ask('show alarms')
  assert.deepEqual([alarm.kind, alarm.tunnel, alarm.cause], ['asp', null, 'ASP 2 is down'])
  a.card.aspStates = ['up', 'up']
  await pass(3_000, wire, a)
  assert.deepEqual(await a.ask('show alarms'), [])
})

// ---- certificates

const DAY = 86_400_000
const START = Date.UTC(2026, 10, 23)
const key = makeKey('p256')
const ca = createCa({ subject: 'CN=ca', now: START - DAY, key: makeKey('p256'), days: 4000 })
const issued = (days: number, from: number) =>
  issueCertificate({
    ca,
    subject: 'CN=pe1',
    altNames: [{ kind: 'fqdn', value: 'pe1.example.net' }],
    publicKey: key,
    now: from,
    days,
  })

const SIGNED = `pki store /s
context local
 interface t1
ike policy peer
 local-auth digital-signature
 remote-auth digital-signature
 identity pe1
 trust ca
 remote-id fqdn pe2.example.net
 role responder
tunnel ipsec t
 peer-end-point local ${LEFT} remote ${RIGHT}
 bind interface t1 local
 ike-policy peer
`

/** A gateway that signs with a certificate of 60 days; `ahead` moves its wall clock. */
async function signing() {
  const files = new BedFiles()
  files.set('/s/private/pe1.pem', privateKeyPem(key))
  files.set('/s/certs/pe1.pem', issued(60, START - DAY))
  files.set('/s/trust/ca.pem', ca.certificate)
  const wire = new BedWire()
  const bed = new Bed(SIGNED, { files, wire, address: LEFT })
  let ahead = 0
  const { wall } = bed.clock
  bed.clock.wall = () => wall() + ahead
  bed.gateway.start()
  const forward = async (days: number) => {
    ahead += days * DAY
    await pass(65_000, wire, bed)
  }
  await forward(0)
  return { bed, files, forward }
}

const page = (bed: Bed) => pageFor(bed.gateway, '/metrics')?.body ?? ''

describe('a certificate', () => {
  test('raises cert-expiry as many days before its end as configured, then no-cert; an import clears', async () => {
    const { bed, files, forward } = await signing()
    assert.deepEqual(await bed.ask('show alarms'), [])
    assert.match(page(bed), /^asegate_certificate_expiry_seconds\{use="identity",name="pe1"\} \d{10}$/m)
    await forward(27)
    assert.deepEqual(await bed.ask('show alarms'), [])
    await forward(3)
    const [soon, ...others] = await bed.ask('show alarms')
    assert.deepEqual([soon.kind, others.length], ['cert-expiry', 0])
    assert.match(
      String(soon.cause),
      /^identity pe1: the certificate CN=pe1 expires on 2027-01-\d\d; import a new one/,
    )
    await forward(30)
    const [gone, ...rest] = await bed.ask('show alarms')
    assert.deepEqual([gone.kind, rest.length], ['no-cert', 0])
    assert.match(String(gone.cause), /has expired on 2027-01-\d\d/)
    assert.match(page(bed), /^asegate_alarms\{kind="no-cert"\} 1$/m)
    files.set('/s/certs/pe1.pem', issued(365, bed.clock.wall()))
    await forward(0)
    assert.deepEqual(await bed.ask('show alarms'), [])
    const kinds = bed.entries().filter(({ reason }) => reason === 'alarm')
    assert.deepEqual(
      kinds.map(({ fields, message }) => `${fields.kind} ${message.split(' ')[2]}`),
      ['cert-expiry raised:', 'cert-expiry cleared:', 'no-cert raised:', 'no-cert cleared:'],
    )
  })

  test('that vanished, does not belong to the key, or is of tomorrow raises no-cert', async () => {
    const { bed, files, forward } = await signing()
    const causes = async () => (await bed.ask('show alarms')).map(({ kind, cause }) => `${kind} ${cause}`)
    files.contents.delete('/s/certs/pe1.pem')
    await forward(0)
    assert.match((await causes()).join('\n'), /^no-cert identity pe1: .*certs\/pe1\.pem.*$/)
    files.set('/s/certs/pe1.pem', ca.certificate)
    await forward(0)
    assert.match((await causes()).join('\n'), /^no-cert identity pe1: .*/)
    files.set('/s/certs/pe1.pem', issued(60, bed.clock.wall() + 5 * DAY))
    await forward(0)
    assert.match((await causes()).join('\n'), /^no-cert identity pe1: .* is not valid before 2026-1\d-\d\d; /)
  })
})
