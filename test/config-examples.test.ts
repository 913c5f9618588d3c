// The examples of the language (section 8), as whole files: what loads, what is refused, and what the gateway reads.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { describeSelector } from '../control/address.ts'
import type { Config } from '../control/config/model.ts'
import {
  childLifetimeOf,
  childProposalsOf,
  dpdOf,
  ikeLifetimeOf,
  ikePolicyOf,
  ikeProposalsOf,
  interfaceOf,
  ipsecPolicyOf,
  localIdOf,
  mtuCeilingOf,
  remoteIdOf,
  routesOf,
} from '../control/config/resolve.ts'
import { selectorsOf } from '../control/config/selectors.ts'
import { codes, example, load } from './config/bench.ts'

const tunnelOf = (config: Config, name: string) => config.tunnels.get(name)!
const policyOf = (config: Config, name: string) => ikePolicyOf(config, tunnelOf(config, name))!
const selectorTexts = (config: Config, name: string) => {
  const { local, remote } = selectorsOf(config, tunnelOf(config, name))
  return [local.map(describeSelector), remote.map(describeSelector)]
}

describe('figure3', () => {
  const { config, errors, warnings } = load(example('figure3'))

  it('loads, and says what of it has no effect yet', () => {
    assert.deepEqual(errors, [])
    assert.deepEqual(codes(warnings), [])
  })

  it('is one tunnel with certificates', () => {
    const policy = policyOf(config, 'pe1-pe2')
    assert.deepEqual(
      [policy.localAuth, policy.remoteAuth, policy.identity, policy.trust],
      ['rsa-signature', 'rsa-signature', 'pe1', 'provider-ca'],
    )
    assert.deepEqual(ikeProposalsOf(config, policy), [
      { encryption: 'aes-256', integrity: 'sha256', prf: 'sha256', dhGroup: 14 },
    ])
    assert.deepEqual(childProposalsOf(config, tunnelOf(config, 'pe1-pe2')), [
      { cipher: 'aes-256', integrity: 'sha256', esn: false, dhGroup: 14 },
    ])
    assert.deepEqual(localIdOf(policy, '198.51.100.1', 'CN=pe1'), { kind: 'fqdn', value: 'pe1.example.net' })
    assert.deepEqual(remoteIdOf(policy, '203.0.113.1'), { kind: 'fqdn', value: 'pe2.example.net' })
  })

  it('is a circuit with its interface and routes', () => {
    const tunnel = tunnelOf(config, 'pe1-pe2')
    assert.deepEqual(interfaceOf(config, tunnel)?.addresses, ['169.254.10.0/31'])
    assert.deepEqual(routesOf(config, tunnel), ['10.2.1.0/24', '10.2.2.0/24'])
    assert.equal(mtuCeilingOf(config, tunnel), 1400)
    assert.deepEqual(selectorTexts(config, 'pe1-pe2'), [
      ['0.0.0.0/0', '::/0'],
      ['0.0.0.0/0', '::/0'],
    ])
  })
})

