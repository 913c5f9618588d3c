// IKEv2 with preshared keys against strongSwan 5.9.8: whoever initiates, several suites, and a wrong key.

import assert from 'node:assert/strict'
import { type Bed, interopTest, withBed } from './bed.ts'
import { AES128_SHA1, OUR_FILES, ourConfig, type Suite, swanConfig } from './config.ts'

const PINGS = 10

async function assertTraffic(bed: Bed, suite: Suite): Promise<void> {
  assert.equal(await bed.ping('left', PINGS), PINGS)
  assert.equal(await bed.ping('right', PINGS), PINGS)
  const sas = await bed.rows('show ipsec sa')
  assert.deepEqual(sas.map((sa) => sa.direction).sort(), ['in', 'out'])
  for (const sa of sas) assert.equal(sa.encryption, suite.esp.encryption)
  // the capture shows a train of datagrams as one frame: the SA counts packets
  const sent = Number(sas.find((sa) => sa.direction === 'out')!.packets)
  assert.ok(
    sent >= 2 * PINGS && bed.wire.counts.esp > 0,
    `${sent} packets, ${bed.wire.counts.esp} ESP frames`,
  )
}

/** We initiate: strongSwan waits. */
const weInitiate = (suite: Suite) =>
  withBed(
    { config: ourConfig({ suite, role: 'initiator' }), files: OUR_FILES, swan: swanConfig({ suite }) },
    async (bed) => {
      await bed.reach('up')
      await assertTraffic(bed, suite)
      const [ike] = await bed.rows('show ike sa')
      assert.equal(ike!.role, 'initiator')
      assert.equal(ike!.dhGroup, suite.ike.group)
    },
  )

/** strongSwan initiates: we wait. */
const theyInitiate = (suite: Suite) =>
  withBed(
    { config: ourConfig({ suite, role: 'responder' }), files: OUR_FILES, swan: swanConfig({ suite }) },
    async (bed) => {
      bed.peer.swanctl('--initiate', '--child', 'net')
      await bed.reach('up')
      await assertTraffic(bed, suite)
      const [ike] = await bed.rows('show ike sa')
      assert.equal(ike!.role, 'responder')
    },
  )

interopTest('PSK aes128-sha1-modp2048, we initiate', () => weInitiate(AES128_SHA1))
interopTest('PSK aes128-sha1-modp2048, they initiate', () => theyInitiate(AES128_SHA1))

const SHA256_SUITES: [swanGroup: string, group: number][] = [
  ['modp2048', 14],
  ['modp3072', 15],
  ['modp4096', 16],
  ['ecp256', 19],
  ['ecp384', 20],
  ['curve25519', 31],
]

function aes256(swanGroup: string, group: number): Suite {
  return {
    ike: { encryption: 'aes-256', hash: 'sha256', group, swan: `aes256-sha256-${swanGroup}` },
    esp: { encryption: 'aes-256', hash: 'sha256', swan: 'aes256-sha256' },
    pfs: null,
  }
}

for (const [index, [swanGroup, group]] of SHA256_SUITES.entries()) {
  const suite = aes256(swanGroup, group)
  if (index % 2 === 0) interopTest(`PSK ${suite.ike.swan}, we initiate`, () => weInitiate(suite))
  else interopTest(`PSK ${suite.ike.swan}, they initiate`, () => theyInitiate(suite))
}

interopTest('PSK aes192 with sha384 and sha512, we initiate', () =>
  weInitiate({
    ike: { encryption: 'aes-192', hash: 'sha384', group: 20, swan: 'aes192-sha384-ecp384' },
    esp: { encryption: 'aes-192', hash: 'sha256', swan: 'aes192-sha256' },
    pfs: null,
  }),
)

interopTest('a wrong PSK is named auth-failed, whoever initiates', async () => {
  const suite = AES128_SHA1
  const options = {
    config: ourConfig({ suite, role: 'both' }),
    files: { psk: 'not what the peer has configured' },
    swan: swanConfig({ suite }),
  }
  await withBed(options, async (bed) => {
    const deadline = performance.now() + 60_000
    let detail: Record<string, unknown> = {}
    while (detail.reason !== 'auth-failed' && performance.now() < deadline) {
      detail = (await bed.rows('show tunnel ipsec right detail'))[0] ?? {}
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    assert.equal(detail.reason, 'auth-failed', JSON.stringify(detail))
    assert.notEqual(detail.state, 'up')
    assert.throws(() => bed.peer.swanctl('--initiate', '--child', 'net'), /AUTH|failed/)
    assert.equal(await bed.ping('left', 2, 1_000), 0)
  })
})

interopTest('INVALID_KE_PAYLOAD: the group we offered first is not theirs', async () => {
  const theirs = aes256('ecp256', 19)
  const ours = ourConfig({
    suite: theirs,
    role: 'initiator',
    policy: ['seq 5 proposal first'],
    globals: [
      'ike proposal first',
      ...[' encryption aes-256', ' authentication sha256', ' prf sha256', ' dh-group 14'],
    ],
  })
  await withBed({ config: ours, files: OUR_FILES, swan: swanConfig({ suite: theirs }) }, async (bed) => {
    await bed.reach('up')
    const [ike] = await bed.rows('show ike sa')
    assert.equal(ike!.dhGroup, 19)
    assert.equal(await bed.ping('left', PINGS), PINGS)
  })
})
