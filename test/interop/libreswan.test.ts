// IKEv2 against libreswan 4.10: whoever initiates, several suites, renewals, a wrong key. Both ends must name the same
// SPIs and algorithms; ESP itself needs a kernel that has it (see libreswan.ts).

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type GatewayProcess, startGateway } from '../../control/cli/lab-gateway.ts'
import { onlyTunnel, writeFiles } from './bed.ts'
import { AES128_SHA1, type OurOptions, ourConfig, PSK, type Suite } from './config.ts'
import { type Libreswan, missingLibreswan, startLibreswan } from './libreswan.ts'
import { createNetwork } from './network.ts'
import { isDemanded } from './release.ts'

const READY_DEADLINE = 20_000 // ms
const PATIENCE = 40_000 // ms for a state
const GATES = ['legacy-crypto permit', 'insecure-crypto permit "interop"']

type Row = Record<string, unknown>
type Bed = { peer: Libreswan; gateway: GatewayProcess; rows(command: string): Promise<Row[]> }
type Options = { suite: Suite; role: OurOptions['role']; psk?: string }

/** `swan` of the suite in libreswan's words: `ike=` and `esp=` take strongSwan's with another separator for the group. */
function connection(suite: Suite): string[] {
  const ike = suite.ike.swan.replace(/-([^-]*)$/, ';$1')
  return [
    ...['ikev2=insist', 'authby=secret', 'left=192.0.2.2', 'right=192.0.2.1'],
    ...['leftsubnet=10.2.0.0/24', 'rightsubnet=10.1.0.0/24'],
    ...[
      `ike=${ike}`,
      'phase2=esp',
      `phase2alg=${suite.esp.swan}`,
      'pfs=no',
      'leftupdown=%disabled',
      'auto=add',
    ],
  ]
}

async function withLibreswan(options: Options, run: (bed: Bed) => Promise<void>): Promise<void> {
  const undo: (() => unknown)[] = []
  try {
    const network = createNetwork()
    undo.push(() => network.remove())
    const directory = mkdtempSync(join(tmpdir(), 'aseiop-'))
    undo.push(() => rmSync(directory, { recursive: true, force: true }))
    const secrets = `192.0.2.2 192.0.2.1 : PSK "${PSK}"`
    const peer = await startLibreswan(network.name('right'), {
      connection: connection(options.suite),
      secrets,
    })
    undo.push(() => peer.stop())
    const text = ourConfig({ suite: options.suite, role: options.role, globals: GATES })
    const config = writeFiles(directory, { psk: options.psk ?? PSK, 'gateway.conf': text })
    const gateway = startGateway('left', network.fd('left'), config, join(directory, 'control.sock'))
    undo.push(() => gateway.stop())
    await gateway.ready(performance.now() + READY_DEADLINE)
    await run({ peer, gateway, rows: async (command) => (await gateway.ask(command)) as Row[] })
  } finally {
    for (const step of undo.reverse()) await step()
  }
}

function libreswanTest(name: string, run: () => Promise<void>): void {
  const missing = missingLibreswan()
  const skip = missing !== null && !isDemanded(false) ? missing : false
  test(`libreswan: ${name}`, { skip, timeout: 240_000 }, async () => {
    assert.equal(missing, null, missing ?? '')
    await run()
  })
}

async function until(bed: Bed, what: string, isDone: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE
  while (!(await isDone())) {
    if (performance.now() > deadline)
      assert.fail(
        `${what}\nours:\n${bed.gateway.lastLog().slice(-30).join('\n')}\nlibreswan:\n${bed.peer.log().slice(-4000)}`,
      )
    await sleep(50)
  }
}

async function isUp(bed: Bed): Promise<boolean> {
  return (await onlyTunnel(bed.gateway)).state === 'up'
}

/** Both SPIs of our only Child SA as libreswan's log names them. */
async function assertSameChild(bed: Bed): Promise<void> {
  const sas = await bed.rows('show ipsec sa')
  assert.deepEqual(sas.map(({ direction }) => direction).sort(), ['in', 'out'])
  for (const { spi } of sas) {
    const hex = String(spi).replace(/^0x/, '')
    await until(bed, `libreswan does not name SPI ${hex}`, async () => bed.peer.log().includes(hex))
  }
}

const SUITES: [name: string, suite: Suite][] = [
  ['AES-128, SHA1, group 14', AES128_SHA1],
  [
    'AES-256, SHA2-256, group 19',
    {
      ike: { encryption: 'aes-256', hash: 'sha256', group: 19, swan: 'aes256-sha2_256-dh19' },
      esp: { encryption: 'aes-256', hash: 'sha256', swan: 'aes256-sha2_256' },
      pfs: null,
    },
  ],
  [
    '3DES, MD5, group 5',
    {
      ike: { encryption: '3des', hash: 'md5', group: 5, swan: '3des-md5-modp1536' },
      esp: { encryption: '3des', hash: 'md5', swan: '3des-md5' },
      pfs: null,
    },
  ],
]

for (const [name, suite] of SUITES) {
  libreswanTest(`PSK, ${name}, we initiate`, () =>
    withLibreswan({ suite, role: 'initiator' }, async (bed) => {
      await until(bed, 'the tunnel is not up', () => isUp(bed))
      await assertSameChild(bed)
    }),
  )

  libreswanTest(`PSK, ${name}, they initiate`, () =>
    withLibreswan({ suite, role: 'responder' }, async (bed) => {
      bed.peer.whack('--name', 'peer', '--initiate', '--asynchronous')
      await until(bed, 'the tunnel is not up', () => isUp(bed))
      await assertSameChild(bed)
    }),
  )
}

libreswanTest('the Child SA and the IKE SA renewed by either side', () =>
  withLibreswan({ suite: AES128_SHA1, role: 'initiator' }, async (bed) => {
    await until(bed, 'the tunnel is not up', () => isUp(bed))
    const renewed = async (what: string, command: string, column: string, start: () => unknown) => {
      const before = (await bed.rows(command)).map((row) => row[column])
      await start()
      await until(bed, what, async () => {
        const now = (await bed.rows(command)).map((row) => row[column])
        return now.length === before.length && !now.some((value) => before.includes(value))
      })
      await assertSameChild(bed)
    }
    await renewed('no Child SA renewed by us', 'show ipsec sa', 'spi', () =>
      bed.rows('clear ipsec sa tunnel right'),
    )
    await renewed('no Child SA renewed by them', 'show ipsec sa', 'spi', () =>
      bed.peer.whack('--name', 'peer', '--rekey-ipsec', '--asynchronous'),
    )
    await renewed('no IKE SA renewed by them', 'show ike sa', 'initiatorSpi', () =>
      bed.peer.whack('--name', 'peer', '--rekey-ike', '--asynchronous'),
    )
    assert.equal(await isUp(bed), true)
  }),
)

libreswanTest('a wrong PSK is named auth-failed', () =>
  withLibreswan({ suite: AES128_SHA1, role: 'initiator', psk: 'another secret' }, async (bed) => {
    await until(bed, 'no reason', async () => (await onlyTunnel(bed.gateway)).reason === 'auth-failed')
  }),
)
