// Every ESP suite that both we and strongSwan 5.9.8 have, and IKE suites of every cipher, hash and old group: one pair of
// gateways meets suite after suite. Begun by them, our side allows all and they offer one; begun by us, we offer all
// and they take one.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bed, interopTest, withBed } from './bed.ts'
import { AES128_SHA1, OUR_FILES, type OurOptions, ourConfig, type Suite, swanConfig } from './config.ts'

const PINGS = 3
const PATIENCE = 60_000 // ms
const GATES = ['legacy-crypto permit', 'insecure-crypto permit "interop"']

type Role = OurOptions['role']
/** our cipher, our hash (aead: it authenticates by itself), strongSwan's word for both */
type Esp = { encryption: string; hash: string; swan: string }
type Ike = Esp & { prf: string; group: number }

const HASHES = ['md5', 'sha1', 'sha256', 'sha384', 'sha512']
const CIPHERS: [encryption: string, swan: string][] = [
  ['des', 'des'],
  ['3des', '3des'],
  ['aes-128', 'aes128'],
  ['aes-192', 'aes192'],
  ['aes-256', 'aes256'],
  ['null', 'null'],
]
const ESP: Esp[] = [
  ...CIPHERS.flatMap(([encryption, word]) =>
    HASHES.map((hash) => ({ encryption, hash, swan: `${word}-${hash}` })),
  ),
  { encryption: 'aes-gcm-128', hash: 'aead', swan: 'aes128gcm16' },
  { encryption: 'aes-gcm-256', hash: 'aead', swan: 'aes256gcm16' },
  { encryption: 'chacha20-poly1305', hash: 'aead', swan: 'chacha20poly1305' },
]

const ike = (encryption: string, hash: string, prf: string, group: number, swan: string): Ike => ({
  ...{ encryption, hash, prf, group, swan },
})
const IKE: Ike[] = [
  ike('des', 'md5', 'md5', 1, 'des-md5-modp768'),
  ike('des', 'sha1', 'sha1', 2, 'des-sha1-modp1024'),
  ike('3des', 'sha256', 'sha256', 5, '3des-sha256-modp1536'),
  ike('aes-128', 'md5', 'md5', 14, 'aes128-md5-modp2048'),
  ike('aes-192', 'sha1', 'sha256', 1, 'aes192-sha1-prfsha256-modp768'),
  ike('aes-256', 'sha384', 'sha384', 2, 'aes256-sha384-modp1024'),
  ike('aes-128', 'sha512', 'sha512', 5, 'aes128-sha512-modp1536'),
  ike('aes-gcm-256', 'aead', 'sha1', 14, 'aes256gcm16-prfsha1-modp2048'),
]

const proposalLines = (words: string, { encryption, hash }: Esp) => [
  ` ${words}encryption ${encryption}`,
  ...(hash === 'aead' ? [] : [` ${words}authentication ${hash}`]),
]

/** The common file, its one proposal of a kind replaced by all of these. */
function ours(role: Role, kind: 'ipsec' | 'ike', suites: Esp[], lines: (suite: Esp) => string[]): string {
  const proposals = suites.flatMap((suite, at) => [`${kind} proposal suite${at}`, ...lines(suite)])
  const sequence = suites.map((_, at) => ` seq ${10 + at} proposal suite${at}`)
  const policy = kind === 'ike' ? 'ike policy peer' : 'ipsec policy data'
  return ourConfig({ suite: AES128_SHA1, role, globals: [...GATES, ...proposals] }).replace(
    `${policy}\n seq 10 proposal suite`,
    `${policy}\n${sequence.join('\n')}`,
  )
}

const espConfig = (role: Role) => ours(role, 'ipsec', ESP, (suite) => proposalLines('esp ', suite))
const ikeConfig = (role: Role) =>
  ours(role, 'ike', IKE, (suite) => {
    const { prf, group } = suite as Ike
    return [...proposalLines('', suite), ` prf ${prf}`, ` dh-group ${group}`]
  })

