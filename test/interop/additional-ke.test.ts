// An IKE proposal with ML-KEM beside a plain one, against strongSwan 5.9.8, which knows neither IKE_INTERMEDIATE nor the
// transform types of RFC 9370: the plain one is agreed on, whoever begins and renews.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bed, type BedOptions, interopTest, withBed } from './bed.ts'
import { AES128_SHA1, OUR_FILES, type OurOptions, ourConfig, swanConfig } from './config.ts'

const PINGS = 10
const SUITE = { ...AES128_SHA1, pfs: 14 }

/** The hybrid proposal first; a hybrid IPsec policy would have no plain one beside it. */
function bedFor(role: OurOptions['role']): BedOptions {
  const config = ourConfig({ suite: SUITE, role, policy: ['seq 5 proposal hybrid'] })
  const hybrid = [
    'ike proposal hybrid',
    ...[' encryption aes-gcm-256', ' prf sha256', ' dh-group 31'],
    ...[' additional-ke mlkem-768', ' additional-ke mlkem-1024', ''],
  ].join('\n')
  return { config: hybrid + config, files: OUR_FILES, swan: swanConfig({ suite: SUITE }) }
}

async function plainAndAlive(bed: Bed): Promise<void> {
  await bed.reach('up')
  assert.equal(await bed.ping('left', PINGS), PINGS)
  const [sa] = await bed.rows('show ike sa')
  assert.deepEqual([sa!.encryption, sa!.additionalKe], ['aes-128', []])
}

/** The IKE SA is renewed by one end; ours offers the hybrid proposal again. */
async function renewed(bed: Bed): Promise<void> {
  const [before] = await bed.rows('show ike sa')
  bed.peer.swanctl('--rekey', '--ike', 'peer')
  const deadline = performance.now() + 20_000
  for (;;) {
    const rows = await bed.rows('show ike sa')
    if (rows.every((sa) => sa.initiatorSpi !== before!.initiatorSpi)) break
    assert.ok(performance.now() < deadline, 'the IKE SA was not renewed')
    await sleep(100)
  }
}

interopTest('ML-KEM offered beside a plain proposal, we initiate', () =>
  withBed(bedFor('initiator'), async (bed) => {
    await plainAndAlive(bed)
    await renewed(bed)
    await plainAndAlive(bed)
  }),
)

interopTest('ML-KEM allowed beside a plain proposal, they initiate', () =>
  withBed(bedFor('responder'), async (bed) => {
    bed.peer.swanctl('--initiate', '--child', 'net')
    await plainAndAlive(bed)
    await renewed(bed)
    await plainAndAlive(bed)
  }),
)
