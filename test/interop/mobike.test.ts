// MOBIKE against strongSwan 5.9.8 (RFC 4555): either end begins, finds itself at another address, and the tunnel goes on
// under the same IKE SA.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bed, type BedOptions, interopTest, withBed } from './bed.ts'
import { AES128_SHA1, OUR_FILES, type OurOptions, ourConfig, swanConfig } from './config.ts'

const PINGS = 10

function options(role: OurOptions['role'], change: (config: string) => string): BedOptions {
  const suite = AES128_SHA1
  const swan = swanConfig({ suite, local: ['auth = psk', 'id = right'], remote: ['auth = psk', 'id = left'] })
  const policy = ['mobike', 'local-id fqdn left', 'remote-id fqdn right']
  return {
    config: change(ourConfig({ suite, role, policy })),
    files: OUR_FILES,
    swan: {
      ...swan,
      connection: swan.connection
        .replace('mobike = no', 'mobike = yes')
        .replace('local_addrs = 192.0.2.2', 'local_addrs = %any')
        .replace(
          'remote_addrs = 192.0.2.1',
          role === 'initiator' ? 'remote_addrs = %any' : 'remote_addrs = 192.0.2.1',
        ),
    },
  }
}

async function ikeSa(bed: Bed): Promise<{ spi: unknown; local: string; remote: string }> {
  const rows = await bed.rows('show ike sa')
  const { initiatorSpi, local, remote } = rows.at(-1)!
  return { spi: initiatorSpi, local: JSON.stringify(local), remote: JSON.stringify(remote) }
}

async function childSpis(bed: Bed): Promise<Set<unknown>> {
  return new Set((await bed.rows('show ipsec sa')).map(({ spi }) => spi))
}

/** strongSwan's ESP cannot change an SA's addresses: packets go to the old one until it has renewed the Child SA. */
async function renewed(bed: Bed, before: Set<unknown>): Promise<void> {
  const isRenewed = async () => {
    const now = await childSpis(bed)
    return now.size === before.size && now.isDisjointFrom(before)
  }
  await until(isRenewed, 'another Child SA in place of the old one')
}

async function until(isDone: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 60_000
  while (!(await isDone())) {
    assert.ok(performance.now() < deadline, `${what} within 60 s`)
    await sleep(100)
  }
}

interopTest('strongSwan begins and moves', () =>
  withBed(
    options('responder', (config) => config),
    async (bed) => {
      bed.peer.swanctl('--initiate', '--child', 'net')
      await bed.reach('up')
      assert.equal(await bed.ping('left', PINGS), PINGS)
      const before = await ikeSa(bed)
      const spis = await childSpis(bed)
      bed.network.run('right', 'ip', 'address', 'add', '192.0.2.3/24', 'dev', 'wan')
      bed.network.run('right', 'ip', 'address', 'del', '192.0.2.2/24', 'dev', 'wan')
      bed.network.run('right', 'ip', 'address', 'replace', '192.0.2.3/24', 'dev', 'wan')
      await until(async () => (await ikeSa(bed)).remote.includes('192.0.2.3'), 'the new address is known')
      assert.equal((await ikeSa(bed)).spi, before.spi)
      await renewed(bed, spis)
      assert.equal(await bed.ping('left', PINGS), PINGS)
    },
  ),
)

interopTest('we begin and move', () =>
  withBed(
    options('initiator', (config) => config.replace('local 192.0.2.1 remote', 'local any remote')),
    async (bed) => {
      await bed.reach('up')
      assert.equal(await bed.ping('left', PINGS), PINGS)
      const before = await ikeSa(bed)
      const spis = await childSpis(bed)
      bed.network.run('left', 'ip', 'address', 'add', '192.0.2.4/24', 'dev', 'wan')
      bed.network.run('left', 'ip', 'address', 'del', '192.0.2.1/24', 'dev', 'wan')
      bed.network.run('left', 'ip', 'address', 'replace', '192.0.2.4/24', 'dev', 'wan')
      await until(async () => (await ikeSa(bed)).local.includes('192.0.2.4'), 'the new address is in use')
      assert.equal((await ikeSa(bed)).spi, before.spi)
      await renewed(bed, spis)
      assert.equal(await bed.ping('left', PINGS), PINGS)
      assert.match(bed.peer.log(), /192\.0\.2\.4/)
    },
  ),
)
