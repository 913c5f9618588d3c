// `asegate run` as a process, on real devices and sockets: signals, reload, restart after kill -9, what stays behind.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import {
  createNamespace,
  currentNamespace,
  inNamespace as inside,
  type NamespaceFd,
} from '../bindings/linux/namespace.ts'
import { addLinkAddress, createVeth, raiseLink } from '../bindings/linux/namespace-links.ts'
import { ping } from '../control/cli/lab-ping.ts'
import { requireCard } from '../control/cli/preflight.js'
import { ask } from '../control/manage/client.ts'
import { inNamespace } from './bindings-namespace.ts'

const PROGRAM = fileURLToPath(new URL('../control/cli/asegate.js', import.meta.url))

const METRICS_PORT = 9576
/** The names that dashboards made for ipsec_exporter ask for. */
const COMPATIBLE = `ipsec_up ipsec_uptime_seconds ipsec_status ipsec_ike_sas ipsec_half_open_ike_sas ipsec_ike_sa_state
 ipsec_child_sa_state ipsec_child_sa_bytes_in ipsec_child_sa_bytes_out ipsec_child_sa_packets_in ipsec_child_sa_packets_out`

function configOf(local: string, remote: string, net: string, source: string): string {
  return `context local
 interface t1
  ip address 169.254.1.1/30
 ip route ${net} interface t1 source ${source}
ike proposal p
 encryption aes-128
 authentication sha256
 dh-group 31
ike policy peer
 seq 10 proposal p
 pre-shared-key text "a key of more than sixteen bytes"
 dpd interval 2 retries 2
tunnel ipsec t
 peer-end-point local ${local} remote ${remote}
 bind interface t1 local
 ike-policy peer
management
 metrics 127.0.0.1 port ${METRICS_PORT}
`
}

type Row = Record<string, unknown>

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 60_000
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, what)
    await sleep(25)
  }
}

class Site {
  readonly namespace: NamespaceFd
  readonly config: string
  readonly socket: string
  output = ''
  child: ChildProcess | null = null

  constructor(namespace: NamespaceFd, folder: string, name: string, text: string) {
    this.namespace = namespace
    this.config = join(folder, `${name}.conf`)
    this.socket = join(folder, `${name}.sock`)
    writeFileSync(this.config, text)
    chmodSync(this.config, 0o600)
  }

  async start(...more: string[]) {
    const words = [PROGRAM, 'run', '--config', this.config, '--socket', this.socket, ...more]
    this.output = ''
    this.child = inside(this.namespace, () =>
      spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] }),
    )
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on('data', (text) => (this.output += text))
    await this.until(() => /running/.test(this.output), 'it does not start')
  }

  async until(condition: () => boolean | Promise<boolean>, complaint: string, limit = 60_000) {
    const deadline = performance.now() + limit
    while (!(await condition())) {
      if (performance.now() > deadline || this.child?.exitCode !== null || this.child.signalCode !== null)
        throw new Error(`${complaint}\n${this.output}`)
      await sleep(25)
    }
  }

  async ask(command: string): Promise<Row[]> {
    const answer = await ask(this.socket, command)
    assert.ok(answer.ok, JSON.stringify(answer))
    return answer.data as Row[]
  }

  up() {
    return this.until(
      async () => (await this.ask('show tunnel ipsec'))[0].state === 'up',
      'the tunnel is not up',
    )
  }

  async end(signal: NodeJS.Signals): Promise<{ code: number | null; ms: number }> {
    const begun = performance.now()
    if (this.child?.exitCode !== null || this.child.signalCode !== null)
      throw new Error(`it has ended already\n${this.output}`)
    const closed = once(this.child as ChildProcess, 'exit')
    this.child?.kill(signal)
    const [code] = await closed
    return { code, ms: performance.now() - begun }
  }

  run(...words: string[]): string {
    const { stdout, stderr } = inside(this.namespace, () =>
      spawnSync(words[0], words.slice(1), { encoding: 'utf8' }),
    )
    return stdout + stderr
  }

  routes(): string {
    return this.run('ip', 'route', 'show')
  }

  /** Replies to echo requests from `source`; waits `patience` ms for the last one. */
  async ping(destination: string, source: string, count = 5, patience = 10_000): Promise<number> {
    const probe = { from: 'here', to: 'there', source, destination }
    return (await ping(this.namespace, probe, new Uint8Array(56), count, patience)).received
  }
}

