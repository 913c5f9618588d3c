// Both gateways renew the same SA at the same time, under a steady ping: the nonces decide (RFC 7296 §2.8.1, §2.8.2), one
// SA stays and no echo is lost. The wire loses CREATE_CHILD_SA messages, and nothing else, until each end has the
// other's request.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bed, interopTest, withBed } from './bed.ts'
import { AES128_SHA1, OUR_FILES, ourConfig, type Suite, swanConfig } from './config.ts'
import { underPing } from './flood.ts'

const CHILD_ROUNDS = 3
const IKE_ROUNDS = 2
const PATIENCE = 40_000 // ms: both ends repeat a lost message after seconds only
const POLL = 50 // ms
const SUITE: Suite = { ...AES128_SHA1, pfs: 14 }

const options = {
  config: ourConfig({ suite: SUITE, role: 'initiator' }),
  files: OUR_FILES,
  swan: swanConfig({ suite: SUITE }),
}

/**
 * IKE on either port, on 4500 behind the non-ESP marker (RFC 3948 §2.2): exchange type 36, and flag R of the header
 * (RFC 7296 §3.1).
 */
const CREATE_CHILD_SA = [
  { message: 'udp dport 500 @th,208,8 36', answer: '@th,216,8 & 0x20 == 0x20' },
  { message: 'udp dport 4500 @th,64,32 0 @th,240,8 36', answer: '@th,248,8 & 0x20 == 0x20' },
]
const HOOKS = ['input', 'output']

async function until(bed: Bed, isDone: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + PATIENCE
  while (!(await isDone())) {
    if (performance.now() > deadline) {
      const seen = [await bed.rows('show ike sa'), await bed.rows('show ipsec sa')]
      const logs = `${bed.gateway().lastLog().slice(-20).join('\n')}\n${bed.peer.log().slice(-6000)}`
      const both = `${JSON.stringify(seen)}\n${bed.peer.swanctl('--list-sas')}`
      assert.fail(`${what}: not within ${PATIENCE} ms\n${both}\n${logs}`)
    }
    await sleep(POLL)
  }
}

/**
 * `work` makes both ends renew. Meanwhile no CREATE_CHILD_SA message passes; then requests only, until one has come
 * through in each direction; then everything. So both requests arrive before either end knows more.
 */
async function colliding(bed: Bed, work: () => Promise<void>): Promise<void> {
  const nft = (...lines: string[]) => bed.network.run('right', 'nft', lines.join('\n'))
  const chain = (hook: string) => `add chain inet hold ${hook} { type filter hook ${hook} priority 0; }`
  const rules = (hook: string, rule: (message: string, answer: string) => string[]) =>
    CREATE_CHILD_SA.flatMap(({ message, answer }) => rule(message, answer)).map(
      (words) => `add rule inet hold ${hook} ${words}`,
    )
  const nothing = (hook: string) => rules(hook, (message) => [`${message} drop`])
  const requests = (hook: string) =>
    rules(hook, (message, answer) => [`${message} ${answer} drop`, `${message} counter accept`])
  nft('add table inet hold', ...HOOKS.map(chain), ...HOOKS.flatMap(nothing))
  await work()
  nft('flush table inet hold', ...HOOKS.flatMap(requests))
  const passed = (hook: string) => {
    const counters = nft(`list chain inet hold ${hook}`).matchAll(/counter packets (\d+)/g)
    return [...counters].some(([, count]) => Number(count) > 0)
  }
  await until(bed, () => HOOKS.every(passed), 'a request in each direction')
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

/** strongSwan has one IKE SA and one pair in use, and nothing is under way. */
function peerIsSettled(bed: Bed): boolean {
  const sas = bed.peer.swanctl('--list-sas')
  const count = (words: RegExp) => sas.match(words)?.length ?? 0
  return count(/, ESTABLISHED,/g) === 1 && count(/, INSTALLED,/g) === 1 && !/CONNECTING|REKEYING/.test(sas)
}

async function sendingSpi(bed: Bed): Promise<unknown> {
  return (await bed.rows('show ipsec sa')).find(({ sending }) => sending)?.spi
}

/**
 * IKE SAs in use. strongSwan forgets the one that lost without a Delete when ours for the old SA is earlier than our
 * answer; then we keep it as `replaced` for a while.
 */
async function ikeSpis(bed: Bed): Promise<unknown[]> {
  const sas = await bed.rows('show ike sa')
  return sas.filter(({ state }) => state === 'established').map(({ initiatorSpi }) => initiatorSpi)
}

/** The old pair has received for as long as it may, and is gone at both ends. */
async function untilOneOfEach(bed: Bed): Promise<void> {
  const pairs = async () => (await bed.rows('show ipsec sa')).length / 2
  const isOneOfEach = async () =>
    (await pairs()) === 1 && (await ikeSpis(bed)).length === 1 && peerIsSettled(bed)
  await until(bed, isOneOfEach, 'one IKE SA and one pair at each end')
}

interopTest('both sides renew the Child SA at once, no ping lost, one pair stays', () =>
  withBed(options, async (bed) => {
    await bed.reach('up')
    await underPing(bed, async () => {
      for (let round = 1; round <= CHILD_ROUNDS; round++) {
        const before = await sendingSpi(bed)
        await colliding(bed, async () => {
          bed.peer.swanctl('--rekey', '--child', 'net')
          await bed.rows('clear ipsec sa tunnel right')
        })
        await until(bed, () => collisions(bed, 'CHILD') >= round, `collision ${round}`)
        await untilOneOfEach(bed)
        assert.notEqual(await sendingSpi(bed), before)
      }
    })
  }),
)

interopTest('both sides renew the IKE SA at once, no ping lost, one IKE SA stays', () =>
  withBed(options, async (bed) => {
    await bed.reach('up')
    await underPing(bed, async () => {
      for (let round = 1; round <= IKE_ROUNDS; round++) {
        const [before] = await ikeSpis(bed)
        await colliding(bed, async () => {
          bed.peer.swanctl('--rekey', '--ike', 'peer')
          await bed.rows('clear ike sa tunnel right rekey')
        })
        await until(bed, () => collisions(bed, 'IKE') >= round, `collision ${round}`)
        await untilOneOfEach(bed)
        assert.notEqual((await ikeSpis(bed))[0], before)
      }
    })
  }),
)
