// What a commit does to each tunnel.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { diffConfigs, filesOf, planFindings } from '../control/config/diff.ts'
import { parseConfig } from '../control/config/parse.ts'
import { example, FILE } from './config/bench.ts'

const parse = (text: string) => parseConfig(FILE, text).config
const plan = (before: string, after: string) =>
  diffConfigs(parse(before), parse(after)).map(
    ({ tunnel, action, reason }) => `${tunnel} ${action}: ${reason}`,
  )

describe('a commit', () => {
  const figure3 = example('figure3')
  const figure5 = example('figure5')

  it('keeps what did not change, wherever it stands in the file', () => {
    assert.deepEqual(plan(figure3, `! moved down\n\n${figure3}`), ['pe1-pe2 keep: unchanged'])
    assert.deepEqual(plan(figure5, figure5), ['pe2 keep: unchanged', 'r3 keep: unchanged'])
  })

  it('adds, and deletes', () => {
    assert.deepEqual(
      diffConfigs(null, parse(figure3)).map(({ tunnel, action }) => [tunnel, action]),
      [['pe1-pe2', 'add']],
    )
    assert.deepEqual(plan(figure3, figure5), [
      'pe2 add: new',
      'r3 add: new',
      'pe1-pe2 delete: no longer configured',
    ])
  })

  it('changes only the tunnels that a changed object serves', () => {
    const other = figure5.replace('psk/pe1-r3', 'psk/new')
    assert.deepEqual(plan(figure5, other), ['pe2 keep: unchanged', 'r3 change: changed: ike policy r3'])
  })

  const changes: [what: string, from: string, to: string, reason: string][] = [
    ['an own statement', 'remote 203.0.113.1', 'remote 203.0.113.2', 'peer-end-point'],
    ['a new own statement', ' alarms', ' nat-traversal force', 'nat-traversal'],
    ['the ike policy', 'trust provider-ca', 'trust other-ca', 'ike policy to-pe2'],
    ['the ike proposal', 'prf sha256', 'prf sha512', 'ike proposal p1'],
    ['the ipsec policy', 'secrecy dh-group 14', 'secrecy dh-group 19', 'ipsec policy data'],
    ['the ipsec proposal', 'esp encryption aes-256', 'esp encryption aes-128', 'ipsec proposal e1'],
    ['the interface', 'ip address 169.254.10.0/31', 'ip mtu 1300', 'interface t-pe2'],
    ['the pool', ' asp 2\n', '', 'asp pool pool1'],
    ['a port', 'context local', 'ike port 501\ncontext local', 'ike port'],
    ['the NAT keepalive', 'context local', 'ike nat-keepalive 5\ncontext local', 'ike nat-keepalive'],
    ['the liveness', 'context local', 'ike keepalive interval 5\ncontext local', 'ike keepalive'],
    ['the store', 'context local', 'pki store other\ncontext local', 'pki store'],
    [
      'an identity',
      'context local',
      'pki identity pe1 key file a certificate file b\ncontext local',
      'pki identity pe1',
    ],
    ['a CRL', 'context local', 'pki crl x file y\ncontext local', 'pki crl'],
  ]
  for (const [what, from, to, reason] of changes) {
    it(`changes a tunnel when ${what} does, and names it`, () => {
      assert.ok(figure3.includes(from))
      const [line] = plan(figure3, figure3.replace(from, to))
      assert.ok(line.startsWith('pe1-pe2 change: changed: '), line)
      assert.ok(
        line
          .replace(/^.*?changed: /, '')
          .split(', ')
          .some((each) => each === reason),
        line,
      )
    })
  }

  it('leaves SAs alone when routes, other tunnels or words change', () => {
    assert.deepEqual(plan(figure3, figure3.replace('10.2.2.0', '10.9.9.0')), ['pe1-pe2 keep: unchanged'])
    assert.deepEqual(plan(figure3, `${figure3} description "to Kiel"\n extranet`), [
      'pe1-pe2 keep: unchanged',
    ])
    assert.deepEqual(plan(figure3, `${figure3}ike proposal unused\n lifetime 5`), ['pe1-pe2 keep: unchanged'])
  })

  it('sees manual keys and access lists', () => {
    const manual = example('manual')
    assert.deepEqual(plan(manual, manual.replace('spi 4097', 'spi 4098')), [
      'ems change: changed: ipsec sa ems-keys',
    ])
    assert.deepEqual(plan(manual, manual.replace('key hex 0011', 'key hex 0012')), [
      'ems change: changed: ipsec sa ems-keys',
    ])
    const qos = example('qos')
    assert.deepEqual(plan(qos, qos.replace('port 23', 'port 24')), [
      'pe1-pe2 change: changed: access-list classes',
    ])
    assert.deepEqual(plan(qos, qos.replace('priority 7', 'priority 6')), [
      'pe1-pe2 change: changed: qos-policy pq',
    ])
  })

  it('sees that a file has other content when its caller does', () => {
    const config = parse(figure5)
    assert.deepEqual(filesOf(config, config.tunnels.get('r3')!), ['/etc/asegate/psk/pe1-r3'])
    const files = filesOf(parse(figure3), parse(figure3).tunnels.get('pe1-pe2')!)
    assert.deepEqual(
      files.map((path) => path.replace('/etc/asegate/pki/', '')),
      ['private/pe1.pem', 'certs/pe1.pem', 'trust/provider-ca.pem'],
    )
    const changed = diffConfigs(config, config, (path) => path.endsWith('pe1-r3'))
    assert.deepEqual(
      changed.map(({ action, reason }) => [action, reason]),
      [
        ['keep', 'unchanged'],
        ['change', 'changed: content of /etc/asegate/psk/pe1-r3'],
      ],
    )
  })

  it('prints as lines of a plan', () => {
    assert.deepEqual(planFindings(diffConfigs(null, parse('\ntunnel ipsec a'))), [
      { line: 2, code: 'add', message: 'tunnel a: new' },
    ])
  })
})
