// Two gateways with one circuit tunnel between them, for the tests that drive them over ports made by hand.

import assert from 'node:assert/strict'
import { Bed, BedWire, pass } from './gateway-bed.ts'

export const LEFT = '198.51.100.1'
export const RIGHT = '203.0.113.1'

/** What differs between the two sides: lines put into the sections of the configuration. */
export type Site = {
  tunnel?: string
  policy?: string
  routes?: string
  global?: string
  ipsec?: string
  psk?: string
  proposal?: string
}

/** One circuit tunnel `t` on device `t1` towards `net`. */
export function circuit(local: string, remote: string, net: string, site: Site = {}): string {
  return `${site.global ?? ''}
context local
 interface t1
  ip address 169.254.10.0/31
 ip route ${net} interface t1 ${site.routes ?? ''}
ike proposal p
 encryption ${site.proposal ?? 'aes-128'}
 authentication sha1
 dh-group 31
ike policy peer
 seq 10 proposal p
 pre-shared-key text "${site.psk ?? 'a key of more than sixteen bytes'}"
 dpd interval 10 retries 3
${site.policy ?? ''}
ipsec proposal e
 esp encryption aes-128
 esp authentication sha1
ipsec policy data
 seq 10 proposal e
${site.ipsec ?? ''}
tunnel ipsec t
 peer-end-point local ${local} remote ${remote}
 bind interface t1 local
 ike-policy peer
 ipsec-policy data
${site.tunnel ?? ''}
`
}

/** Two gateways on one wire, not started. */
export function pair(left: Site = {}, right: Site = {}) {
  const wire = new BedWire()
  const a = new Bed(circuit(LEFT, RIGHT, '10.2.0.0/16', left), { wire, address: LEFT })
  const b = new Bed(circuit(RIGHT, LEFT, '10.1.0.0/16', right), { wire, address: RIGHT })
  return { wire, a, b, beds: [a, b] as const }
}

/** Both up, with one Child SA. */
export async function upPair(left: Site = {}, right: Site = {}) {
  const bed = pair(left, { policy: ' role responder', ...right })
  bed.a.gateway.start()
  bed.b.gateway.start()
  await pass(200, bed.wire, ...bed.beds)
  assert.equal(await stateOf(bed.a), 'up', bed.a.lines.join(''))
  assert.equal(await stateOf(bed.b), 'up', bed.b.lines.join(''))
  return bed
}

export async function stateOf(bed: Bed): Promise<unknown> {
  return (await bed.ask('show tunnel ipsec'))[0].state
}

export async function reasonOf(bed: Bed): Promise<unknown> {
  return (await bed.ask('show tunnel ipsec'))[0].reason
}

/** What one card sends with, the other receives with. */
export function assertMirrored(a: Bed, b: Bed) {
  const [sends] = a.card.of('out').filter(({ active }) => active)
  const receives = b.card.of('in').find(({ sa }) => sa.spi === sends?.sa.spi)
  assert.ok(sends && receives, 'the SA that sends has no counterpart')
  assert.deepEqual(sends.sa.encryptionKey, receives.sa.encryptionKey)
  assert.deepEqual(sends.sa.integrityKey, receives.sa.integrityKey)
  assert.ok(sends.sa.encryptionKey.some((byte) => byte !== 0))
}
