// The configuration language: text rules, modes, and what each statement means.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseConfig } from '../control/config/parse.ts'
import { codes, FILE } from './config/bench.ts'

const parse = (text: string) => parseConfig(FILE, text)
const good = (text: string) => {
  const { config, errors } = parse(text)
  assert.deepEqual(errors, [])
  return config
}
const message = (text: string): string => {
  const { errors } = parse(text)
  assert.equal(errors.length, 1, JSON.stringify(errors))
  return `${errors[0].line} ${errors[0].code}: ${errors[0].message}`
}

describe('lines and words', () => {
  it('ignore indentation, blank lines, comments, a byte order mark and carriage returns', () => {
    const config = good(
      '\uFEFF! head\r\n\r\n\t  context   local ! tail\r\ninterface t-a\r\n      ip mtu 1300\r\n',
    )
    assert.equal(config.contexts.get('local')?.interfaces.get('t-a')?.mtu, 1300)
  })

  it('take strings bare or quoted, with two escapes', () => {
    const config = good('tunnel ipsec a\n description "say \\"hi\\" \\\\ now! " ! why\n')
    assert.equal(config.tunnels.get('a')?.description, 'say "hi" \\ now! ')
    assert.equal(good('tunnel ipsec a\n description ""').tunnels.get('a')?.description, '')
  })

  it('refuse what could be read in two ways', () => {
    assert.match(message('tunnel ipsec a\n description pass!word'), /^2 syntax: "!" inside the word/)
    assert.match(message('tunnel ipsec a\n description a"b"'), /^2 syntax: a quote inside/)
    assert.match(message('tunnel ipsec a\n description "a"b'), /^2 syntax: a blank must follow/)
    assert.match(message('tunnel ipsec a\n description "a'), /^2 syntax: .* no closing quote/)
    assert.match(message('tunnel ipsec a\n description "a\\n"'), /^2 syntax: .* backslash/)
    assert.match(message('tunnel ipsec a\n description a\u0007'), /^2 syntax: a control character/)
  })

  it('take numbers decimal or 0x', () => {
    assert.equal(good('ike cookie-threshold 0x1F').cookieThreshold, 31)
  })

  it('take paths relative to the file, wherever it lies', () => {
    const pki = (file: string) => parseConfig(file, 'pki store keys\npki trust ca file /ca.pem').config.pki
    assert.equal(pki('/etc/asegate/gateway.conf').store, '/etc/asegate/keys')
    assert.equal(pki('lab/a.conf').store, 'lab/keys')
    assert.equal(pki('a.conf').store, 'keys')
    assert.equal(pki('lab/a.conf').trust.get('ca')?.path, '/ca.pem')
  })

  it('a quoted word is no keyword', () => {
    assert.match(message('"context" local'), /^1 syntax: unknown statement/)
  })
})

describe('modes', () => {
  it('close by a line that is unknown in them, however deep', () => {
    const config = good(`
      context local
       interface t-a
        ip address 10.0.0.1/24
       ip route 10.1.0.0/16 null0
       interface t-b
        shutdown
      ike proposal p
       lifetime 100
      tunnel ipsec a
       ip mtu 1300`)
    assert.deepEqual([...config.contexts.get('local')!.interfaces.keys()], ['t-a', 't-b'])
    assert.equal(config.contexts.get('local')?.routes.length, 1)
    assert.equal(config.ikeProposals.get('p')?.lifetime, 100)
    assert.equal(config.tunnels.get('a')?.mtu, 1300)
  })

  it('close by exit, one at a time', () => {
    const config = good(
      'context local\ninterface t-a\nexit\nip route 10.0.0.0/8 null0\nexit\nike cookie-threshold 5',
    )
    assert.equal(config.cookieThreshold, 5)
    assert.match(message('context local\nexit\nexit'), /^3 syntax: "exit" closes a mode, and none is open/)
  })

  it('re-open when their object is named again', () => {
    const config = good('tunnel ipsec a\n mode economical\nike policy p\ntunnel ipsec a\n shutdown')
    const tunnel = config.tunnels.get('a')!
    assert.deepEqual([tunnel.mode, tunnel.shutdown, tunnel.line], ['economical', true, 1])
    assert.equal(config.tunnels.size, 1)
  })

  it('remember the line of every single-valued statement', () => {
    const policy = good('ike policy p\n\n role responder\n pre-shared-key remote file k').ikePolicies.get(
      'p',
    )!
    assert.deepEqual(policy.lines, { role: 3, 'pre-shared-key remote': 4 })
  })
})

