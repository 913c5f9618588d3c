// What a gate let through is loud, as long as it is in use (security section 5, rule 2; features P18): a warning at load,
// a line in the log and a count at each set-up and renewal of an IKE SA and a Child SA, a mark in show.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '../control/config/load.ts'
import { type Bed, pass } from './gateway-bed.ts'
import { circuit, LEFT, RIGHT, type Site, upPair } from './gateway-pair.ts'

const weak: Site = {
  global: `legacy-crypto permit
insecure-crypto permit "an old peer"
ike proposal weak
 encryption 3des
 authentication md5
 dh-group 5
ipsec proposal weak
 esp encryption des
 esp authentication md5`,
  policy: ' seq 5 proposal weak',
  ipsec: ' seq 5 proposal weak\n perfect-forward-secrecy dh-group 2',
}
const IKE = ['legacy-crypto 3des', 'insecure-crypto md5', 'insecure-crypto md5', 'legacy-crypto group 5']
const CHILD = ['insecure-crypto des', 'insecure-crypto md5']

const warnings = (bed: Bed) => bed.lines.filter((line) => line.includes('weak cryptography in use'))

async function upWeak() {
  const right = { ...weak, policy: `${weak.policy}\n role responder` }
  return upPair(weak, right)
}

test('at load, in the log, in show, in the counters', async () => {
  const files = {
    read: () => new Uint8Array(),
    readSecret: () => new Uint8Array(),
    list: () => [],
    exists: () => false,
  }
  const loaded = loadConfig('site.conf', circuit(LEFT, RIGHT, '10.2.0.0/16', weak), files)
  const gated = loaded.warnings.filter(({ code }) => code === 'gated')
  assert.equal(gated.length, 6, '3des, md5, group 5; des, md5; group 2')
  const { a } = await upWeak()
  assert.deepEqual((await a.ask('show ike sa'))[0].gate, IKE)
  for (const sa of await a.ask('show ipsec sa')) assert.deepEqual(sa.gate, CHILD)
  assert.deepEqual(
    new Set((await a.ask('show tunnel ipsec'))[0].gate as string[]),
    new Set([...IKE, ...CHILD]),
  )
  const [ike, child] = warnings(a)
  assert.match(ike, /legacy-crypto 3des, insecure-crypto md5, insecure-crypto md5, legacy-crypto group 5/)
  assert.match(child, /insecure-crypto des, insecure-crypto md5/)
  for (const line of [ike, child]) assert.match(line, /an old peer/)
  const counts = a.gateway.tally.of('gated_sa_setups')
  const count = (item: string) => counts.find(({ labels }) => labels.item === item)?.value
  assert.deepEqual(['3des', 'md5', 'group 5', 'des'].map(count), [1, 3, 1, 1])
})

test('at each renewal again, with the group of perfect-forward-secrecy', async () => {
  const { a, wire, beds } = await upWeak()
  const before = warnings(a).length
  const ipsec = (await a.ask('show ipsec sa'))[0].spi
  await pass(3_600_000, wire, ...beds)
  assert.notEqual((await a.ask('show ipsec sa'))[0].spi, ipsec)
  for (const sa of await a.ask('show ipsec sa'))
    assert.deepEqual(sa.gate, [...CHILD, 'legacy-crypto group 2'])
  assert.ok(
    warnings(a)
      .slice(before)
      .every((line) => line.includes('legacy-crypto group 2')),
  )
  const ike = (await a.ask('show ike sa'))[0].initiatorSpi
  const children = warnings(a).length
  await pass(8 * 3_600_000, wire, ...beds)
  assert.notEqual((await a.ask('show ike sa'))[0].initiatorSpi, ike)
  assert.ok(
    warnings(a)
      .slice(children)
      .some((line) => line.includes('legacy-crypto 3des')),
  )
})
