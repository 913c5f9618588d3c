// IKE suites against strongSwan 5.9.8 beyond the common ones: AEAD, 3DES, MD5, small and large groups, PRF apart from
// integrity; and signatures with ECDSA and Ed25519 (RFC 5282, 7634, 7427, 8420). A renewal of both SAs each.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { createCa, issueCertificate, type KeyKind, makeKey, privateKeyPem } from '../../control/pki/make.ts'
import { storePaths } from '../../control/pki/store.ts'
import { type Bed, type BedOptions, interopTest, withBed } from './bed.ts'
import { AES128_SHA1, OUR_FILES, type OurOptions, ourConfig, type Suite, swanConfig } from './config.ts'

const PINGS = 10
const GATES = ['legacy-crypto permit', 'insecure-crypto permit "interop"']

type Ike = { encryption: string; hash: string | null; prf: string; group: number; swan: string }

const SUITES: Ike[] = [
  {
    encryption: 'aes-gcm-128',
    hash: null,
    prf: 'sha256',
    group: 31,
    swan: 'aes128gcm16-prfsha256-curve25519',
  },
  { encryption: 'aes-gcm-256', hash: null, prf: 'sha512', group: 21, swan: 'aes256gcm16-prfsha512-ecp521' },
  {
    encryption: 'chacha20-poly1305',
    hash: null,
    prf: 'sha384',
    group: 20,
    swan: 'chacha20poly1305-prfsha384-ecp384',
  },
  { encryption: '3des', hash: 'sha1', prf: 'sha1', group: 2, swan: '3des-sha1-modp1024' },
  { encryption: '3des', hash: 'md5', prf: 'md5', group: 5, swan: '3des-md5-modp1536' },
  { encryption: 'aes-128', hash: 'sha1', prf: 'sha256', group: 1, swan: 'aes128-sha1-prfsha256-modp768' },
  {
    encryption: 'aes-256',
    hash: 'sha512',
    prf: 'sha384',
    group: 17,
    swan: 'aes256-sha512-prfsha384-modp6144',
  },
  {
    encryption: 'aes-192',
    hash: 'sha384',
    prf: 'sha512',
    group: 18,
    swan: 'aes192-sha384-prfsha512-modp8192',
  },
]

/** The common configuration with another IKE proposal in it. */
function bedFor(ike: Ike, role: OurOptions['role']): BedOptions {
  const suite: Suite = {
    ...AES128_SHA1,
    ike: { encryption: ike.encryption, hash: 'sha256', group: ike.group, swan: ike.swan },
    pfs: 14,
  }
  const hash = ike.hash === null ? '' : ` authentication ${ike.hash}\n`
  const config = ourConfig({ suite, role, globals: GATES }).replace(
    ' authentication sha256\n prf sha256\n',
    `${hash} prf ${ike.prf}\n`,
  )
  return { config, files: OUR_FILES, swan: swanConfig({ suite }) }
}

/** Traffic, then a renewal of the Child SA and of the IKE SA by strongSwan, then traffic. */
async function live(bed: Bed): Promise<void> {
  await bed.reach('up')
  assert.equal(await bed.ping('left', PINGS), PINGS)
  const [before] = await bed.rows('show ike sa')
  bed.peer.swanctl('--rekey', '--child', 'net')
  await sleep(700)
  bed.peer.swanctl('--rekey', '--ike', 'peer')
  const deadline = performance.now() + 60_000
  for (let spi = before!.initiatorSpi; spi === before!.initiatorSpi; ) {
    assert.ok(performance.now() < deadline, 'the IKE SA was not renewed')
    await sleep(100)
    spi = (await bed.rows('show ike sa')).at(-1)!.initiatorSpi
  }
  assert.equal(await bed.ping('right', PINGS), PINGS)
}

for (const [index, ike] of SUITES.entries()) {
  const role = index % 2 === 0 ? 'initiator' : 'responder'
  interopTest(`IKE ${ike.swan}, ${role === 'initiator' ? 'we' : 'they'} initiate`, () =>
    withBed(bedFor(ike, role), async (bed) => {
      if (role === 'responder') bed.peer.swanctl('--initiate', '--child', 'net')
      await live(bed)
      const [shown] = await bed.rows('show ike sa')
      assert.deepEqual([shown!.encryption, shown!.prf, shown!.dhGroup], [ike.encryption, ike.prf, ike.group])
    }),
  )
}

const LEFT = 'left.example.net'
const RIGHT = 'right.example.net'

/** One CA of a kind of key, and certificates of the same kind for both ends. */
function bedWithKeys(kind: KeyKind, role: OurOptions['role']): BedOptions {
  const now = Date.now()
  const ca = createCa({ subject: 'O=Interop, CN=CA', now, key: makeKey(kind) })
  const issue = (name: string) => {
    const key = makeKey(kind)
    const altNames = [{ kind: 'fqdn' as const, value: name }]
    const pem = issueCertificate({ ca, subject: `O=Interop, CN=${name}`, now, publicKey: key, altNames })
    return { key: privateKeyPem(key), pem }
  }
  const [left, right] = [issue(LEFT), issue(RIGHT)]
  const authentication = [
    ...['local-auth digital-signature', 'remote-auth digital-signature', 'identity left', 'trust ca'],
    ...[`local-id fqdn ${LEFT}`, `remote-id fqdn ${RIGHT}`],
  ]
  const store = storePaths('pki', 'left')
  return {
    config: ourConfig({ suite: AES128_SHA1, role, globals: ['pki store pki'], authentication }),
    files: {
      [store.privateKey]: left.key,
      [store.certificate]: left.pem,
      [storePaths('pki', 'ca').trust]: ca.certificate,
    },
    swan: swanConfig({
      suite: AES128_SHA1,
      psk: null,
      local: ['auth = pubkey', 'certs = right.pem', `id = ${RIGHT}`],
      remote: ['auth = pubkey', `id = ${LEFT}`, 'cacerts = ca.pem'],
      files: { 'x509/right.pem': right.pem, 'x509ca/ca.pem': ca.certificate, 'private/right.pem': right.key },
    }),
  }
}

const KEYS: [KeyKind, RegExp][] = [
  ['p256', /'left\.example\.net' with ECDSA_WITH_SHA256_DER successful/],
  ['p384', /'left\.example\.net' with ECDSA_WITH_SHA384_DER successful/],
  ['p521', /'left\.example\.net' with ECDSA_WITH_SHA512_DER successful/],
  ['ed25519', /'left\.example\.net' with ED25519 successful/],
]

for (const [kind, accepted] of KEYS) {
  interopTest(`certificates of ${kind}, we initiate`, () =>
    withBed(bedWithKeys(kind, 'initiator'), async (bed) => {
      await bed.reach('up')
      assert.equal(await bed.ping('left', PINGS), PINGS)
      assert.match(bed.peer.log(), accepted)
    }),
  )
  interopTest(`certificates of ${kind}, they initiate`, () =>
    withBed(bedWithKeys(kind, 'responder'), async (bed) => {
      bed.peer.swanctl('--initiate', '--child', 'net')
      await bed.reach('up')
      assert.equal(await bed.ping('left', PINGS), PINGS)
      assert.match(bed.peer.log(), accepted)
    }),
  )
}
