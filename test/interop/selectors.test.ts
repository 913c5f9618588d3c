// Several traffic selectors in one Child SA with strongSwan 5.9.8, narrowing in both roles, and traffic over each.

import assert from 'node:assert/strict'
import { ping } from '../../control/cli/lab-ping.ts'
import { type Bed, interopTest, withBed } from './bed.ts'
import { AES128_SHA1, OUR_FILES, ourConfig, swanConfig } from './config.ts'

const PINGS = 5
const PATIENCE = 10_000 // ms, where replies are expected
const GLANCE = 1_000 // ms, where none may come
const OURS = ['10.1.0.0/24', '10.11.0.0/24']
const THEIRS = ['10.2.0.0/24', '10.22.0.0/24']

type Sides = { source: string[]; destination: string[] }

/** Our file with these selector lines, and a route to the peer's second network. */
function ours(role: 'initiator' | 'responder', selectors: [local: string, remote: string][]): string {
  const lines = selectors.map(([local, remote]) => ` traffic-selector local ${local} remote ${remote}`)
  return ourConfig({ suite: AES128_SHA1, role })
    .replace(/ traffic-selector .*/, lines.join('\n'))
    .replace(' ip route', ' ip route 10.22.0.0/24 interface t-right\n ip route')
}

function theirs(local: string[], remote: string[]) {
  const swan = swanConfig({ suite: AES128_SHA1 })
  const connection = swan.connection
    .replace('local_ts = 10.2.0.0/24', `local_ts = ${local.join(',')}`)
    .replace('remote_ts = 10.1.0.0/24', `remote_ts = ${remote.join(',')}`)
  return { ...swan, connection }
}

/** A second network on each side; strongSwan wants an address of its own in each of its selectors. */
function widen({ network }: Bed): void {
  const add = (room: Parameters<typeof network.run>[0], address: string, device: string) =>
    network.run(room, 'ip', 'address', 'add', address, 'dev', device)
  add('lan-left', '10.11.0.2/24', 'eth0')
  add('left', '10.11.0.1/24', 'lan')
  add('lan-right', '10.22.0.2/24', 'eth0')
  add('right', '10.22.0.1/24', 'lan')
}

/** Echo replies from the left LAN, by source and destination address. */
async function reached(bed: Bed, source: string, destination: string, patience = PATIENCE): Promise<number> {
  const probe = { from: 'left', to: 'right', source, destination }
  const { received } = await ping(bed.network.fd('lan-left'), probe, bed.marker, PINGS, patience)
  return received
}

async function negotiated(bed: Bed): Promise<Sides> {
  const rows = await bed.rows('show ipsec sa')
  assert.equal(rows.length, 2)
  const { source, destination } = rows.find(({ direction }) => direction === 'out')!.selectors as Sides
  return { source: source.toSorted(), destination: destination.toSorted() }
}

for (const role of ['initiator', 'responder'] as const) {
  const begin = async (bed: Bed) => {
    widen(bed)
    if (role === 'responder') bed.peer.swanctl('--initiate', '--child', 'net')
    await bed.reach('up')
  }

  interopTest(`two networks on each side in one Child SA, we are ${role}`, () =>
    withBed(
      {
        config: ours(role, [
          [OURS[0], THEIRS[0]],
          [OURS[1], THEIRS[1]],
        ]),
        files: OUR_FILES,
        swan: theirs(THEIRS, OURS),
      },
      async (bed) => {
        await begin(bed)
        assert.deepEqual(await negotiated(bed), { source: OURS, destination: THEIRS })
        for (const source of ['10.1.0.2', '10.11.0.2'])
          for (const destination of ['10.2.0.2', '10.22.0.2'])
            assert.equal(await reached(bed, source, destination), PINGS, `${source} to ${destination}`)
      },
    ),
  )

  interopTest(`the narrower side decides, we are ${role}`, async () => {
    const wideHere = { config: ours(role, [['any', 'any']]), swan: theirs(THEIRS, [OURS[0]]) }
    const wideThere = {
      config: ours(role, [[OURS[0], '10.0.0.0/8']]),
      swan: theirs(THEIRS, ['0.0.0.0/0']),
    }
    for (const { config, swan } of [wideHere, wideThere])
      await withBed({ config, swan, files: OUR_FILES }, async (bed) => {
        await begin(bed)
        assert.deepEqual(await negotiated(bed), { source: [OURS[0]], destination: THEIRS })
        assert.equal(await reached(bed, '10.1.0.2', '10.22.0.2'), PINGS)
        assert.equal(await reached(bed, '10.11.0.2', '10.2.0.2', GLANCE), 0, 'outside the selectors')
        const drops = await bed.rows('show counters drop')
        assert.ok(
          drops.some(({ reason }) => /selector/.test(String(reason))),
          JSON.stringify(drops),
        )
      })
  })
}
