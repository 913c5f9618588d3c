// strongSwan 6.0.1 with plain ESP (IP protocol 50, RFC 4303 §2): IKE stays on port 500, no datagram of ESP is in UDP.
// The other interop tests meet 6.0.1 too where ASEGATE_STRONGSWAN=6.0.1 says so; these always run.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bed, interopTest, withBed } from './bed.ts'
import { AES128_SHA1, OUR_FILES, type OurOptions, ourConfig, type Suite, swanConfig } from './config.ts'
import { underPing } from './flood.ts'

const RELEASE = '6.0.1'
const PINGS = 10
const GATES = ['legacy-crypto permit', 'insecure-crypto permit "interop"']

type Case = { name: string; role: OurOptions['role']; suite: Suite }

/** The same names on both sides, for IKE and for ESP. */
function suite(encryption: string, hash: string, group: number, ike: string, esp: string): Suite {
  return {
    ike: { encryption, hash, group, swan: ike },
    esp: { encryption, hash, swan: esp },
    pfs: null,
  }
}

const CASES: Case[] = [
  { name: 'AES-128, SHA1, group 14', role: 'initiator', suite: AES128_SHA1 },
  { name: 'AES-128, SHA1, group 14', role: 'responder', suite: AES128_SHA1 },
  {
    name: 'AES-256, SHA2-256, group 31',
    role: 'initiator',
    suite: suite('aes-256', 'sha256', 31, 'aes256-sha256-curve25519', 'aes256-sha256'),
  },
  {
    name: '3DES, MD5, group 2',
    role: 'responder',
    suite: suite('3des', 'md5', 2, '3des-md5-modp1024', '3des-md5'),
  },
  {
    name: '3DES, SHA1, group 5',
    role: 'initiator',
    suite: suite('3des', 'sha1', 5, '3des-sha1-modp1536', '3des-sha1'),
  },
  {
    name: 'AES-192, SHA1, group 1',
    role: 'responder',
    suite: suite('aes-192', 'sha1', 1, 'aes192-sha1-modp768', 'aes192-sha1'),
  },
]

async function assertPlainEsp(bed: Bed): Promise<void> {
  const before = bed.wire.counts.esp
  assert.equal(await bed.ping('left', PINGS), PINGS)
  assert.equal(await bed.ping('right', PINGS), PINGS)
  assert.ok(bed.wire.counts.esp >= before + 2 * PINGS, `${bed.wire.counts.esp} ESP packets sent`)
  const [detail] = await bed.rows('show tunnel ipsec right detail')
  assert.equal(detail!.encapsulation, 'raw')
  assert.doesNotMatch(bed.peer.swanctl('--list-sas'), /ESP in UDP/)
}

for (const { name, role, suite } of CASES) {
  interopTest(
    `plain ESP, ${name}, ${role === 'initiator' ? 'we' : 'they'} initiate`,
    () =>
      withBed(
        {
          config: ourConfig({ suite, role, globals: GATES }),
          files: OUR_FILES,
          swan: swanConfig({ suite }),
          release: RELEASE,
        },
        async (bed) => {
          if (role === 'responder') bed.peer.swanctl('--initiate', '--child', 'net')
          await bed.reach('up')
          await assertPlainEsp(bed)
        },
      ),
    RELEASE,
  )
}

/** Waits until our SPIs are others than `known`. */
async function untilRenewed(bed: Bed, command: string, column: string, known: unknown): Promise<void> {
  const deadline = performance.now() + 15_000
  while ((await bed.rows(command)).at(-1)?.[column] === known) {
    assert.ok(performance.now() < deadline, `${command}: ${column} is still ${known}`)
    await sleep(50)
  }
}

interopTest(
  'plain ESP, Child and IKE SA renewed by either side with PFS, no ping lost',
  () => {
    const pfs: Suite = { ...AES128_SHA1, pfs: 14 }
    const config = ourConfig({ suite: pfs, role: 'initiator' })
    return withBed(
      { config, files: OUR_FILES, swan: swanConfig({ suite: pfs }), release: RELEASE },
      async (bed) => {
        await bed.reach('up')
        const spi = async () => (await bed.rows('show ipsec sa')).at(-1)?.spi
        const ike = async () => (await bed.rows('show ike sa')).at(-1)?.initiatorSpi
        await underPing(bed, async () => {
          const [child, parent] = [await spi(), await ike()]
          bed.peer.swanctl('--rekey', '--child', 'net')
          await untilRenewed(bed, 'show ipsec sa', 'spi', child)
          const renewed = await spi()
          await bed.rows('clear ipsec sa tunnel right')
          await untilRenewed(bed, 'show ipsec sa', 'spi', renewed)
          bed.peer.swanctl('--rekey', '--ike', 'peer')
          await untilRenewed(bed, 'show ike sa', 'initiatorSpi', parent)
          await sleep(1_000)
        })
      },
    )
  },
  RELEASE,
)
