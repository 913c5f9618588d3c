// Handshakes with strongSwan 5.9.8 over a wire that loses a fifth of the packets and doubles a fifth, both ways, on a NAT
// box between the two (security R5): up within a minute, one IKE SA, one pair of SAs.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bed, interopTest, withBed } from './bed.ts'
import { AES128_SHA1, OUR_FILES, ourConfig, swanConfig } from './config.ts'
import { INSIDE_ADDRESS, insertNat, type NatBox } from './nat-network.ts'

const HANDSHAKES = 3
const PATIENCE = 60_000 // ms for one
const PINGS = 5

/** On the box: its inside is ours, its outside the peer's. Doubled after translation, lost before. */
const ROUGH = `table ip rough {
  chain lost {
    type filter hook forward priority 0 ;
    meta l4proto udp numgen random mod 5 == 0 counter drop
  }
  chain doubled {
    type filter hook postrouting priority 200 ;
    meta l4proto udp oifname "outside" numgen random mod 5 == 0 dup to 192.0.2.2 device "outside"
    meta l4proto udp oifname "inside" numgen random mod 5 == 0 dup to ${INSIDE_ADDRESS} device "inside"
  }
}`

async function spis(bed: Bed): Promise<Set<unknown>> {
  return new Set((await bed.rows('show ipsec sa')).map(({ spi }) => spi))
}

/** A new IKE SA in the place of the old one, and one pair of SAs under it. */
async function renewed(bed: Bed, before: Set<unknown>): Promise<void> {
  const deadline = performance.now() + PATIENCE
  for (;;) {
    const now = await spis(bed)
    const isUp = (await bed.tunnel()).state === 'up' && now.size === 2 && now.isDisjointFrom(before)
    if (isUp && (await bed.rows('show ike sa')).length === 1) return
    assert.ok(performance.now() < deadline, `not up within a minute: ${bed.peer.log().slice(-3000)}`)
    await sleep(50)
  }
}

/** The peer may still have to learn which SA is gone. */
async function flowing(bed: Bed, from: 'left' | 'right'): Promise<void> {
  const deadline = performance.now() + PATIENCE
  while ((await bed.ping(from, PINGS, 1_000)) < PINGS)
    assert.ok(performance.now() < deadline, `no traffic from the ${from}: ${bed.peer.log().slice(-3000)}`)
}

interopTest('handshakes through 20 % loss and duplication', async () => {
  const suite = AES128_SHA1
  const identities = ['local-id fqdn left', 'remote-id fqdn right']
  const config = ourConfig({ suite, role: 'initiator', policy: identities })
  const swan = swanConfig({ suite, local: ['auth = psk', 'id = right'], remote: ['auth = psk', 'id = left'] })
  let box: NatBox | null = null
  await withBed(
    {
      config: config.replace('local 192.0.2.1', `local ${INSIDE_ADDRESS}`),
      files: OUR_FILES,
      swan,
      prepare: (network) => {
        box = insertNat(network, { behind: 'left', remaps: false })
        return box.remove
      },
    },
    async (bed) => {
      await bed.reach('up')
      box!.run('nft', ROUGH)
      for (let count = 0; count < HANDSHAKES; count++) {
        const before = await spis(bed)
        await bed.rows('clear tunnel ipsec right')
        await renewed(bed, before)
      }
      const drops = box!.run('nft', 'list', 'ruleset')
      box!.run('nft', 'delete', 'table', 'ip', 'rough')
      assert.match(drops, /dup to/)
      for (const from of ['left', 'right'] as const) await flowing(bed, from)
      assert.equal((await bed.rows('show ike sa')).length, 1)
    },
  )
})