describe('a statement given twice', () => {
  it('counts the last time, with a warning', () => {
    const { config, warnings } = parse(
      'ike proposal p\n lifetime 100\n lifetime 200\nike proposal p\n lifetime 300',
    )
    assert.equal(config.ikeProposals.get('p')?.lifetime, 300)
    assert.deepEqual(codes(warnings), ['3 duplicate', '5 duplicate'])
  })

  it('is told apart from one that may repeat', () => {
    const { config, warnings } = parse(`
      tunnel ipsec a
       traffic-selector local any remote 10.0.0.0/8
       traffic-selector local any remote 10.0.0.0/8
       seq 10 ipsec-sa x
       seq 20 ipsec-sa y
       seq 10 ipsec-sa z`)
    const tunnel = config.tunnels.get('a')!
    assert.equal(tunnel.selectors.length, 2)
    assert.deepEqual(
      tunnel.manualSas.map((entry) => entry.name),
      ['z', 'y'],
    )
    assert.deepEqual(codes(warnings), ['7 duplicate'])
  })

  it('replaces a route of the same prefix and distance only', () => {
    const { config, warnings } = parse(`
      context local
       ip route 10.0.0.0/8 null0
       ip route 10.0.0.0/8 null0 distance 250
       ip route 10.0.0.0/8 tunnel a distance 1`)
    assert.deepEqual(
      config.contexts.get('local')?.routes.map((route) => [route.distance, route.nextHop.kind]),
      [
        [1, 'tunnel'],
        [250, 'null0'],
      ],
    )
    assert.deepEqual(codes(warnings), ['5 duplicate'])
  })
})

