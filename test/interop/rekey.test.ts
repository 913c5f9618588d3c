// A tunnel to strongSwan 5.9.8 lives through rekeys of the Child SA and of the IKE SA from either side, with
// PFS, under a steady ping of 100 a second: no echo may be lost.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bed, interopTest, withBed } from './bed.ts'
import { AES128_SHA1, OUR_FILES, type OurOptions, ourConfig, type Suite, swanConfig } from './config.ts'
import { underPing } from './flood.ts'

const REKEYS = 10
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
async function nextSpi(bed: Bed, known: Set<unknown>, ms: number): Promise<void> {
  const deadline = performance.now() + ms
  for (;;) {
    const now = await spi(bed, 'out')
    if (now !== undefined && !known.has(now)) {
      known.add(now)
      return
    }
    assert.ok(performance.now() < deadline, `no new outbound SA within ${ms} ms`)
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
        await nextSpi(bed, spis, 5_000)
        await sleep(200)
      }
    })
    assert.equal(spis.size, REKEYS + 1)
  }),
)

/** Soft limit at 80 % of 200 packets: a rekey about every 1.6 s. */
interopTest('ten Child rekeys from our side with PFS, no ping lost', () =>
  withBed(bed({ ipsec: ['lifetime packets 200'] }), async (bed) => {
    await bed.reach('up')
    const spis = new Set([await spi(bed, 'out')])
    await underPing(bed, async () => {
      for (let count = 0; count < REKEYS; count++) await nextSpi(bed, spis, 6_000)
      await sleep(200)
    })
    assert.ok(spis.size > REKEYS)
    assert.match(bed.peer.log(), /selected proposal: ESP:AES_CBC_128\/HMAC_SHA1_96\/MODP_2048/)
  }),
)

interopTest('two Child rekeys by time from our side, no ping lost', () =>
  withBed(bed({ ipsec: ['lifetime seconds 5'], policy: ['rekey-margin 1 fuzz 0'] }), async (bed) => {
    await bed.reach('up')
    const spis = new Set([await spi(bed, 'out')])
    await underPing(bed, async () => {
      for (let count = 0; count < 2; count++) await nextSpi(bed, spis, 6_000)
      await sleep(1_200)
    })
  }),
)

async function ikeSpis(bed: Bed): Promise<string> {
  const sas = await bed.rows('show ike sa')
  return `${sas.at(-1)?.initiatorSpi} ${sas.at(-1)?.responderSpi}`
}

async function untilNewIkeSa(bed: Bed, before: string, ms: number): Promise<void> {
  const deadline = performance.now() + ms
  while ((await ikeSpis(bed)) === before) {
    assert.ok(performance.now() < deadline, `the IKE SA was not replaced within ${ms} ms`)
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
      await untilNewIkeSa(bed, before, 5_000)
      bed.peer.swanctl('--rekey', '--child', 'net')
      await nextSpi(bed, spis, 5_000)
      await sleep(1_000)
    })
  }),
)

interopTest('IKE rekey from our side', () =>
  withBed(bed({ proposal: ['lifetime 8'], policy: ['rekey-margin 2 fuzz 0'] }), async (bed) => {
    await bed.reach('up')
    const before = await ikeSpis(bed)
    await underPing(bed, async () => {
      await untilNewIkeSa(bed, before, 12_000)
      await sleep(1_000)
    })
    assert.equal((await bed.tunnel()).state, 'up')
  }),
)
