// A tunnel to strongSwan 5.9.8 lives through rekeys of the Child SA and of the IKE SA from either side, with
// PFS, under a steady ping of 100 a second: no echo may be lost.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bed, interopTest, withBed } from './bed.ts'
import { AES128_SHA1, OUR_FILES, type OurOptions, ourConfig, type Suite, swanConfig } from './config.ts'
import { underPing } from './flood.ts'

const REKEYS = 10
const PATIENCE = 60_000 // ms for one renewal
const SUITE: Suite = { ...AES128_SHA1, pfs: 14 }

const bed = (options: Partial<OurOptions>) => ({
  config: ourConfig({ suite: SUITE, role: 'initiator', ...options }),
  files: OUR_FILES,
  swan: swanConfig({ suite: SUITE }),
})

async function spi(bed: Bed, direction: string): Promise<unknown> {
  const sas = await bed.rows('show ipsec sa')
  return sas.findLast((sa) => sa.direction === direction)?.spi
}

/** Waits until the SPI we send with is another one. */
async function nextSpi(bed: Bed, known: Set<unknown>): Promise<void> {
  const deadline = performance.now() + PATIENCE
  for (;;) {
    const now = await spi(bed, 'out')
    if (now !== undefined && !known.has(now)) {
      known.add(now)
      return
    }
    assert.ok(performance.now() < deadline, `no new outbound SA within ${PATIENCE} ms`)
    await sleep(20)
  }
}

interopTest('ten Child rekeys from their side with PFS, no ping lost', () =>
  withBed(bed({}), async (bed) => {
    await bed.reach('up')
    const spis = new Set([await spi(bed, 'out')])
    await underPing(bed, async () => {
      for (let count = 0; count < REKEYS; count++) {
        bed.peer.swanctl('--rekey', '--child', 'net')
        await nextSpi(bed, spis)
        await sleep(200)
      }
    })
    assert.equal(spis.size, REKEYS + 1)
  }),
)

interopTest('ten Child rekeys from our side with PFS, no ping lost', () =>
  withBed(bed({}), async (bed) => {
    await bed.reach('up')
    const spis = new Set([await spi(bed, 'out')])
    await underPing(bed, async () => {
      for (let count = 0; count < REKEYS; count++) {
        await bed.rows('clear ipsec sa tunnel right')
        await nextSpi(bed, spis)
        await sleep(200)
      }
    })
    assert.equal(spis.size, REKEYS + 1)
    assert.match(bed.peer.log(), /selected proposal: ESP:AES_CBC_128\/HMAC_SHA1_96\/MODP_2048/)
  }),
)

/** The soft limit is at 80 %: the renewal may take as long as 200 packets do, two seconds. */
interopTest('a Child rekey by packets from our side, no ping lost', () =>
  withBed(bed({ ipsec: ['lifetime packets 1000'] }), async (bed) => {
    await bed.reach('up')
    const spis = new Set([await spi(bed, 'out')])
    await underPing(bed, async () => {
      await nextSpi(bed, spis)
      await sleep(500)
    })
  }),
)

/** Renewed a quarter of the lifetime before the hard end: a slow machine has four and five seconds for it. */
interopTest('a Child rekey and an IKE rekey by time from our side, no ping lost', () =>
  withBed(
    bed({
      ipsec: ['lifetime seconds 16'],
      proposal: ['lifetime 20'],
      policy: ['rekey-margin 5 fuzz 0'],
    }),
    async (bed) => {
      await bed.reach('up')
      const before = await ikeSpis(bed)
      const spis = new Set([await spi(bed, 'out')])
      await underPing(bed, async () => {
        await nextSpi(bed, spis)
        await untilNewIkeSa(bed, before)
        await sleep(1_000)
      })
      assert.equal((await bed.tunnel()).state, 'up')
    },
  ),
)

async function ikeSpis(bed: Bed): Promise<string> {
  const sas = await bed.rows('show ike sa')
  return `${sas.at(-1)?.initiatorSpi} ${sas.at(-1)?.responderSpi}`
}

async function untilNewIkeSa(bed: Bed, before: string): Promise<void> {
  const deadline = performance.now() + PATIENCE
  while ((await ikeSpis(bed)) === before) {
    assert.ok(performance.now() < deadline, `the IKE SA was not replaced within ${PATIENCE} ms`)
    await sleep(50)
  }
}

interopTest('IKE rekey from their side, then a Child rekey under the new IKE SA', () =>
  withBed(bed({}), async (bed) => {
    await bed.reach('up')
    const before = await ikeSpis(bed)
    const spis = new Set([await spi(bed, 'out')])
    await underPing(bed, async () => {
      bed.peer.swanctl('--rekey', '--ike', 'peer')
      await untilNewIkeSa(bed, before)
      bed.peer.swanctl('--rekey', '--child', 'net')
      await nextSpi(bed, spis)
      await sleep(1_000)
    })
  }),
)
