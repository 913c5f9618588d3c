// RSA certificates against strongSwan 5.9.8 (RFC 7427, method 14 with RSA), on both sides and on one.

import assert from 'node:assert/strict'
import { createCa, issueCertificate, makeKey, privateKeyPem } from '../../control/pki/make.ts'
import { storePaths } from '../../control/pki/store.ts'
import { type Bed, interopTest, withBed } from './bed.ts'
import { AES128_SHA1, ourConfig, PSK, type Suite, swanConfig } from './config.ts'

const PINGS = 10
const SUITE: Suite = {
  ike: { encryption: 'aes-256', hash: 'sha256', group: 14, swan: 'aes256-sha256-modp2048' },
  esp: { encryption: 'aes-256', hash: 'sha256', swan: 'aes256-sha256' },
  pfs: null,
}
const LEFT = 'left.example.net'
const RIGHT = 'right.example.net'

/** One CA, a certificate for each end. */
function makePki(): { ca: string; left: { key: string; pem: string }; right: { key: string; pem: string } } {
  const now = Date.now()
  const ca = createCa({ subject: 'O=Interop, CN=CA', now, key: makeKey('rsa-2048') })
  const issue = (name: string) => {
    const key = makeKey('rsa-2048')
    const altNames = [{ kind: 'fqdn' as const, value: name }]
    const pem = issueCertificate({ ca, subject: `O=Interop, CN=${name}`, now, publicKey: key, altNames })
    return { key: privateKeyPem(key), pem }
  }
  return { ca: ca.certificate, left: issue(LEFT), right: issue(RIGHT) }
}

const PKI = makePki()
const OUR_STORE = {
  [storePaths('pki', 'left').privateKey]: PKI.left.key,
  [storePaths('pki', 'left').certificate]: PKI.left.pem,
  [storePaths('pki', 'ca').trust]: PKI.ca,
}
const SWAN_FILES = {
  'x509/right.pem': PKI.right.pem,
  'x509ca/ca.pem': PKI.ca,
  'private/right.pem': PKI.right.key,
}
const IDENTITIES = [`local-id fqdn ${LEFT}`, `remote-id fqdn ${RIGHT}`]
const SWAN_CERTIFICATE = ['auth = pubkey', 'certs = right.pem', `id = ${RIGHT}`]
const OUR_CERTIFICATE = ['identity left', 'trust ca']

async function assertTunnel(bed: Bed): Promise<void> {
  await bed.reach('up')
  assert.equal(await bed.ping('left', PINGS), PINGS)
  assert.equal(await bed.ping('right', PINGS), PINGS)
}

function bothCertificates(role: 'initiator' | 'responder') {
  return {
    config: ourConfig({
      suite: SUITE,
      role,
      globals: ['pki store pki'],
      authentication: [
        ...['local-auth rsa-signature', 'remote-auth rsa-signature'],
        ...OUR_CERTIFICATE,
        ...IDENTITIES,
      ],
    }),
    files: OUR_STORE,
    swan: swanConfig({
      suite: SUITE,
      psk: null,
      local: SWAN_CERTIFICATE,
      remote: ['auth = pubkey', `id = ${LEFT}`, 'cacerts = ca.pem'],
      files: SWAN_FILES,
    }),
  }
}

interopTest('RSA certificates on both sides, we initiate', () =>
  withBed(bothCertificates('initiator'), assertTunnel),
)

interopTest('RSA certificates on both sides, they initiate', () =>
  withBed(bothCertificates('responder'), async (bed) => {
    bed.peer.swanctl('--initiate', '--child', 'net')
    await assertTunnel(bed)
  }),
)

/** We sign, the peer proves a preshared key. */
function weSign(role: 'initiator' | 'responder') {
  return {
    config: ourConfig({
      suite: AES128_SHA1,
      role,
      globals: ['pki store pki'],
      authentication: [
        ...['local-auth rsa-signature', 'remote-auth pre-shared-key', 'pre-shared-key remote file psk'],
        ...OUR_CERTIFICATE,
        ...IDENTITIES,
      ],
    }),
    files: { ...OUR_STORE, psk: PSK },
    swan: swanConfig({
      suite: AES128_SHA1,
      local: ['auth = psk', `id = ${RIGHT}`],
      remote: ['auth = pubkey', `id = ${LEFT}`, 'cacerts = ca.pem'],
      files: SWAN_FILES,
    }),
  }
}

/** The peer signs, we prove a preshared key. */
function theySign(role: 'initiator' | 'responder') {
  return {
    config: ourConfig({
      suite: AES128_SHA1,
      role,
      globals: ['pki store pki'],
      authentication: [
        ...['local-auth pre-shared-key', 'remote-auth rsa-signature', 'pre-shared-key local file psk'],
        ...['trust ca', ...IDENTITIES],
      ],
    }),
    files: { ...OUR_STORE, psk: PSK },
    swan: swanConfig({
      suite: AES128_SHA1,
      local: SWAN_CERTIFICATE,
      remote: ['auth = psk', `id = ${LEFT}`],
      files: SWAN_FILES,
    }),
  }
}

interopTest('asymmetric: we sign, they have a PSK, we initiate', () =>
  withBed(weSign('initiator'), assertTunnel),
)

interopTest('asymmetric: they sign, we have a PSK, they initiate', () =>
  withBed(theySign('responder'), async (bed) => {
    bed.peer.swanctl('--initiate', '--child', 'net')
    await assertTunnel(bed)
  }),
)

interopTest('a certificate for another name is refused and said so', async () => {
  const options = bothCertificates('initiator')
  const config = options.config.replace(`remote-id fqdn ${RIGHT}`, 'remote-id fqdn other.example.net')
  await withBed({ ...options, config }, async (bed) => {
    const deadline = performance.now() + 60_000
    let reason: unknown = null
    while (reason !== 'auth-failed' && performance.now() < deadline) {
      reason = (await bed.tunnel()).reason
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    assert.equal(reason, 'auth-failed')
    assert.equal(await bed.ping('left', 2, 1_000), 0)
  })
})
