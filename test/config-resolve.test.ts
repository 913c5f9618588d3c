// Selectors, suites and secrets: from configured names to the values that the gateway uses.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { describeSelector } from '../control/address.ts'
import { parseConfig } from '../control/config/parse.ts'
import {
  childLifetimeOf,
  childProposalsOf,
  dpdOf,
  ikeLifetimeOf,
  ikeProposalsOf,
  localIdOf,
  mtuCeilingOf,
  remoteIdOf,
} from '../control/config/resolve.ts'
import { inlineSecret, keyBytes, secretBytes } from '../control/config/secrets.ts'
import { selectorsOf } from '../control/config/selectors.ts'
import { FILE, fakeFiles } from './config/bench.ts'

const parse = (text: string) => parseConfig(FILE, text).config
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

describe('the selectors of a tunnel', () => {
  const selectors = (lines: string) => {
    const config = parse(lines)
    const { local, remote } = selectorsOf(config, config.tunnels.get('a')!)
    return { local: local.map(describeSelector), remote: remote.map(describeSelector) }
  }

  it('are everything when it names none', () => {
    assert.deepEqual(selectors('tunnel ipsec a'), {
      local: ['0.0.0.0/0', '::/0'],
      remote: ['0.0.0.0/0', '::/0'],
    })
  })

  it('are the union of its lines on each side, each once', () => {
    const text = `tunnel ipsec a
      traffic-selector local 10.1.0.0/16 remote 10.2.0.0/16
      traffic-selector local 10.1.0.0/16 remote 10.3.0.0/16
      traffic-selector tcp local any port 80 remote 2001:db8::/32`
    assert.deepEqual(selectors(text), {
      local: ['10.1.0.0/16', '::/0 tcp 80'],
      remote: ['10.2.0.0/16', '10.3.0.0/16', '2001:db8::/32 tcp'],
    })
  })

  it('come from the permit rules of an access list in their order, the first selector local', () => {
    const text = `tunnel ipsec a
       traffic-selector access-list l
      ipsec access-list l
       seq 20 permit udp host 10.1.0.1 10.2.0.0/16 port 53
       seq 30 discard ip any any
       seq 10 permit ip range 10.1.0.1 10.1.0.9 any`
    assert.deepEqual(selectors(text), {
      local: ['10.1.0.1-10.1.0.9', '10.1.0.1 udp'],
      remote: ['0.0.0.0/0', '10.2.0.0/16 udp 53'],
    })
  })
})

describe('suites', () => {
  const config = parse(`
    ike proposal strong
     encryption aes-gcm-256
     prf sha384
     dh-group 31
     lifetime 600
    ike proposal weak
     encryption aes-128
     authentication sha1
     dh-group 14
    ike policy p
     seq 20 proposal strong
     seq 10 proposal weak
     rekey-margin 400 fuzz 50
     dpd interval 7
    ike policy silent
     dpd disable
    ipsec proposal e1
     esp encryption null
     esp authentication sha1
     esn
    ipsec proposal e2
     esp encryption chacha20-poly1305
    ipsec policy q
     seq 1 proposal e1
     seq 2 proposal e2
     perfect-forward-secrecy dh-group 19
     lifetime kilobytes 10
     lifetime packets 20
    tunnel ipsec a
     ipsec-policy q`)
  const policy = config.ikePolicies.get('p')!
  const tunnel = config.tunnels.get('a')!

  it('come in the order of their numbers; prf is as authentication, AEAD has no hash', () => {
    assert.deepEqual(ikeProposalsOf(config, policy), [
      { encryption: 'aes-128', integrity: 'sha1', prf: 'sha1', dhGroup: 14 },
      { encryption: 'aes-gcm-256', integrity: null, prf: 'sha384', dhGroup: 31 },
    ])
    assert.deepEqual(childProposalsOf(config, tunnel), [
      { cipher: 'null', integrity: 'sha1', esn: true, dhGroup: 19 },
      { cipher: 'chacha20-poly1305', integrity: null, esn: false, dhGroup: 19 },
    ])
  })

  it('have the lifetimes of their proposals and policies', () => {
    assert.equal(ikeLifetimeOf(config, policy), 600)
    assert.deepEqual(childLifetimeOf(config.ipsecPolicies.get('q')!), {
      seconds: 3600,
      bytes: 10_240,
      packets: 20,
    })
  })

  it('are watched as the policy says, else as ike keepalive does', () => {
    assert.deepEqual(dpdOf(config, policy), { interval: 7, retries: 3 })
    assert.equal(dpdOf(config, config.ikePolicies.get('silent')!), null)
    const quiet = parse('ike keepalive disable\nike policy p')
    assert.equal(dpdOf(quiet, quiet.ikePolicies.get('p')!), null)
  })
})

