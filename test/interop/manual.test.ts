// Manual keys on real sockets: our gateway against scapy's AH and ESP, and two of our gateways against each other.

import assert from 'node:assert/strict'
import { type ChildProcess, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type GatewayProcess, startGateway } from '../../control/cli/lab-gateway.ts'
import { ping } from '../../control/cli/lab-ping.ts'
import type { EspCipher, Integrity } from '../../control/ports.ts'
import { type ManualSet, manualText } from '../manual-world.ts'
import { CIPHERS, INTEGRITIES } from '../oracle/esp.ts'
import { writeFiles } from './bed.ts'
import { createNetwork, type Network } from './network.ts'
import { isDemanded } from './release.ts'

const PYTHON = '/usr/bin/python3' // Debian's, whose modules are Debian's
const PEER = fileURLToPath(new URL('./scapy-peer.py', import.meta.url))
const OUTER = ['192.0.2.1', '192.0.2.2']
const NETS = ['10.1.0.0/24', '10.2.0.0/24']
const HOSTS = { left: '10.1.0.2', right: '10.2.0.2' }
const READY = 20_000 // ms
const PATIENCE = 5_000 // ms for the last echo reply
const PINGS = 10

const SCAPY_CIPHER: Record<string, string> = { 'aes-128': 'AES-CBC', 'aes-256': 'AES-CBC', null: 'NULL' }
const SCAPY_HASH: Record<string, string> = {
  sha1: 'HMAC-SHA1-96',
  sha256: 'SHA2-256-128',
  sha384: 'SHA2-384-192',
  sha512: 'SHA2-512-256',
}

/** Runs with the network torn down afterwards, whatever happens. */
async function withNetwork(run: (network: Network, undo: (() => unknown)[]) => Promise<void>): Promise<void> {
  const undo: (() => unknown)[] = []
  try {
    const network = createNetwork()
    undo.push(() => network.remove())
    await run(network, undo)
  } finally {
    for (const step of undo.reverse()) await step()
  }
}

type Place = { side: 0 | 1; mode: 'circuit' | 'economical'; sets: ManualSet[] }

async function start(network: Network, undo: (() => unknown)[], { side, mode, sets }: Place) {
  const directory = mkdtempSync(join(tmpdir(), 'aseiop-'))
  undo.push(() => rmSync(directory, { recursive: true, force: true }))
  const text = manualText(side, { outer: OUTER, nets: NETS, mode, sets })
  const config = writeFiles(directory, { 'gateway.conf': text })
  const room = side === 0 ? 'left' : 'right'
  const gateway = startGateway(room, network.fd(room), config, join(directory, 'control.sock'))
  undo.push(() => gateway.stop())
  await gateway.ready(performance.now() + READY).catch((error: Error) => {
    throw new Error(`${error.message}\n${gateway.lastLog().join('\n')}`)
  })
  return gateway
}

async function pings(network: Network, from: 'left' | 'right', patience = PATIENCE): Promise<number> {
  const to = from === 'left' ? 'right' : 'left'
  const probe = { from, to, source: HOSTS[from], destination: HOSTS[to] }
  const { received } = await ping(network.fd(`lan-${from}`), probe, randomBytes(56), PINGS, patience)
  return received
}

const rows = async (gateway: GatewayProcess, command: string) =>
  (await gateway.ask(command)) as Record<string, unknown>[]

async function badIcvs(gateway: GatewayProcess): Promise<unknown> {
  return (await rows(gateway, 'show counters drop')).find(({ reason }) => reason === 'bad-icv')?.packets
}

const SETS: [string, ManualSet][] = [
  ['AH sha1', { ah: 'sha1' }],
  ['AH sha512', { ah: 'sha512' }],
  ['ESP aes-128, sha1', { esp: 'aes-128 sha1' }],
  ['AH sha1 around ESP aes-256, sha256', { ah: 'sha1', esp: 'aes-256 sha256' }],
]

// ---- scapy

function missingScapy(): string | null {
  const probe = spawnSync(PYTHON, ['-c', 'import scapy.layers.ipsec, cryptography'], { encoding: 'utf8' })
  return probe.status === 0 ? null : 'needs the Debian packages python3-scapy and python3-cryptography'
}

