// Both gateways renew the same SA at the same time, under a steady ping: the nonces decide (RFC 7296 §2.8.1, §2.8.2), one
// SA stays and no echo is lost. The wire loses IKE messages, and nothing else, until both requests are under way.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bed, interopTest, withBed } from './bed.ts'
import { AES128_SHA1, OUR_FILES, type OurOptions, ourConfig, type Suite, swanConfig } from './config.ts'
import { underPing } from './flood.ts'

const ROUNDS = 5
const SUITE: Suite = { ...AES128_SHA1, pfs: 14 }

const bed = (options: Partial<OurOptions>) => ({
  config: ourConfig({ suite: SUITE, role: 'initiator', ...options }),
  files: OUR_FILES,
  swan: swanConfig({ suite: SUITE }),
})

/** Our first repetition comes after 0.5 s, strongSwan's after 1.0 s. */
const REPEATED = 1_700
/** IKE on either port, and flag R of its header (RFC 7296 §3.1), on 4500 behind the marker of RFC 3948 §2.2. */
const IKE = [
  { message: 'udp dport 500', answer: '@th,216,8 & 0x20 == 0x20' },
  { message: 'udp dport 4500 @th,64,32 0', answer: '@th,248,8 & 0x20 == 0x20' },
]

/**
 * While `work` runs no IKE message passes, in either direction; then requests only, until both ends have repeated
 * theirs; then everything. So both requests arrive before either end knows more.
 */
async function holding(bed: Bed, work: () => Promise<void>): Promise<void> {
  const nft = (...words: string[]) => bed.network.run('right', 'nft', ...words)
  nft('add table inet hold')
  const drop = (hook: string, match: string) => nft(`add rule inet hold ${hook} ${match} drop`)
  for (const hook of ['input', 'output']) {
    nft(`add chain inet hold ${hook} { type filter hook ${hook} priority 0; }`)
    for (const { message } of IKE) drop(hook, message)
  }
  await work()
  nft('flush table inet hold')
  for (const hook of ['input', 'output'])
    for (const { message, answer } of IKE) drop(hook, `${message} ${answer}`)
  await sleep(REPEATED)
  nft('delete table inet hold')
}

/** How strongSwan says that it has noticed a collision; 6.0 has other words for that of Child SAs. */
const NOTICED = {
  CHILD: /CHILD_REKEY collision|detected rekey collision for CHILD_SA/g,
  IKE: /IKE_REKEY collision/g,
}

function collisions(bed: Bed, kind: 'CHILD' | 'IKE'): number {
  return bed.peer.log().match(NOTICED[kind])?.length ?? 0
}

/** SA pairs that strongSwan shows as installed. */
function pairs(bed: Bed): number {
  return bed.peer.swanctl('--list-sas').match(/INSTALLED/g)?.length ?? 0
}

async function assertOneOfEach(bed: Bed): Promise<void> {
  assert.equal((await bed.rows('show ipsec sa')).length, 2, 'one inbound, one outbound')
  assert.equal((await bed.rows('show ike sa')).length, 1)
  assert.equal(pairs(bed), 1)
  assert.equal(bed.peer.swanctl('--list-sas').match(/ESTABLISHED/g)?.length, 1)
}

interopTest('both sides renew the Child SA at once, no ping lost, one pair stays', () =>
  withBed(bed({}), async (bed) => {
    await bed.reach('up')
    await underPing(bed, async () => {
      for (let round = 0; round < ROUNDS; round++) {
        await holding(bed, async () => {
          bed.peer.swanctl('--rekey', '--child', 'net')
          await bed.rows('clear ipsec sa tunnel right')
        })
        await sleep(2_500)
      }
      await sleep(6_000)
    })
    assert.ok(collisions(bed, 'CHILD') >= ROUNDS, `${collisions(bed, 'CHILD')} collisions`)
    await assertOneOfEach(bed)
  }),
)

interopTest('both sides renew the IKE SA at once, no ping lost, one IKE SA stays', () =>
  withBed(bed({ proposal: ['lifetime 24'], policy: ['rekey-margin 6 fuzz 0'] }), async (bed) => {
    await bed.reach('up')
    const [before] = await bed.rows('show ike sa')
    await underPing(bed, async () => {
      await sleep(1_000 * Math.max(0, (before!.rekeyIn as number) - 2))
      await holding(bed, async () => {
        bed.peer.swanctl('--rekey', '--ike', 'peer')
        await sleep(4_000)
      })
      await sleep(7_000)
    })
    const [after] = await bed.rows('show ike sa')
    assert.notEqual(after!.initiatorSpi, before!.initiatorSpi)
    assert.ok(collisions(bed, 'IKE') >= 1, `${collisions(bed, 'IKE')} collisions`)
    await assertOneOfEach(bed)
  }),
)
