// The commit checks of algorithms, keys and certificates: integrity, manual, gates, never, auth.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { codes, load } from './config/bench.ts'
import { run } from './config/cases.ts'

describe('integrity', () => {
  const ike = (...lines: string[]) => `ike proposal x\n ${lines.join('\n ')}\n`
  const esp = (...lines: string[]) => `ipsec proposal x\n ${lines.join('\n ')}\n`
  run([
    { name: 'IKE without its parts', text: ike('lifetime 60'), errors: ['1 integrity', '1 integrity'] },
    {
      name: 'IKE without authentication',
      text: ike('encryption aes-128', 'dh-group 14'),
      errors: ['2 integrity'],
    },
    {
      name: 'IKE with null and none',
      text: ike('encryption null', 'authentication none', 'prf none', 'dh-group 14'),
      errors: ['2 integrity', '3 integrity', '4 integrity'],
    },
    {
      name: 'IKE with AEAD and a hash, without prf',
      text: ike('encryption aes-gcm-128', 'authentication sha256', 'dh-group 14'),
      errors: ['2 integrity', '3 integrity'],
    },
    {
      name: 'IKE without group',
      text: ike('encryption aes-256', 'authentication sha1'),
      errors: ['1 integrity'],
      says: /add dh-group 14/,
    },
    { name: 'ESP with nothing', text: 'ipsec proposal x\n', errors: ['1 integrity'] },
    { name: 'ESP without authentication', text: esp('esp encryption aes-128'), errors: ['2 integrity'] },
    { name: 'ESP without encryption', text: esp('esp authentication sha1'), errors: ['2 integrity'] },
    {
      name: 'ESP with AEAD and a hash',
      text: esp('esp encryption aes-gcm-256', 'esp authentication sha256'),
      errors: ['3 integrity'],
    },
    { name: 'AH with none', text: esp('ah authentication none'), errors: ['2 unsupported', '2 integrity'] },
    {
      name: 'ESP null with a hash is good',
      text: esp('esp encryption null', 'esp authentication sha256', 'esn'),
    },
    {
      name: 'manual ESP without authentication',
      text: 'ipsec sa k\n inbound esp spi 300 encryption null\n outbound esp spi 300 encryption null\n',
      errors: ['2 integrity', '3 integrity'],
    },
  ])
})

describe('manual', () => {
  const pair = (line: string) => `ipsec sa k\n inbound ${line}\n outbound ${line}\n`
  const twice = (code: string) => [`2 ${code}`, `3 ${code}`]
  run([
    { name: 'nothing in it', text: 'ipsec sa k\n', errors: ['1 manual'] },
    {
      name: 'one direction',
      text: 'ipsec sa k\n inbound esp spi 300 encryption null authentication sha1 key file out\n',
      errors: ['1 manual', '2 manual'],
      says: /has no outbound esp/,
    },
    {
      name: 'a reserved SPI',
      text: pair('esp spi 255 encryption null authentication sha256 key file k'),
      errors: twice('manual'),
      says: /spi 255 is reserved/,
    },
    {
      name: 'a key of the wrong size',
      text: pair('esp spi 300 encryption aes-128 key hex 0011 authentication sha256 key file k'),
      errors: twice('manual'),
      says: /has 2 bytes; it must have 16/,
    },
    {
      name: 'no key, and a key for null',
      text: pair('esp spi 300 encryption null key hex 00 authentication sha256'),
      errors: [...twice('manual'), ...twice('manual')].sort(),
    },
    {
      name: 'no encryption',
      text: pair('esp spi 300 authentication sha256 key file k'),
      errors: twice('manual'),
    },
    {
      name: 'AH that encrypts or does nothing',
      text: pair('ah spi 300 encryption null'),
      errors: [...twice('manual'), ...twice('manual')].sort((a, b) => a[0].localeCompare(b[0])),
    },
    {
      name: 'a weak DES key',
      text: `insecure-crypto permit test\n${pair('esp spi 300 encryption des key hex 0001000000000100 authentication sha256 key file k')}`,
      errors: ['3 manual', '4 manual'],
      warnings: ['3 gated', '4 gated'],
      says: /weak one/,
    },
    {
      name: 'a 3DES key that is single DES',
      text: `legacy-crypto permit\n${pair(`esp spi 300 encryption 3des key hex ${'0123456789abcdef'.repeat(3)} authentication sha256 key file k`)}`,
      errors: ['3 manual', '4 manual'],
      warnings: ['3 gated', '4 gated'],
    },
    {
      name: 'an SA twice',
      text: `${pair('esp spi 300 encryption null authentication sha256 key file k')}tunnel ipsec a manual
 mode economical
 peer-end-point local 198.51.100.1 remote 203.0.113.1
 seq 1 ipsec-sa k
tunnel ipsec b manual
 mode economical
 peer-end-point local 198.51.100.1 remote 203.0.113.2
 seq 1 ipsec-sa k
`,
      errors: ['11 manual'],
      warnings: ['4 manual-key', '8 manual-key'],
      says: /inbound esp spi 300 of ipsec sa k to 198.51.100.1 is already in use by line 7/,
    },
    {
      name: 'keys in files, as bytes or as text',
      text: pair('esp spi 300 encryption aes-128 key file text authentication sha1 key file bytes'),
      files: {
        '/etc/asegate/text': Buffer.from('00112233445566778899aabbccddeeff\n'),
        '/etc/asegate/bytes': new Uint8Array(20),
      },
    },
  ])
})

