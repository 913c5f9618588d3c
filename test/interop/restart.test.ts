// One end dies without a word: the tunnel comes back by itself, and nothing leaves in clear meanwhile.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { interopTest, withBed } from './bed.ts'
import { AES128_SHA1, OUR_FILES, ourConfig, swanConfig } from './config.ts'

const PINGS = 5
const BACK = 90_000 // ms
const SUITE = AES128_SHA1

interopTest('the peer is killed and started again: the tunnel returns', () => {
  const config = ourConfig({ suite: SUITE, role: 'both', policy: ['dpd interval 2 retries 2'] })
  return withBed({ config, files: OUR_FILES, swan: swanConfig({ suite: SUITE }) }, async (bed) => {
    await bed.reach('up')
    await bed.peer.kill()
    assert.equal(await bed.ping('left', PINGS, 1_000), 0)
    await bed.reach('negotiating', BACK)
    await bed.ping('left', PINGS, 1_000)
    await bed.peer.restart()
    await bed.reach('up', BACK)
    assert.equal(await bed.ping('left', PINGS), PINGS)
    assert.equal(await bed.ping('right', PINGS), PINGS)
  })
})

interopTest('our gateway is killed and started again: the tunnel returns', () => {
  const config = ourConfig({ suite: SUITE, role: 'both' })
  return withBed({ config, files: OUR_FILES, swan: swanConfig({ suite: SUITE }) }, async (bed) => {
    await bed.reach('up')
    await bed.killGateway()
    const before = bed.wire.counts.leaked
    assert.equal(await bed.ping('left', PINGS, 1_000), 0, 'no gateway, no way')
    await sleep(200)
    assert.equal(bed.wire.counts.leaked, before, 'a guard route must hold while no gateway runs')
    await bed.startGateway()
    await bed.reach('up', BACK)
    assert.equal(await bed.ping('left', PINGS), PINGS)
    assert.equal(await bed.ping('right', PINGS), PINGS)
  })
})

interopTest('the peer deletes the tunnel: we bring it back', () => {
  const config = ourConfig({ suite: SUITE, role: 'initiator' })
  return withBed({ config, files: OUR_FILES, swan: swanConfig({ suite: SUITE }) }, async (bed) => {
    await bed.reach('up')
    bed.peer.swanctl('--terminate', '--ike', 'peer')
    await bed.reach('up', BACK)
    assert.equal(await bed.ping('left', PINGS), PINGS)
  })
})