describe('figure5', () => {
  it('is refused for its log server and management alone', () => {
    assert.deepEqual(codes(load(example('figure5')).errors), [
      '19 unsupported',
      '21 unsupported',
      '22 unsupported',
      '23 unsupported',
    ])
  })

  it('loads without them', () => {
    const { config, errors, warnings } = load(example('figure5').split('security service')[0])
    assert.deepEqual([errors, warnings], [[], []])
    assert.deepEqual(selectorTexts(config, 'r3'), [['10.255.0.1'], ['10.255.0.3']])
    assert.deepEqual(routesOf(config, tunnelOf(config, 'pe2')), ['10.255.0.2/32'])
    assert.equal(config.contexts.get('local')?.routes[0].source, '10.255.0.1')
  })

  it('uses the defaults of a policy with nothing but a key', () => {
    const { config } = load(example('figure5').split('security service')[0])
    const tunnel = tunnelOf(config, 'pe2')
    const policy = policyOf(config, 'pe2')
    assert.deepEqual(ikeProposalsOf(config, policy), [
      { encryption: 'aes-gcm-256', integrity: null, prf: 'sha256', dhGroup: 31 },
      { encryption: 'aes-256', integrity: 'sha256', prf: 'sha256', dhGroup: 14 },
    ])
    assert.deepEqual(childProposalsOf(config, tunnel), [
      { cipher: 'aes-gcm-256', integrity: null, esn: false, dhGroup: null },
      { cipher: 'aes-256', integrity: 'sha256', esn: false, dhGroup: null },
    ])
    assert.equal(ikeLifetimeOf(config, policy), 28_800)
    assert.deepEqual(childLifetimeOf(ipsecPolicyOf(config, tunnel)!), { seconds: 3600, bytes: 0, packets: 0 })
    assert.deepEqual(dpdOf(config, policy), { interval: 30, retries: 3 })
    assert.deepEqual(localIdOf(policy, '198.51.100.1', null), { kind: 'address', value: '198.51.100.1' })
    assert.deepEqual(remoteIdOf(policy, '203.0.113.1'), { kind: 'address', value: '203.0.113.1' })
    assert.deepEqual(policy.psk.local, { kind: 'file', path: '/etc/asegate/psk/pe1-pe2' })
  })
})

describe('manual', () => {
  it('loads with a warning', () => {
    const { config, errors, warnings } = load(example('manual'))
    assert.deepEqual([errors, codes(warnings)], [[], ['6 manual-key']])
    const [outbound, inbound] = config.ipsecSas.get('ems-keys')!.sas
    assert.deepEqual(
      [outbound.direction, outbound.spi, inbound.direction, inbound.spi],
      ['outbound', 4096, 'inbound', 4097],
    )
    assert.deepEqual(outbound.authentication, {
      integrity: 'sha1',
      key: { kind: 'file', path: '/etc/asegate/keys/out' },
    })
  })
})

describe('on-demand', () => {
  it('loads, and warns that OSPF will not run over it', () => {
    const { config, errors, warnings } = load(example('on-demand'))
    assert.deepEqual([errors, codes(warnings)], [[], ['16 no-multicast']])
    const { kind, maxTunnels, bind, remote } = tunnelOf(config, 'cpe')
    assert.deepEqual([kind, maxTunnels, bind?.interface, remote], ['on-demand', 16, 'od', undefined])
    assert.deepEqual(policyOf(config, 'cpe').remoteId, { kind: 'dn', value: 'O=Customer, CN=*' })
  })
})

describe('examples of what is not built yet', () => {
  const expected: [name: string, errors: string[], warnings: string[]][] = [
    ['figure4', ['13 unsupported'], ['13 ikev1', '26 no-multicast']],
    ['bundle', ['6 unsupported', '11 unsupported'], ['6 ikev1', '9 gated']],
    ['qos', ['5 unsupported', '8 unsupported'], []],
  ]
  for (const [name, errors, warnings] of expected) {
    it(`${name} is refused for exactly that`, () => {
      const found = load(example(name))
      assert.deepEqual(codes(found.errors), errors)
      assert.deepEqual(codes(found.warnings), warnings)
    })
  }
})

describe('figure4', () => {
  const { config } = load(example('figure4'))

  it('authenticates each side in its own way', () => {
    const policy = policyOf(config, 'cpe-a')
    assert.deepEqual([policy.localAuth, policy.remoteAuth], ['rsa-signature', 'pre-shared-key'])
    assert.deepEqual(policy.psk, { remote: { kind: 'file', path: '/etc/asegate/psk/cpe-a' } })
  })

  it('gives "any" the family of its partner', () => {
    assert.deepEqual(selectorTexts(config, 'cpe-a'), [['0.0.0.0/0'], ['10.1.1.0/24']])
  })
})
