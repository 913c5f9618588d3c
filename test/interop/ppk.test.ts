// Post-quantum pre-shared keys against strongSwan 5.9.8 (RFC 8784): required on both sides, whoever begins, and a peer
// that has none.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type BedOptions, interopTest, withBed } from './bed.ts'
import { AES128_SHA1, OUR_FILES, type OurOptions, ourConfig, swanConfig } from './config.ts'

const PATIENCE = 60_000 // ms
const PINGS = 10
const PPK = '00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'

function options(role: OurOptions['role'], ours: string[], theirs: 'none' | 'required'): BedOptions {
  const suite = AES128_SHA1
  const swan = swanConfig({ suite })
  const named = theirs === 'required' ? 'ppk_id = quantum\nppk_required = yes\n' : ''
  return {
    config: ourConfig({ suite, role, policy: ours }),
    files: OUR_FILES,
    swan: {
      ...swan,
      connection: named + swan.connection,
      secrets: `${swan.secrets}\nppk-1 {\nid-1 = quantum\nsecret = 0x${PPK}\n}`,
    },
  }
}

/** what strongSwan renews, and where it shows */
const RENEWALS = [
  [['--ike', 'peer'], 'show ike sa', 'initiatorSpi'],
  [['--child', 'net'], 'show ipsec sa', 'spi'],
] as const

async function until(isDone: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + PATIENCE
  while (!(await isDone())) {
    assert.ok(performance.now() < deadline, `not within ${PATIENCE} ms: ${what}`)
    await sleep(100)
  }
}

for (const [role, who] of [
  ['initiator', 'we initiate'],
  ['responder', 'they initiate'],
] as const) {
  interopTest(`a PPK that both require, ${who}, and an IKE SA renewed`, () =>
    withBed(options(role, [`ppk quantum hex ${PPK} required`], 'required'), async (bed) => {
      if (role === 'responder') bed.peer.swanctl('--initiate', '--child', 'net')
      await bed.reach('up')
      assert.equal(await bed.ping('left', PINGS), PINGS)
      assert.match(bed.peer.log(), /PPK/)
      for (const [rekey, command, spi] of RENEWALS) {
        const before = (await bed.rows(command)).map((row) => row[spi])
        bed.peer.swanctl('--rekey', ...rekey)
        await until(async () => !before.includes((await bed.rows(command)).at(-1)?.[spi]), `${rekey} renewed`)
      }
      assert.equal(await bed.ping('right', PINGS), PINGS)
    }),
  )
}

interopTest('a PPK of ours that is optional, against a peer without', () =>
  withBed(options('initiator', [`ppk quantum hex ${PPK}`], 'none'), async (bed) => {
    await bed.reach('up')
    assert.equal(await bed.ping('left', PINGS), PINGS)
  }),
)

interopTest('a PPK that the peer requires and we do not have: auth-failed', () =>
  withBed(options('initiator', [], 'required'), async (bed) => {
    await until(async () => (await bed.tunnel()).reason === 'auth-failed', 'the reason auth-failed')
  }),
)
