// IKE fragmentation against strongSwan 5.9.8 (RFC 7383): certificates of RSA-4096 with an intermediate CA, over a path
// of 1,280 bytes that loses every IP fragment. Either side begins.

import assert from 'node:assert/strict'
import { createCa, issueCertificate, makeKey, privateKeyPem } from '../../control/pki/make.ts'
import { storePaths } from '../../control/pki/store.ts'
import { type Bed, interopTest, withBed } from './bed.ts'
import { ourConfig, type Suite, swanConfig } from './config.ts'

const PINGS = 10
const SUITE: Suite = {
  ike: { encryption: 'aes-256', hash: 'sha256', group: 14, swan: 'aes256-sha256-modp2048' },
  esp: { encryption: 'aes-256', hash: 'sha256', swan: 'aes256-sha256' },
  pfs: null,
}
const LEFT = 'left.example.net'
const RIGHT = 'right.example.net'
const now = Date.now()
const key = makeKey('rsa-4096')
const root = createCa({ subject: 'O=Interop, CN=Root', now, key: makeKey('rsa-2048') })
const middle = createCa({ subject: 'O=Interop, CN=Middle', now, key: makeKey('rsa-4096'), issuer: root })

function issue(name: string): string {
  const altNames = [{ kind: 'fqdn' as const, value: name }]
  return issueCertificate({ ca: middle, subject: `O=Interop, CN=${name}`, now, publicKey: key, altNames })
}

function options(role: 'initiator' | 'responder') {
  return {
    config: ourConfig({
      suite: SUITE,
      role,
      globals: ['pki store pki'],
      authentication: [
        ...['local-auth rsa-signature', 'remote-auth rsa-signature', 'identity left', 'trust ca'],
        ...[`local-id fqdn ${LEFT}`, `remote-id fqdn ${RIGHT}`],
      ],
    }),
    files: {
      [storePaths('pki', 'left').privateKey]: privateKeyPem(key),
      [storePaths('pki', 'left').certificate]: issue(LEFT) + middle.certificate,
      [storePaths('pki', 'ca').trust]: root.certificate,
    },
    swan: swanConfig({
      suite: SUITE,
      psk: null,
      local: ['auth = pubkey', 'certs = right.pem', `id = ${RIGHT}`],
      remote: ['auth = pubkey', `id = ${LEFT}`, 'cacerts = root.pem'],
      files: {
        'x509/right.pem': issue(RIGHT),
        'x509ca/root.pem': root.certificate,
        'x509ca/middle.pem': middle.certificate,
        'private/right.pem': privateKeyPem(key),
      },
    }),
  }
}

/** No IP fragment arrives at the peer, and none leaves it. */
function loseIpFragments({ network }: Bed): void {
  const nft = (...words: string[]) => network.run('right', 'nft', ...words)
  nft('add table inet narrow')
  // before the kernel puts fragments together
  nft('add chain inet narrow in { type filter hook prerouting priority -450; }')
  nft('add chain inet narrow out { type filter hook postrouting priority 300; }')
  nft('add rule inet narrow in ip frag-off & 0x3fff != 0 drop')
  nft('add rule inet narrow out udp length > 1260 drop')
}

async function assertTunnel(bed: Bed): Promise<void> {
  await bed.reach('up', 40_000)
  assert.equal(await bed.ping('left', PINGS), PINGS)
  const log = bed.peer.log()
  assert.match(log, /received fragment #2 of/)
  assert.match(log, /splitting IKE message .* into \d fragments/)
  assert.match(log, /authentication of 'left\.example\.net' with RSA_EMSA_PKCS1_SHA2_256 successful/)
}

interopTest('RSA-4096 chains over 1,280 bytes, we initiate', () =>
  withBed(options('initiator'), async (bed) => {
    loseIpFragments(bed)
    await assertTunnel(bed)
  }),
)

interopTest('RSA-4096 chains over 1,280 bytes, they initiate', () =>
  withBed(options('responder'), async (bed) => {
    loseIpFragments(bed)
    bed.peer.swanctl('--initiate', '--child', 'net')
    await assertTunnel(bed)
  }),
)
