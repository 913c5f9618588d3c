// `additional-ke` from the configuration to the SAs of two gateways and what show says about them (RFC 9370).

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { POLICY, run, TUNNEL } from './config/cases.ts'
import { type Bed, pass } from './gateway-bed.ts'
import { assertMirrored, pair, type Site, upPair } from './gateway-pair.ts'

const hybrid: Site = {
  proposal: 'aes-128\n additional-ke mlkem-768\n additional-ke mlkem-512\n additional-ke mlkem-768',
  ipsec: ' perfect-forward-secrecy dh-group 31\n additional-ke mlkem-1024',
}

const outboundSpi = async (bed: Bed) => (await bed.ask('show ipsec sa')).find((each) => each.sending)?.spi

describe('additional-ke between two gateways', () => {
  test('is agreed on, shown, and part of every renewal', async () => {
    const { a, b, wire, beds } = await upPair(hybrid, hybrid)
    assert.deepEqual((await a.ask('show ike sa'))[0].additionalKe, ['mlkem-768', 'mlkem-512'])
    assert.deepEqual((await a.ask('show ike proposal'))[0].additionalKe, ['mlkem-768', 'mlkem-512'])
    const before = await outboundSpi(a)
    await pass(3_600_000, wire, ...beds)
    assert.notEqual(await outboundSpi(a), before, 'the Child SA was renewed')
    assertMirrored(a, b)
    assertMirrored(b, a)
    const ups = b.lines.filter((line) => line.includes('IKE SA up'))
    assert.equal(ups.length, 1, 'on the same IKE SA')
  })

  test('that only one end has is named in the report', async () => {
    const { a, b, wire, beds } = pair(hybrid, { policy: ' role responder' })
    a.gateway.start()
    b.gateway.start()
    await pass(20_000, wire, ...beds)
    assert.match(b.lines.join(''), /a proposal of ours with additional-ke mlkem-768/)
    assert.notEqual((await a.ask('show tunnel ipsec'))[0].state, 'up')
  })
})

describe('additional-ke in the configuration', () => {
  const proposal =
    'ike proposal x\n encryption aes-256\n authentication sha256\n dh-group 14\n additional-ke mlkem-1024\n'
  run([
    {
      name: 'version 2 has it',
      text: `${proposal}${POLICY} seq 1 proposal x\n${TUNNEL}`,
    },
    {
      name: 'version 1 has not',
      text: `${proposal}ike policy p\n version 1\n pre-shared-key file k\n seq 1 proposal x\n${TUNNEL} ipsec-policy q\nipsec policy q\n perfect-forward-secrecy dh-group 14\n additional-ke mlkem-512\n`,
      errors: ['7 unsupported', '9 version', '14 version'],
      warnings: ['7 ikev1'],
      says: /IKE version 1 has no additional-ke, but ipsec policy q does/,
    },
    {
      name: 'an IPsec policy only with perfect-forward-secrecy',
      text: 'ipsec policy q\n additional-ke mlkem-512\n additional-ke mlkem-768\n',
      errors: ['2 integrity', '3 integrity'],
      says: /without perfect-forward-secrecy; add/,
    },
  ])
})
