// Two gateways begin at once, and one IKE_AUTH is slow: two IKE SAs and two pairs for a while, and no packet is sent that
// the other end cannot receive.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IkeBed } from './support/ike-bed.ts'
import { peerA, peerB } from './support/ike-peers.ts'

/** Exchange type and flag R of the IKE header (RFC 7296 §3.1). */
const isAuthRequest = (data: Uint8Array) => data[18] === 35 && (data[19]! & 0x20) === 0

test('nobody sends on the second pair before the other end has it, nor on one that the other end has removed', () => {
  const bed = new IkeBed().configure(peerA(), peerB())
  bed.impairment = (datagram, from) => [from.name === 'b' && isAuthRequest(datagram.data) ? 60 : 20]
  bed.a.initiate()
  bed.b.initiate()
  let most = 0
  for (let now = 0; now < 12_000; now += 5) {
    bed.run(5)
    most = Math.max(most, bed.a.installed.size)
    if (bed.a.installed.size === 0 || bed.b.installed.size === 0) continue
    for (const [one, other] of [
      [bed.a, bed.b],
      [bed.b, bed.a],
    ]) {
      const receives = [...other.installed.values()].map(({ spiIn }) => spiIn)
      assert.ok(receives.includes(one.sender().spiOut), `${one.name} after ${now} ms`)
    }
  }
  assert.equal(most, 2, 'both pairs stood')
  assert.deepEqual([bed.a.installed.size, bed.b.installed.size], [1, 1])
})