describe('the gates (security M2)', () => {
  const ike = 'ike proposal x\n encryption 3des\n authentication md5\n prf md5\n dh-group 5\n'
  run([
    {
      name: 'are closed',
      text: ike,
      errors: ['2 gate-legacy', '3 gate-insecure', '4 gate-insecure', '5 gate-legacy'],
      says: /^ike proposal x: 3des needs the statement legacy-crypto permit, which is not given; better: aes-256$/,
    },
    {
      name: 'open only their own class',
      text: `legacy-crypto permit\n${ike}`,
      errors: ['4 gate-insecure', '5 gate-insecure'],
      warnings: ['3 gated', '6 gated'],
    },
    {
      name: 'open with a reason',
      text: `insecure-crypto permit "until May"\n${ike}`,
      errors: ['3 gate-legacy', '6 gate-legacy'],
      warnings: ['4 gated', '5 gated'],
    },
    {
      name: 'guard IPsec as well',
      text: 'ipsec proposal x\n esp encryption des\n esp authentication none\n ah authentication md5\nipsec policy q\n perfect-forward-secrecy dh-group 1\n',
      errors: ['2 gate-insecure', '3 gate-insecure', '4 unsupported', '4 gate-insecure', '6 gate-insecure'],
    },
    {
      name: 'guard aggressive mode with a key, and SHA-1 signatures of version 1',
      text: `ike policy p\n version 1\n mode aggressive\n pre-shared-key file k\nike policy q\n version 1\n local-auth rsa-signature\n remote-auth rsa-signature\n identity i\n trust t\n seq 1 proposal s\nike proposal s\n encryption aes-256\n authentication sha1\n dh-group 14\n`,
      errors: ['2 unsupported', '3 unsupported', '3 gate-insecure', '6 unsupported', '11 gate-legacy'],
      warnings: ['2 ikev1', '6 ikev1'],
    },
    {
      name: 'guard short keys',
      text: 'ike policy p\n pre-shared-key text fifteen-bytes..\n',
      errors: ['2 gate-legacy'],
      says: /a pre-shared key under 16 bytes needs/,
    },
    {
      name: 'let short keys through',
      text: 'legacy-crypto permit\nike policy p\n pre-shared-key text short\n',
      warnings: ['3 gated'],
    },
    {
      name: 'do not touch SHA-1 as hash, nor null encryption with it',
      text: 'ipsec proposal x\n esp encryption null\n esp authentication sha1\n',
    },
  ])
})

describe('never', () => {
  const open = 'legacy-crypto permit\ninsecure-crypto permit why\n'
  run([
    { name: 'an empty reason', text: 'insecure-crypto permit ""\n', errors: ['1 never'] },
    {
      name: 'an empty pre-shared key',
      text: `${open}ike policy p\n pre-shared-key text ""\n`,
      errors: ['4 never'],
    },
    {
      name: 'an empty key file',
      text: `${open}ike policy p\n pre-shared-key file k\n`,
      errors: ['4 never'],
      files: { '/etc/asegate/k': Buffer.from('\n') },
    },
    {
      name: 'ESP null with none',
      text: `${open}ipsec proposal x\n esp encryption null\n esp authentication none\n`,
      errors: ['5 never'],
    },
    {
      name: 'AEAD with manual keys',
      text: `${open}ipsec sa k\n inbound esp spi 300 encryption aes-gcm-256 key file a\n outbound esp spi 300 encryption null authentication none\n`,
      errors: ['4 never', '5 never'],
    },
  ])
})