describe('identities that are not configured', () => {
  const policy = (text: string) => parse(`ike policy p\n${text}`).ikePolicies.get('p')!
  it('are the address with a pre-shared key', () => {
    assert.deepEqual(localIdOf(policy(''), '2001:db8::1', 'CN=x'), { kind: 'address', value: '2001:db8::1' })
    assert.deepEqual(remoteIdOf(policy(''), null), 'any')
  })
  it('are the subject with a certificate', () => {
    const signed = policy('local-auth rsa-signature\nremote-auth rsa-signature')
    assert.deepEqual(localIdOf(signed, '192.0.2.1', 'O=P, CN=x'), { kind: 'dn', value: 'O=P, CN=x' })
    assert.equal(remoteIdOf(signed, '192.0.2.1'), 'any')
  })
})

describe('a tunnel of the machine', () => {
  it('has the smaller ceiling of interface and tunnel, and 1400 without', () => {
    const config = parse(
      'context local\n interface i\n  ip mtu 1300\ntunnel ipsec a\n bind interface i local\n ip mtu 1350\ntunnel ipsec b',
    )
    assert.equal(mtuCeilingOf(config, config.tunnels.get('a')!), 1300)
    assert.equal(mtuCeilingOf(config, config.tunnels.get('b')!), 1400)
  })
})

describe('secrets', () => {
  const files = fakeFiles({
    '/k/text': Buffer.from('sesame, open\n'),
    '/k/windows': Buffer.from('sesame\r\n'),
    '/k/bytes': Uint8Array.of(1, 2, 3, 10),
    '/k/hex': Buffer.from('00ff10AB\n'),
    '/k/raw': Uint8Array.of(0x30, 0x31, 0x32, 10),
    '/k/odd': Buffer.from('00ff10\n'),
  })
  const file = (path: string) => ({ kind: 'file' as const, path })

  it('lose one line end when they are text, and keep every byte when they are not', () => {
    assert.equal(Buffer.from(secretBytes(file('/k/text'), files)).toString(), 'sesame, open')
    assert.equal(Buffer.from(secretBytes(file('/k/windows'), files)).toString(), 'sesame')
    assert.equal(hex(secretBytes(file('/k/bytes'), files)), '0102030a')
    assert.equal(hex(secretBytes(inlineSecret('hex', '00Ff'), files)), '00ff')
    assert.equal(hex(secretBytes(inlineSecret('text', 'é'), files)), 'c3a9')
  })

  it('of a fixed length are raw bytes or their hexadecimal text', () => {
    assert.equal(hex(keyBytes(file('/k/hex'), files, 4)), '00ff10ab')
    assert.equal(hex(keyBytes(file('/k/raw'), files, 4)), '3031320a')
    assert.equal(keyBytes(file('/k/odd'), files, 4).length, 6)
  })

  it('own their memory, so that wiping them wipes nothing else', () => {
    for (const source of [inlineSecret('text', 'abc'), inlineSecret('hex', '0011'), file('/k/text')]) {
      const bytes = secretBytes(source, files)
      assert.equal(bytes.buffer.byteLength, bytes.length)
    }
  })
})