inNamespace(fileURLToPath(import.meta.url), () => {
  const folder = mkdtempSync(join(tmpdir(), 'asegate-run-'))
  const [left, right] = [currentNamespace(), createNamespace()]
  createVeth({ namespace: left, name: 'gwr-a' }, { namespace: right, name: 'gwr-b' })
  for (const [namespace, name, outer, inner] of [
    [left, 'gwr-a', '192.0.2.1/24', '10.1.0.1/32'],
    [right, 'gwr-b', '192.0.2.2/24', '10.2.0.1/32'],
  ] as const) {
    raiseLink(namespace, 'lo')
    raiseLink(namespace, name)
    addLinkAddress(namespace, name, outer)
    addLinkAddress(namespace, 'lo', inner)
  }
  const a = new Site(left, folder, 'a', configOf('192.0.2.1', '192.0.2.2', '10.2.0.0/24', '10.1.0.1'))
  const b = new Site(right, folder, 'b', configOf('192.0.2.2', '192.0.2.1', '10.1.0.0/24', '10.2.0.1'))
  before(requireCard) // or both processes would build it, inside the time they have to start
  after(() => {
    a.child?.kill('SIGKILL')
    b.child?.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })

  test('two processes bring a tunnel up and carry pings', async () => {
    await a.start()
    await b.start('--log', 'json')
    await a.up()
    await b.up()
    assert.equal(await a.ping('10.2.0.1', '10.1.0.1'), 5)
    assert.equal(await b.ping('10.1.0.1', '10.2.0.1'), 5)
    assert.match(a.routes(), /10\.2\.0\.0\/24 dev t1 .*src 10\.1\.0\.1 metric 1/)
    assert.match(a.routes(), /blackhole 10\.2\.0\.0\/24 .*metric 4294967295/)
    assert.match(a.run('ip', 'link', 'show', 't1'), /mtu 1400 .*state UP/)
    for (const line of b.output.trim().split('\n')) assert.ok(JSON.parse(line).time, line)
    assert.ok(!(a.output + b.output).includes('sixteen bytes'))
  })

  test('the command line shows it in 80 columns and as data', async () => {
    const table = a.run(process.execPath, PROGRAM, 'show', 'tunnel', 'ipsec', '--socket', a.socket)
    assert.match(table, /^NAME +STATE/)
    assert.match(table, /^t +up/m)
    const { ok, data } = JSON.parse(
      a.run(process.execPath, PROGRAM, 'show', 'ipsec', 'sa', '--json', '--socket', a.socket),
    )
    assert.ok(ok)
    assert.deepEqual(
      data.map(({ direction }: Row) => direction),
      ['in', 'out'],
    )
    const version = JSON.parse(
      a.run(process.execPath, PROGRAM, 'show', 'version', '--json', '--socket', a.socket),
    )
    const here = JSON.parse(a.run(process.execPath, PROGRAM, 'version', '--json'))
    assert.deepEqual(version.data, here.data)
  })

  test('a scrape over the network finds the tunnel, its traffic, and every name it may ask for', async () => {
    const get = (path: string) =>
      fetch(`http://127.0.0.1:${METRICS_PORT}${path}`, { headers: { connection: 'close' } })
    const response = await get('/metrics')
    assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
    const body = await response.text()
    for (const name of COMPATIBLE.split(/\s+/)) assert.match(body, new RegExp(`^${name}[{ ]`, 'm'))
    assert.match(body, /^asegate_tunnel_up\{tunnel="t"\} 1$/m)
    const [, bytes] = /^asegate_tunnel_sent_bytes_total\{tunnel="t"\} (\d+)$/m.exec(body) ?? []
    assert.ok(Number(bytes) >= 5 * 84, body)
    assert.match(body, /^asegate_public_key_jobs_total\{kind="dh-derive"\} [1-9]\d*$/m)
    assert.equal((await get('/readyz')).status, 200)
    assert.ok(!body.includes('sixteen bytes'))
  })

  test('a second gateway at the same socket is refused and harms nothing', async () => {
    const { status, stderr } = inside(left, () =>
      spawnSync(process.execPath, [PROGRAM, 'run', '--config', a.config, '--socket', a.socket], {
        encoding: 'utf8',
      }),
    )
    assert.equal(status, 1)
    assert.match(stderr, /another gateway runs at/)
    const other = inside(left, () =>
      spawnSync(
        process.execPath,
        [PROGRAM, 'run', '--config', a.config, '--socket', join(folder, 'o.sock')],
        { encoding: 'utf8' },
      ),
    )
    assert.equal(other.status, 3, other.stderr) // the device t1 is not its own
    assert.match(other.stderr, /device-name/)
    assert.equal(await a.ping('10.2.0.1', '10.1.0.1'), 5)
  })

  test('SIGHUP commits the file again; a refused one changes nothing and says why', async () => {
    const [before] = await a.ask('show ipsec sa')
    appendFileSync(a.config, 'context local\n ip route 10.3.0.0/24 interface t1\n')
    a.child?.kill('SIGHUP')
    await a.until(() => /committed: 1 keep/.test(a.output), 'no commit')
    assert.match(a.routes(), /10\.3\.0\.0\/24 dev t1/)
    appendFileSync(a.config, 'tunel x\n')
    a.child?.kill('SIGHUP')
    await a.until(() => /refused, the old one stays/.test(a.output), 'no refusal')
    assert.match(a.output, /a\.conf:\d+: error syntax: .*tunnel/)
    assert.equal((await a.ask('show ipsec sa'))[0].spi, before.spi)
    assert.equal(await a.ping('10.2.0.1', '10.1.0.1'), 5)
    writeFileSync(a.config, configOf('192.0.2.1', '192.0.2.2', '10.2.0.0/24', '10.1.0.1'))
  })

  test('an operator takes the device down and up, and the addresses away: the tunnel carries again by itself', async () => {
    a.run('ip', 'link', 'set', 't1', 'down')
    assert.doesNotMatch(a.routes(), /dev t1/)
    a.run('ip', 'link', 'set', 't1', 'up')
    await a.until(() => /10\.2\.0\.0\/24 dev t1/.test(a.routes()), 'the route is not back')
    assert.equal(await a.ping('10.2.0.1', '10.1.0.1'), 5)
    a.run('ip', 'address', 'del', '10.1.0.1/32', 'dev', 'lo') // the source of the route: it goes with it
    assert.doesNotMatch(a.routes(), /10\.2\.0\.0\/24 dev t1/)
    a.run('ip', 'address', 'add', '10.1.0.1/32', 'dev', 'lo')
    await a.until(() => /10\.2\.0\.0\/24 dev t1/.test(a.routes()), 'the route is not back')
    assert.equal(await a.ping('10.2.0.1', '10.1.0.1'), 5)
  })

  test('kill -9: the guard drops what belonged into the tunnel; a restart brings it back', async () => {
    assert.equal((await a.end('SIGKILL')).code, null)
    await until(() => !/dev t1/.test(a.routes()), 'the routes of the dead gateway go with its device')
    assert.match(a.routes(), /blackhole 10\.2\.0\.0\/24/)
    assert.equal(await a.ping('10.2.0.1', '10.1.0.1', 2, 500), 0)
    await a.start()
    await a.up()
    await b.up()
    assert.equal(await a.ping('10.2.0.1', '10.1.0.1'), 5)
  })

  test('SIGTERM: Deletes, devices gone, guard and peer informed, soon', async () => {
    const { code, ms } = await a.end('SIGTERM')
    assert.equal(code, 0, a.output)
    assert.ok(ms < 20_000, `${ms} ms`)
    assert.equal(a.run('ip', '-br', 'link', 'show', 'type', 'tun').trim(), '')
    assert.match(a.routes(), /blackhole 10\.2\.0\.0\/24/)
    assert.ok(!existsSync(a.socket))
    const row = async () => (await b.ask('show tunnel ipsec'))[0]
    await until(async () => (await row()).state !== 'up', 'the peer knows that the tunnel is down')
    assert.equal((await row()).reason, 'peer-deleted')
  })

  test('clear guard-routes needs no gateway', () => {
    const text = a.run(process.execPath, PROGRAM, 'clear', 'guard-routes', '--socket', a.socket)
    assert.match(text, /cleared .*10\.2\.0\.0\/24/)
    assert.doesNotMatch(a.routes(), /blackhole/)
  })

  test('SIGINT ends it too, and a closed log pipe does not', async () => {
    b.child?.stdout?.destroy()
    await sleep(200)
    await b.ask('clear counters')
    const { code, ms } = await b.end('SIGINT')
    assert.equal(code, 0)
    assert.ok(ms < 20_000, `${ms} ms`)
  })
})