describe('auth', () => {
  run([
    { name: 'no pre-shared key', text: 'ike policy p\n', errors: ['1 auth', '1 auth'] },
    {
      name: 'a key for one side only',
      text: 'ike policy p\n pre-shared-key local file k\n',
      errors: ['1 auth'],
      says: /remote-auth is pre-shared-key, but there is no key/,
    },
    {
      name: 'no identity, no trust',
      text: 'ike policy p\n local-auth rsa-signature\n remote-auth rsa-signature\n',
      errors: ['2 auth', '3 auth'],
      says: /add trust NAME/,
    },
    {
      name: 'a key file that is not there',
      text: 'ike policy p\n pre-shared-key file /nowhere/k\n',
      errors: ['2 auth'],
    },
    {
      name: 'a key file that others can read',
      text: 'ike policy p\n pre-shared-key file k\n',
      errors: ['2 auth'],
      files: { '/etc/asegate/k': 'mode 0644, at most 0640' },
      says: /mode 0644, at most 0640/,
    },
    {
      name: 'a private key that others can read',
      text: 'pki identity i key file k certificate file c\n',
      errors: ['1 auth'],
      files: { '/etc/asegate/k': 'owner nobody' },
    },
    {
      name: 'files of pki statements that are not there',
      text: 'pki trust t file /nowhere/t\npki crl c file /nowhere/c\npki identity i key file k certificate file /nowhere/i\n',
      errors: ['1 auth', '2 auth', '3 auth'],
    },
    {
      name: 'a manual key that others can read',
      text: 'ipsec sa k\n inbound esp spi 300 encryption null authentication sha256 key file k\n outbound esp spi 300 encryption null authentication sha256 key file q\n',
      errors: ['2 auth'],
      files: { '/etc/asegate/k': 'mode 0666' },
    },
    {
      name: 'asymmetric with its parts is good',
      text: 'ike policy p\n local-auth rsa-signature\n identity i\n pre-shared-key remote file k\n',
    },
  ])

  it('a configuration with a secret in it that others can read', () => {
    const text = 'ike policy p\n pre-shared-key text 0123456789abcdef\n'
    assert.deepEqual(codes(load(text, {}, { privateFile: false }).errors), ['2 auth'])
    assert.deepEqual(
      codes(load(text, { '/etc/asegate/gateway.conf': 'mode 0644' }, { privateFile: undefined }).errors),
      ['2 auth'],
    )
    assert.deepEqual(codes(load(text, {}, { privateFile: undefined }).errors), [])
    assert.deepEqual(
      codes(load('ike policy p\n pre-shared-key file k\n', {}, { privateFile: false }).errors),
      [],
    )
  })
})

describe('certificates', () => {
  const text = 'ike policy p\n local-auth rsa-signature\n remote-auth rsa-signature\n identity i\n trust t\n'
  const wall = Date.UTC(2026, 0, 1)
  const good = {
    subject: 'CN=pe1',
    notBefore: wall - 86_400_000,
    notAfter: wall + 100 * 86_400_000,
    rsaBits: 3072,
    signatureHash: 'sha256',
  }
  const judge = (own: Partial<typeof good> | string, head = '', crlFault: string | null = null) => {
    const identity = () => (typeof own === 'string' ? own : [{ ...good, ...own }])
    const pki = { identity, trust: () => [good], crlFault: () => crlFault }
    return load(head + text, {}, { pki, wall })
  }

  it('that are good bring nothing', () => {
    assert.deepEqual([judge({}).errors, judge({}).warnings], [[], []])
  })

  it('whose key differs are refused', () => {
    const { errors } = judge('certs/i.pem: private key and certificate differ')
    assert.deepEqual(codes(errors), ['4 auth'])
    assert.match(errors[0].message, /^ike policy p: certs.i.pem: private key and certificate differ$/)
  })

  it('that are weak are gated, that are broken are refused', () => {
    assert.deepEqual(codes(judge({ rsaBits: 1024 }).errors), ['4 gate-legacy'])
    assert.deepEqual(codes(judge({ signatureHash: 'sha1' }).errors), ['4 gate-legacy'])
    assert.deepEqual(
      codes(judge({ signatureHash: 'sha1', rsaBits: 2047 }, 'legacy-crypto permit\n').warnings),
      ['5 gated', '5 gated'],
    )
    assert.deepEqual(codes(judge({ rsaBits: 1023 }, 'legacy-crypto permit\n').errors), ['5 never'])
    assert.deepEqual(codes(judge({ signatureHash: 'md5' }, 'legacy-crypto permit\n').errors), ['5 never'])
  })

  it('near their end bring cert-expiry', () => {
    assert.deepEqual(codes(judge({ notAfter: wall + 29 * 86_400_000 }).warnings), ['4 cert-expiry'])
    assert.match(judge({ notAfter: wall - 1 }).warnings[0].message, /"CN=pe1" has expired/)
    assert.deepEqual(
      codes(judge({ notAfter: wall + 29 * 86_400_000 }, 'pki expiry-warning 7\n').warnings),
      [],
    )
  })

  it('are not judged by a broken CRL', () => {
    assert.deepEqual(codes(judge({}, '', 'crl/x.pem: no CRL').errors), ['5 auth'])
  })
})
