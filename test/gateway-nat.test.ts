// NAT between two gateways: what the card is told about encapsulation and about a peer that moves (RFC 7296 §2.23).

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Bed } from './gateway-bed.ts'
import { pair, type Site, upPair } from './gateway-pair.ts'

/** What the card accepts for the tunnel, whatever this end sends. */
function accepts(bed: Bed): boolean | undefined {
  const [tunnel] = bed.card.tunnels.values()
  return tunnel.anyEncapsulation
}

describe('encapsulation that the card accepts', () => {
  for (const mode of ['auto', 'force'])
    test(`nat-traversal ${mode}: UDP and native ESP, before and after the tunnel is up`, async () => {
      const site: Site = { tunnel: ` nat-traversal ${mode}` }
      const down = pair(site)
      down.a.gateway.start()
      assert.equal(accepts(down.a), true)
      const { a, b } = await upPair(site, site)
      assert.deepEqual([accepts(a), accepts(b)], [true, true])
      const [tunnel] = a.card.tunnels.values()
      assert.equal(tunnel.encapsulation, mode === 'force' ? 'udp' : 'raw')
    })

  test('nat-traversal off: only what this end sends', async () => {
    const site: Site = { tunnel: ' nat-traversal off' }
    const { a } = await upPair(site, site)
    assert.equal(accepts(a), false)
  })

  test('manual keys: only what is configured, for nothing was negotiated', () => {
    const key = 'hex 00112233445566778899aabbccddeeff'
    const hash = 'hex 000102030405060708090a0b0c0d0e0f10111213'
    const sa = `encryption aes-128 key ${key} authentication sha1 key ${hash}`
    const bed = new Bed(`ipsec sa keys
 outbound esp spi 4096 ${sa}
 inbound esp spi 4097 ${sa}
tunnel ipsec m manual
 mode economical
 nat-traversal force
 peer-end-point local 198.51.100.1 remote 192.0.2.99
 seq 10 ipsec-sa keys
`)
    bed.gateway.start()
    assert.equal(accepts(bed), false)
  })
})