describe('statements', () => {
  it('hold the defaults of the language where they are not given', () => {
    const config = good('tunnel ipsec a\nike policy p\nike proposal q\nipsec policy r')
    const { kind, mode, natTraversal, start, ipsecPolicy, tcpMss, selectors } = config.tunnels.get('a')!
    assert.deepEqual(
      { kind, mode, natTraversal, start, ipsecPolicy, tcpMss, selectors },
      {
        kind: 'static',
        mode: 'circuit',
        natTraversal: 'auto',
        start: 'immediate',
        ipsecPolicy: 'default',
        tcpMss: 'auto',
        selectors: [],
      },
    )
    const policy = config.ikePolicies.get('p')!
    assert.deepEqual(
      [policy.version, policy.role, policy.localAuth, policy.remoteAuth],
      [2, 'both', 'pre-shared-key', 'pre-shared-key'],
    )
    assert.deepEqual(policy.rekeyMargin, { seconds: 300, fuzz: 100 })
    assert.equal(config.ikeProposals.get('q')?.lifetime, 28_800)
    for (const name of ['r', 'default']) {
      const { antiReplay, dfBit, dscp, ecn, lifetime, pfs, tfcPad } = config.ipsecPolicies.get(name)!
      assert.deepEqual(
        { antiReplay, dfBit, dscp, ecn, lifetime, pfs, tfcPad },
        {
          antiReplay: 64,
          dfBit: 'copy',
          dscp: 'copy',
          ecn: 'normal',
          lifetime: { seconds: 3600 },
          pfs: undefined,
          tfcPad: undefined,
        },
      )
    }
    assert.deepEqual(config.keepalive, { interval: 30, retries: 3 })
    assert.deepEqual(
      [config.ikePort, config.natTPort, config.cookieThreshold, config.alarmHolddown, config.natKeepalive],
      [500, 4500, 30, 30, 20],
    )
    assert.deepEqual([config.pki.store, config.pki.expiryWarningDays], ['/etc/asegate/pki', 30])
    assert.deepEqual([config.legacyCrypto, config.insecureCrypto], [false, null])
  })

  it('set global values', () => {
    const config = good(`
      legacy-crypto permit
      insecure-crypto permit "old peer in Kiel"
      ipsec alarms holddown 60
      ike keepalive interval 10
      ike port 1500 nat-t-port 14500
      ike nat-keepalive 7
      pki crl ca file ca.crl
      pki identity pe1 key file pe1.key certificate file pe1.pem
      pki expiry-warning 14
      security service
       asp-group g
       log-server 10.0.0.1 transport tls
      management
       listen ::1 port 8443
       identity pe1
       client-ca ca
       metrics 127.0.0.1 port 9100
       snmp trap-host 10.0.0.2`)
    assert.deepEqual(
      [config.legacyCrypto, config.insecureCrypto, config.alarmHolddown],
      [true, 'old peer in Kiel', 60],
    )
    assert.deepEqual(
      [config.ikePort, config.natTPort, config.keepalive, config.natKeepalive],
      [1500, 14500, { interval: 10, retries: 3 }, 7],
    )
    assert.deepEqual(config.pki.identity.get('pe1'), {
      key: '/etc/asegate/pe1.key',
      certificate: '/etc/asegate/pe1.pem',
      line: 9,
    })
    assert.deepEqual(config.security?.logServer, { address: '10.0.0.1', port: 514, transport: 'tls' })
    assert.deepEqual(config.management?.traps, [{ address: '10.0.0.2', port: 162 }])
    assert.equal(good('ike keepalive disable\ninsecure-crypto deny').keepalive, 'disable')
  })

  it('read all forms of selectors', () => {
    const config = good(`
      tunnel ipsec a
       traffic-selector local any remote 10.1.0.0/16
       traffic-selector udp local host 10.0.0.1 port 500 remote range 10.2.0.1 10.2.0.9 port 1-100
       traffic-selector 47 local 2001:0DB8::/32 remote any
       traffic-selector access-list list
      ipsec access-list list
       seq 20 permit ip any any
       seq 10 discard sctp host 10.0.0.1 any port 9 class voice`)
    assert.deepEqual(config.tunnels.get('a')?.selectors, [
      {
        kind: 'pair',
        line: 3,
        protocol: 0,
        local: { kind: 'any' },
        remote: { kind: 'prefix', value: '10.1.0.0/16' },
      },
      {
        kind: 'pair',
        line: 4,
        protocol: 17,
        local: { kind: 'host', value: '10.0.0.1', port: [500, 500] },
        remote: { kind: 'range', from: '10.2.0.1', to: '10.2.0.9', port: [1, 100] },
      },
      {
        kind: 'pair',
        line: 5,
        protocol: 47,
        local: { kind: 'prefix', value: '2001:db8::/32' },
        remote: { kind: 'any' },
      },
      { kind: 'access-list', name: 'list', line: 6 },
    ])
    const rules = config.accessLists.get('list')!.rules
    assert.deepEqual(
      rules.map((rule) => [rule.sequence, rule.action, rule.protocol, rule.class]),
      [
        [10, 'discard', 132, 'voice'],
        [20, 'permit', 0, undefined],
      ],
    )
  })

  it('read all forms of identities and keys', () => {
    const policy = (text: string) => good(`ike policy p\n${text}`).ikePolicies.get('p')!
    assert.deepEqual(policy('local-id address 2001:DB8::1').localId, {
      kind: 'address',
      value: '2001:db8::1',
    })
    assert.deepEqual(policy('remote-id dn "O=Provider, CN=*"').remoteId, {
      kind: 'dn',
      value: 'O=Provider, CN=*',
    })
    assert.deepEqual(policy('remote-id key-id 00FF').remoteId, { kind: 'key-id', value: '00ff' })
    assert.deepEqual(policy('remote-id user-fqdn a@b.net').remoteId, { kind: 'user-fqdn', value: 'a@b.net' })
    assert.equal(policy('remote-id any').remoteId, 'any')
    const both = policy('pre-shared-key file k')
    assert.deepEqual(both.psk, {
      local: { kind: 'file', path: '/etc/asegate/k' },
      remote: { kind: 'file', path: '/etc/asegate/k' },
    })
    const sides = policy('pre-shared-key local text "one two"\npre-shared-key remote hex 00ff')
    assert.equal((sides.psk.local as { value: string }).value, 'one two')
    assert.equal((sides.psk.remote as { value: string }).value, '00ff')
    assert.deepEqual(policy('dpd interval 5 retries 2').dpd, { interval: 5, retries: 2 })
    assert.equal(policy('dpd disable').dpd, 'disable')
    assert.deepEqual(policy('ppk id file k required').ppk, {
      id: 'id',
      key: { kind: 'file', path: '/etc/asegate/k' },
      required: true,
    })
  })

  it('read manual SAs and quality of service', () => {
    const config = good(`
      ipsec sa k
       inbound esp spi 0x1001 encryption null authentication sha1 key file in
       outbound ah spi 4096 authentication sha256 key hex 00
      ipsec qos-policy q
       class control priority 0 match dscp 48,56 mark dscp 46`)
    const [inbound, outbound] = config.ipsecSas.get('k')!.sas
    assert.deepEqual([inbound.spi, inbound.encryption, outbound.protocol], [4097, { cipher: 'null' }, 'ah'])
    assert.deepEqual(config.qosPolicies.get('q')?.classes, [
      { name: 'control', line: 6, priority: 0, matchDscp: [48, 56], markDscp: 46 },
    ])
  })

  it('read IPsec policies', () => {
    const policy = good(`
      ipsec policy p
       lifetime seconds 60
       lifetime kilobytes 1000
       lifetime packets 5
       anti-replay 4096
       df-bit clear
       dscp set 46
       ecn compatibility
       perfect-forward-secrecy dh-group 31`).ipsecPolicies.get('p')!
    assert.deepEqual(policy.lifetime, { seconds: 60, kilobytes: 1000, packets: 5 })
    assert.deepEqual(
      [policy.antiReplay, policy.dfBit, policy.dscp, policy.ecn, policy.pfs],
      [4096, 'clear', 46, 'compatibility', 31],
    )
    assert.equal(good('ipsec policy p\n anti-replay off').ipsecPolicies.get('p')?.antiReplay, 0)
  })
})
