// An ASP that dies: its tunnels drop and never leave in clear, then go on at a standby with new SAs, manual ones with
// those of the configuration. First over ports made by hand, then with real threads, devices and packets.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import { createLinuxMachine } from '../bindings/linux/machine.ts'
import { loadConfig } from '../control/config/load.ts'
import { createGateway } from '../control/gateway.ts'
import { createLog } from '../control/manage/log.ts'
import { assignAsps } from '../control/tunnel/asp.ts'
import { inNamespace } from './bindings-namespace.ts'
import { type Bed, BedFiles, pass } from './gateway-bed.ts'
import { assertMirrored, reasonOf, stateOf, upPair } from './gateway-pair.ts'

const REDUNDANT = `asp pool p
 asp 1
 asp 2
asp group g
 pool p
 redundancy 1
`
const ON_GROUP = { global: REDUNDANT, tunnel: ' asp-group g' }

function fail(bed: Bed, asp: number) {
  bed.card.aspStates[asp - 1] = 'down'
  bed.card.raise({ kind: 'asp-failed', asp, reason: 'its thread has ended' })
}

function revive(bed: Bed, asp: number) {
  bed.card.aspStates[asp - 1] = 'up'
  bed.card.raise({ kind: 'ready', asp })
}

const aspOf = (bed: Bed) => [...bed.card.tunnels.values()][0].asp

if (process.env.ASEBIND_NAMESPACE !== '1') handMade()
inNamespace(import.meta.filename, realThreads)

function handMade(): void {
  describe('an auto-key tunnel', () => {
    test('drops, then has new SAs on the standby, and the log says so', async () => {
      const { a, b, wire, beds } = await upPair(ON_GROUP)
      assert.equal(aspOf(a), 1)
      const [old] = a.card.of('in')
      fail(a, 1)
      assert.equal(await stateOf(a), 'negotiating')
      assert.equal(a.card.sas.size, 0, 'no SA outlives its ASP')
      assert.deepEqual(a.card.history, ['t up', 't down'])
      await pass(2_000, wire, ...beds)
      assert.equal(await stateOf(a), 'up')
      assert.equal(aspOf(a), 2)
      assert.notDeepEqual(a.card.of('in')[0].sa.encryptionKey, old.sa.encryptionKey)
      assertMirrored(a, b)
      const [failed] = a.entries().filter(({ message }) => message.startsWith('ASP 1 failed'))
      assert.equal(failed.level, 'error')
      const [moved] = a.entries().filter(({ reason }) => reason === 'take-over')
      assert.deepEqual([moved.tunnel, moved.message], ['t', 'tunnel moved to ASP 2'])
      assert.ok(
        a.routes.routes.some(({ device }) => device === 't1'),
        'the route stays',
      )
      assert.ok(
        a.routes.routes.some(({ blackhole }) => blackhole),
        'so does the guard',
      )
    })

    test('stays on the standby when the first works again, and goes back when that one fails', async () => {
      const { a, wire, beds } = await upPair(ON_GROUP)
      fail(a, 1)
      await pass(2_000, wire, ...beds)
      const spis = a.card.of('in').map(({ sa }) => sa.spi)
      revive(a, 1)
      await pass(2_000, wire, ...beds)
      assert.deepEqual([aspOf(a), a.card.of('in').map(({ sa }) => sa.spi)], [2, spis])
      fail(a, 2)
      await pass(2_000, wire, ...beds)
      assert.deepEqual([aspOf(a), await stateOf(a)], [1, 'up'])
    })

    test('is down with reason no-asp while none is left, and up with the first that works', async () => {
      const { a, wire, beds } = await upPair(ON_GROUP)
      fail(a, 2)
      fail(a, 1)
      await pass(20_000, wire, ...beds)
      assert.deepEqual([await stateOf(a), await reasonOf(a), a.card.sas.size], ['down', 'no-asp', 0])
      revive(a, 2)
      await pass(2_000, wire, ...beds)
      assert.deepEqual([aspOf(a), await stateOf(a)], [2, 'up'])
    })

    test('of an ASP that was rebuilt stays there', async () => {
      const { a, wire, beds } = await upPair(ON_GROUP)
      a.card.raise({ kind: 'asp-failed', asp: 1, reason: 'the card stopped and was rebuilt' })
      a.card.raise({ kind: 'ready', asp: 1 })
      await pass(2_000, wire, ...beds)
      assert.deepEqual([aspOf(a), await stateOf(a)], [1, 'up'])
    })
  })

  test('clear asp gives its tunnels new SAs', async () => {
    const { a, wire, beds } = await upPair(ON_GROUP)
    const [old] = a.card.of('in')
    assert.deepEqual(await a.ask('clear asp 1'), { cleared: ['t'] } as never)
    await pass(3_000, wire, ...beds)
    assert.equal(await stateOf(a), 'up')
    assert.notEqual(a.card.of('in')[0].sa.spi, old.sa.spi)
    assert.deepEqual(await a.ask('clear asp 2'), { cleared: [] } as never)
    await assert.rejects(a.ask('clear asp 9'), /not-found: there is no ASP 9/)
  })

  test('tunnels spread over what lives; a standby works only in the place of another', async () => {
    const { a } = await upPair(ON_GROUP)
    const assigned = (living: number[], before: [string, number][] = []) =>
      assignAsps(a.gateway.config, new Map(before), new Set(living)).get('t')
    assert.deepEqual([assigned([1, 2]), assigned([2]), assigned([])], [1, 2, null])
    assert.deepEqual([assigned([1, 2], [['t', 2]]), assigned([1], [['t', 2]])], [2, 1])
  })
}