/** strongSwan with one suite, the other of the two as usual. */
function theirs(kind: 'esp' | 'ike', swan: string) {
  const suite: Suite = { ...AES128_SHA1, [kind]: { ...AES128_SHA1[kind], swan } }
  return swanConfig({ suite })
}

async function until(isDone: () => Promise<boolean>, what: string, bed: Bed): Promise<void> {
  const deadline = performance.now() + PATIENCE
  while (!(await isDone())) {
    assert.ok(performance.now() < deadline, `${what}: ${bed.peer.log().slice(-3000)}`)
    await sleep(20)
  }
}

async function assertTraffic(bed: Bed, swan: string): Promise<void> {
  assert.equal(await bed.ping('left', PINGS), PINGS, `${swan} from the left`)
  assert.equal(await bed.ping('right', PINGS), PINGS, `${swan} from the right`)
}

/** NULL hides nothing (RFC 2410): the pings themselves are readable, all in ESP, and nothing else is out of order. */
async function assertReadable(bed: Bed): Promise<void> {
  const { counts } = bed.wire
  await until(async () => counts.plaintext >= 2 * PINGS, 'the pings in ESP', bed)
  const { plaintext, clear, protectedAddresses } = counts
  assert.deepEqual(
    { plaintext, clear, protectedAddresses },
    { plaintext: 2 * PINGS, clear: 0, protectedAddresses: 0 },
  )
  bed.wire.reset()
  bed.leaks.splice(0)
}

async function assertEsp(bed: Bed, { encryption, hash, swan }: Esp): Promise<void> {
  const isUp = async () => {
    const rows = await bed.rows('show ipsec sa')
    return (
      rows.length === 2 && rows.every((row) => row.encryption === encryption && row.authentication === hash)
    )
  }
  await until(isUp, `no SA pair with ${swan}`, bed)
  await assertTraffic(bed, swan)
  if (encryption === 'null') await assertReadable(bed)
}

async function assertIke(bed: Bed, { encryption, prf, group, swan }: Ike): Promise<void> {
  const isUp = async () => {
    const row = (await bed.rows('show ike sa')).at(-1)
    const isThis = row?.encryption === encryption && row.prf === prf && row.dhGroup === group
    return isThis && (await bed.rows('show ipsec sa')).length === 2
  }
  await until(isUp, `no IKE SA with ${swan}`, bed)
  await assertTraffic(bed, swan)
}

/** All suites one after the other under the same two processes. */
async function meet<S extends Esp>(
  bed: Bed,
  role: Role,
  kind: 'esp' | 'ike',
  suites: S[],
  check: (bed: Bed, suite: S) => Promise<void>,
): Promise<void> {
  for (const suite of suites) {
    bed.peer.configure(theirs(kind, suite.swan))
    if (role === 'responder') bed.peer.swanctl('--initiate', '--child', 'net')
    else await bed.rows('clear tunnel ipsec right')
    await check(bed, suite)
    if (role === 'initiator') continue
    bed.peer.swanctl('--terminate', '--ike', 'peer')
    await until(async () => (await bed.rows('show ike sa')).length === 0, 'the SAs end', bed)
  }
}

for (const role of ['initiator', 'responder'] as const) {
  const who = role === 'initiator' ? 'we' : 'they'
  interopTest(`all ESP suites, ${who} initiate`, () =>
    withBed({ config: espConfig(role), files: OUR_FILES, swan: theirs('esp', ESP[0]!.swan) }, (bed) =>
      meet(bed, role, 'esp', ESP, assertEsp),
    ),
  )
  interopTest(`IKE suites with the old groups, ${who} initiate`, () =>
    withBed({ config: ikeConfig(role), files: OUR_FILES, swan: theirs('ike', IKE[0]!.swan) }, (bed) =>
      meet(bed, role, 'ike', IKE, assertIke),
    ),
  )
}
