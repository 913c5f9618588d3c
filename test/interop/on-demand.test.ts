// strongSwan 5.9.8 as a peer that our gateway does not know by address: an on-demand tunnel on real devices and routes.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bed, interopTest, withBed } from './bed.ts'
import { AES128_SHA1, OUR_FILES, ourConfig, swanConfig } from './config.ts'

const PINGS = 5
const PATIENCE = 60_000 // ms

/** The static tunnel `right` of the other tests, turned into a template for whoever is `*.example.net`. */
function template(mode: 'circuit' | 'economical'): string {
  const text = ourConfig({
    suite: AES128_SHA1,
    role: 'responder',
    policy: ['local-id fqdn hub.example.net', 'remote-id fqdn *.example.net'],
  })
    .replace(
      'interface t-right\n ip route 10.2.0.0/24 interface t-right',
      'interface od multibind\n ip route 10.2.0.0/16 null0 distance 250',
    )
    .replace('tunnel ipsec right', 'tunnel ipsec cpe on-demand')
    .replace(' remote 192.0.2.2', '')
    .replace('local 10.1.0.0/24 remote 10.2.0.0/24', 'local 10.1.0.0/24 remote 10.2.0.0/16')
  return mode === 'circuit'
    ? text.replace('bind interface t-right local', 'bind interface od local')
    : text.replace('bind interface t-right local', 'mode economical')
}

async function states(bed: Bed): Promise<string[]> {
  return (await bed.rows('show tunnel ipsec')).map(({ name, state }) => `${name} ${state}`)
}

async function until(bed: Bed, wanted: string[]): Promise<void> {
  const deadline = performance.now() + PATIENCE
  for (;;) {
    const found = await states(bed)
    if (found.join() === wanted.join()) return
    const logs = `${bed.gateway().lastLog().slice(-20).join('\n')}\n${bed.peer.log().slice(-3000)}`
    assert.ok(performance.now() < deadline, `${found.join()} instead of ${wanted.join()}\n${logs}`)
    await sleep(100)
  }
}

for (const mode of ['circuit', 'economical'] as const)
  interopTest(`a peer at an unknown address comes, goes and comes again, ${mode}`, () => {
    const options = {
      config: template(mode),
      files: OUR_FILES,
      swan: swanConfig({
        suite: AES128_SHA1,
        local: ['auth = psk', 'id = c1.example.net'],
        remote: ['auth = psk', 'id = hub.example.net'],
      }),
    }
    return withBed(options, async (bed) => {
      const device = mode === 'circuit' ? 'od-1' : 'ase0'
      const devices = () => bed.network.run('left', 'ip', '-o', 'link')
      await until(bed, ['cpe down'])
      assert.ok(!devices().includes(device))
      for (let round = 0; round < 2; round++) {
        bed.peer.swanctl('--initiate', '--child', 'net')
        await until(bed, ['cpe up', 'cpe-1 up'])
        assert.match(bed.network.run('left', 'ip', 'route'), new RegExp(`10\\.2\\.0\\.0/24 dev ${device} `))
        const [route] = (await bed.rows('show ip route')).filter(({ source }) => source === 'peer')
        assert.deepEqual([route.prefix, route.target], ['10.2.0.0/24', mode === 'circuit' ? 'od-1' : 'cpe-1'])
        assert.equal(await bed.ping('left', PINGS), PINGS)
        assert.equal(await bed.ping('right', PINGS), PINGS)
        bed.peer.swanctl('--terminate', '--ike', 'peer')
        await until(bed, ['cpe down'])
        assert.ok(!devices().includes(device))
        assert.equal(
          await bed.ping('left', 1, 1_000),
          0,
          'null0 keeps from leaving in clear what no peer takes',
        )
      }
    })
  })