// ---- real threads

const KEYS = 'encryption aes-128 key hex 00112233445566778899aabbccddeeff'
const HASH = 'authentication sha1 key hex 000102030405060708090a0b0c0d0e0f10111213'
const MANUAL = `${REDUNDANT}context local
 interface t1
  ip address 10.9.0.1/32
 ip route 10.99.0.0/24 interface t1
ipsec sa keys
 outbound esp spi 4096 ${KEYS} ${HASH}
 inbound esp spi 4097 ${KEYS} ${HASH}
tunnel ipsec m manual
 peer-end-point local 192.0.2.1 remote 192.0.2.2
 bind interface t1 local
 seq 10 ipsec-sa keys
 asp-group g
`

function realThreads(): void {
  test('a manual tunnel goes on at the standby after its thread was killed', {
    timeout: 120_000,
  }, async () => {
    for (const line of [
      'link set lo up',
      'link add w0 type veth peer name w1',
      'address add 192.0.2.1/24 dev w0',
      'link set w0 up',
      'link set w1 up',
    ])
      execFileSync('ip', line.split(' '))
    const workers: Worker[] = []
    process.on('worker', (worker) => workers.push(worker))
    const machine = await createLinuxMachine({ asps: 2, ikePort: 500, natTPort: 4500 })
    const lines: string[] = []
    const log = createLog({
      level: 'debug',
      format: 'text',
      write: (line) => void lines.push(line),
      clock: machine.clock,
    })
    const { config, errors } = loadConfig('/x.conf', MANUAL, new BedFiles(), { privateFile: true })
    assert.deepEqual(errors, [])
    const gateway = createGateway({ ...machine, log }, config, { version: '0', node: 'test' })
    try {
      gateway.start()
      const sent = () => Number(gateway.ports.card.tunnelCounters(gateway.dataplane.slot('m')!.ref).txPackets)
      await until(
        () => ping() && sent() > 0,
        () => `nothing was sent: ${lines.join('')}`,
      )
      assert.equal(gateway.dataplane.slot('m')?.asp, 1)
      await workers[0].terminate()
      await until(
        () => gateway.dataplane.slot('m')?.asp === 2,
        () => `no take-over: ${lines.join('')}`,
      )
      assert.deepEqual(
        machine.card.asps().map(({ state }) => state),
        ['down', 'up'],
      )
      const before = sent()
      await until(
        () => ping() && sent() > before,
        () => `nothing is sent after the take-over: ${lines.join('')}`,
      )
      assert.match(lines.join(''), /error reason=no-asp ASP 1 failed: its thread has ended/)
      assert.match(lines.join(''), /warning tunnel=m reason=take-over tunnel moved to ASP 2/)
    } finally {
      await gateway.stop()
      await machine.stop()
    }
  })
}

/** One packet into the tunnel; nobody answers. */
function ping(): boolean {
  try {
    execFileSync('ping', ['-c', '1', '-W', '0.1', '10.99.0.1'], { stdio: 'ignore' })
  } catch {
    // no reply is what is expected
  }
  return true
}

async function until(what: () => boolean, why: () => string): Promise<void> {
  const deadline = performance.now() + 50_000
  while (!what()) {
    assert.ok(performance.now() < deadline, why())
    await sleep(50)
  }
}