const missing = missingScapy()
const skip = missing !== null && !isDemanded(true) ? missing : false

/** What side 1 has, in scapy's words, the inner SA first. */
function scapySas({ esp, ah, key = 0x0f }: ManualSet, direction: 'in' | 'out') {
  const hex = (byte: number, bytes: number) => Buffer.alloc(bytes, byte).toString('hex')
  const spi = 4096 + (direction === 'out' ? 1 : 0)
  const hashOf = (hash: string, byte: number) => ({
    hash: SCAPY_HASH[hash],
    hashKey: hex(byte, INTEGRITIES[hash as Integrity].key),
  })
  const sas: object[] = []
  if (esp !== undefined) {
    const [cipher, hash] = esp.split(' ')
    const cipherKey = hex(key, CIPHERS[cipher as EspCipher].key)
    sas.push({ protocol: 'esp', spi, cipher: SCAPY_CIPHER[cipher], cipherKey, ...hashOf(hash, key ^ 0xff) })
  }
  if (ah !== undefined) sas.push({ protocol: 'ah', spi, ...hashOf(ah, key) })
  return sas
}

async function startScapy(network: Network, undo: (() => unknown)[], set: ManualSet) {
  const options = { local: OUTER[1], remote: OUTER[0], in: scapySas(set, 'in'), out: scapySas(set, 'out') }
  const peer: ChildProcess = network.start('right', PYTHON, PEER, JSON.stringify(options))
  undo.push(() => peer.kill('SIGKILL'))
  let errors = ''
  peer.stderr?.on('data', (text) => {
    errors += text
  })
  const lines: string[] = []
  const input = createInterface({ input: peer.stdout! })
  await new Promise<void>((resolve, reject) => {
    input.on('line', (line) => (line === 'ready' ? resolve() : lines.push(line)))
    peer.once('exit', (code) => reject(new Error(`scapy ended with ${code}: ${errors}`)))
  })
  return lines
}

for (const [name, set] of SETS)
  test(`scapy: ${name}, both ways`, { skip, timeout: 60_000 }, () =>
    withNetwork(async (network, undo) => {
      assert.equal(missing, null, missing ?? '')
      const lines = await startScapy(network, undo, set)
      const gateway = await start(network, undo, { side: 0, mode: 'economical', sets: [set] })
      const received = await pings(network, 'left')
      assert.deepEqual(lines, Array(PINGS).fill('echo'))
      assert.equal(received, PINGS, JSON.stringify(await rows(gateway, 'show counters drop')))
    }),
  )

test('scapy: under another key it refuses ours', { skip, timeout: 60_000 }, () =>
  withNetwork(async (network, undo) => {
    assert.equal(missing, null, missing ?? '')
    const set = { ah: 'sha256' }
    const lines = await startScapy(network, undo, { ...set, key: 0x33 })
    await start(network, undo, { side: 0, mode: 'economical', sets: [set] })
    assert.equal(await pings(network, 'left', 0), 0)
    for (const late = performance.now() + PATIENCE; lines.length < PINGS && performance.now() < late; )
      await sleep(20)
    assert.equal(lines.length, PINGS)
    for (const line of lines) assert.match(line, /^bad IPSecIntegrityError/)
  }),
)

// ---- two of ours

for (const mode of ['circuit', 'economical'] as const)
  test(
    `two gateways, AH around ESP, ${mode}: pings both ways, SAs shown`,
    {
      timeout: 60_000,
    },
    () =>
      withNetwork(async (network, undo) => {
        const sets = [{ ah: 'sha1', esp: 'aes-256 sha256' }]
        const gateways = [await start(network, undo, { side: 0, mode, sets })]
        gateways.push(await start(network, undo, { side: 1, mode, sets }))
        for (const from of ['left', 'right'] as const) assert.equal(await pings(network, from), PINGS)
        for (const gateway of gateways) {
          const shown = await rows(gateway, 'show ipsec sa')
          assert.deepEqual(shown.map(({ protocol }) => protocol).sort(), ['ah', 'ah', 'esp', 'esp'])
          assert.ok(
            shown.every(({ packets }) => Number(packets) >= 2 * PINGS),
            JSON.stringify(shown),
          )
          assert.equal(await badIcvs(gateway), undefined)
        }
      }),
  )
