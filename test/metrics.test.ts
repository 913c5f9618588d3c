// The metrics page: its format, what it counts, what it never shows; and the socket that serves it.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect, createServer } from 'node:net'
import { after, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DROP_REASONS } from '../bindings/drops.ts'
import { exposition } from '../control/manage/exposition.ts'
import { type Page, pageFor } from '../control/manage/health.ts'
import { createMetricsServer } from '../control/manage/metrics-server.ts'
import { type Bed, pass } from './gateway-bed.ts'
import { circuit, LEFT, pair, RIGHT, upPair } from './gateway-pair.ts'

type Page200 = { types: Map<string, string>; samples: Map<string, number> }

/** Reads a page by the rules of the text format; anything else on it fails. */
function parse(text: string): Page200 {
  const types = new Map<string, string>()
  const samples = new Map<string, number>()
  let current = ''
  for (const line of text.slice(0, -1).split('\n')) {
    const type = /^# TYPE ([a-z_]+) (counter|gauge)$/.exec(line)
    const sample = /^([a-z_]+)(\{([a-z_]+="([^"\\\n]|\\[\\n"])*",?)+\})? (-?\d+(\.\d+)?(e\+\d+)?)$/.exec(line)
    if (type) {
      assert.ok(!types.has(type[1]), `two groups of ${type[1]}`)
      types.set(type[1], type[2])
      current = type[1]
    } else if (sample) {
      assert.equal(sample[1], current, 'a sample outside its group')
      const key = line.slice(0, line.lastIndexOf(' '))
      assert.ok(!samples.has(key), `twice: ${key}`)
      samples.set(key, Number(sample[5]))
    } else assert.match(line, /^# HELP [a-z_]+ \S.*$/)
  }
  assert.equal(text.at(-1), '\n')
  return { types, samples }
}

function scrape(bed: Bed): Page200 {
  const page = pageFor(bed.gateway, '/metrics') as Page
  assert.equal(page.status, 200)
  return parse(page.body)
}

describe('the page', () => {
  test('is the text format; counters end in _total and nothing else does', async () => {
    const { a } = await upPair()
    const { types } = scrape(a)
    assert.ok(types.size > 25, String(types.size))
    for (const [name, type] of types) {
      assert.match(name, /^(asegate|ipsec)_/)
      assert.equal(name.endsWith('_total'), type === 'counter', name)
    }
  })

  test('shows a tunnel that is up, its traffic and its SAs', async () => {
    const { a } = await upPair()
    const { samples } = scrape(a)
    const expected: Record<string, number> = {
      'asegate_tunnel_configured{tunnel="t",kind="static",mode="circuit"}': 1,
      'asegate_tunnel_up{tunnel="t"}': 1,
      'asegate_tunnel_ups_total{tunnel="t"}': 1,
      'asegate_tunnel_sent_packets_total{tunnel="t"}': 7,
      'asegate_tunnel_received_bytes_total{tunnel="t"}': 500,
      'asegate_ike_sas{state="established"}': 1,
      asegate_half_open_ike_sas: 0,
      'asegate_ipsec_sas{tunnel="t"}': 1,
      'asegate_ike_sa_setups_total{tunnel="t"}': 1,
      'asegate_child_sa_setups_total{tunnel="t"}': 1,
      'asegate_child_sa_rekeys_total{tunnel="t"}': 0,
      'asegate_asp_up{asp="1"}': 1,
      'asegate_dropped_packets_total{reason="tunnel-down"}': 3,
    }
    for (const [key, value] of Object.entries(expected)) assert.equal(samples.get(key), value, key)
    assert.ok(![...samples.keys()].some((key) => key.startsWith('asegate_tunnel_reason_info')))
  })

  test('keeps a tunnel that is down, and says why', async () => {
    const { a, wire } = pair()
    a.gateway.start()
    await pass(40_000, wire, a)
    const { samples } = scrape(a)
    assert.equal(samples.get('asegate_tunnel_configured{tunnel="t",kind="static",mode="circuit"}'), 1)
    assert.equal(samples.get('asegate_tunnel_up{tunnel="t"}'), 0)
    assert.equal(samples.get('asegate_tunnel_reason_info{tunnel="t",reason="no-answer"}'), 1)
    assert.ok(samples.get('asegate_negotiation_failures_total{tunnel="t",reason="no-answer"}')! >= 1)
  })

  test('has the same series after a rekey', async () => {
    const { a, wire, beds } = await upPair()
    const series = (page: Page200) => [...page.samples.keys()].filter((key) => key.startsWith('asegate_'))
    const before = series(scrape(a))
    await a.ask('clear ipsec sa')
    await pass(8_000, wire, ...beds)
    const page = scrape(a)
    assert.equal(page.samples.get('asegate_child_sa_rekeys_total{tunnel="t"}'), 1)
    assert.equal(page.samples.get('asegate_sa_ends_total{tunnel="t",kind="child",reason="replaced"}'), 1)
    assert.deepEqual(
      series(page).filter((key) => !before.includes(key)),
      ['asegate_sa_ends_total{tunnel="t",kind="child",reason="replaced"}'],
    )
    assert.deepEqual(
      before.filter((key) => !series(page).includes(key)),
      [],
    )
  })

  test('speaks like ipsec_exporter too', async () => {
    const { a } = await upPair()
    const { samples } = scrape(a)
    const only = (name: string) => {
      const found = [...samples].filter(([key]) => key.split('{')[0] === name)
      assert.equal(found.length, 1, name)
      return found[0]
    }
    assert.equal(samples.get('ipsec_up'), 1)
    assert.equal(samples.get('ipsec_ike_sas'), 1)
    assert.equal(samples.get('ipsec_half_open_ike_sas'), 0)
    assert.ok(samples.has('ipsec_uptime_seconds'))
    assert.equal(samples.get('ipsec_status{tunnel="t"}'), 0)
    const [ike, established] = only('ipsec_ike_sa_state')
    assert.equal(established, 2)
    assert.match(
      ike,
      /^ipsec_ike_sa_state\{name="t",uid="\d+",version="2",local_host="198\.51\.100\.1",local_id="address 198\.51\.100\.1",remote_host="203\.0\.113\.1",remote_id="address 203\.0\.113\.1"\}$/,
    )
    const [child, installed] = only('ipsec_child_sa_state')
    assert.equal(installed, 3)
    assert.match(
      child,
      /\{ike_sa_name="t",ike_sa_uid="\d+",name="t",uid="\d+",mode="TUNNEL",protocol="ESP",local_ts="0\.0\.0\.0\/0 ::\/0",remote_ts="0\.0\.0\.0\/0 ::\/0"\}$/,
    )
    for (const what of ['bytes_in', 'bytes_out', 'packets_in', 'packets_out']) only(`ipsec_child_sa_${what}`)
  })

  test('tells a tunnel that is ignored, connected or down apart, as the older exporter did', async () => {
    const shut = pair({ tunnel: ' shutdown' })
    shut.a.gateway.start()
    assert.equal(scrape(shut.a).samples.get('ipsec_status{tunnel="t"}'), 4)
    const apart = pair(
      { tunnel: ' traffic-selector local 10.1.0.0/16 remote 10.2.0.0/16' },
      { policy: ' role responder', tunnel: ' traffic-selector local 10.9.0.0/16 remote 10.1.0.0/16' },
    )
    for (const bed of apart.beds) bed.gateway.start()
    await pass(500, apart.wire, ...apart.beds)
    assert.equal(scrape(apart.a).samples.get('ipsec_status{tunnel="t"}'), 1)
    const alone = pair()
    alone.a.gateway.start()
    assert.equal(scrape(alone.a).samples.get('ipsec_status{tunnel="t"}'), 2)
  })

  test('holds no key and nothing of a peer that could break it', async () => {
    const { a, b } = await upPair()
    const { body } = pageFor(a.gateway, '/metrics') as Page
    for (const bed of [a, b])
      for (const { sa } of bed.card.sas.values())
        for (const key of [sa.encryptionKey, sa.integrityKey])
          assert.ok(!body.includes(Buffer.from(key).toString('hex')))
    assert.ok(!body.includes('sixteen bytes'))
    const hostile = {
      name: 'x',
      type: 'gauge' as const,
      help: 'a\nb\\',
      samples: [{ labels: { l: '"}\n1 \\' }, value: 1 }],
    }
    assert.equal(exposition([hostile]), '# HELP x a\\nb\\\\\n# TYPE x gauge\nx{l="\\"}\\n1 \\\\"} 1\n')
  })

  test('a tunnel that is no longer configured takes its series along', async () => {
    const { a, wire, beds } = await upPair()
    assert.ok(a.gateway.reload(a.config('context local\n')).ok)
    await pass(500, wire, ...beds)
    assert.ok(![...scrape(a).samples.keys()].some((key) => key.includes('tunnel="t"')))
  })
})

describe('gated cryptography is counted per gate and item', () => {
  test('in IKE and in ESP, with a warning each', async () => {
    const weak = (local: string, remote: string, net: string, role = '') =>
      circuit(local, remote, net, {
        global: 'legacy-crypto permit\ninsecure-crypto permit "an old peer"',
        policy: role,
      })
        .replace('authentication sha1\n dh-group 31', 'authentication md5\n dh-group 5')
        .replace('esp encryption aes-128', 'esp encryption 3des')
    const { a, b, wire, beds } = pair()
    for (const [bed, text] of [
      [a, weak(LEFT, RIGHT, '10.2.0.0/16')],
      [b, weak(RIGHT, LEFT, '10.1.0.0/16', ' role responder')],
    ] as const) {
      assert.ok(bed.gateway.reload(bed.config(text)).ok)
      bed.gateway.start()
    }
    await pass(3_000, wire, ...beds)
    const { samples } = scrape(a)
    const gated = [...samples].filter(([key]) => key.startsWith('asegate_gated_sa_setups_total'))
    assert.deepEqual(Object.fromEntries(gated), {
      'asegate_gated_sa_setups_total{gate="insecure-crypto",item="md5"}': 2,
      'asegate_gated_sa_setups_total{gate="legacy-crypto",item="group 5"}': 1,
      'asegate_gated_sa_setups_total{gate="legacy-crypto",item="3des"}': 1,
    })
    const warnings = a.entries().filter(({ reason }) => reason === 'gated')
    assert.equal(warnings.length, 2)
    assert.ok(warnings.every(({ fields }) => fields.permittedFor === 'an old peer'))
  })
})

test('healthz and readyz', async () => {
  const { a } = pair()
  const status = (path: string) => pageFor(a.gateway, path)?.status
  assert.deepEqual([pageFor(null, '/healthz')?.status, pageFor(null, '/readyz')?.status], [200, 503])
  assert.equal(pageFor(null, '/metrics')?.status, 503)
  assert.equal(status('/readyz'), 503)
  a.gateway.start()
  assert.deepEqual([status('/healthz'), status('/readyz')], [200, 200])
  a.card.aspStates = ['down', 'down']
  assert.deepEqual([status('/healthz'), status('/readyz')], [200, 503])
  assert.equal(pageFor(a.gateway, '/../etc/passwd'), null)
})

// ---- the socket

const said: string[] = []
const server = createMetricsServer(
  (path) => (path === '/metrics' ? { status: 200, type: 'text/plain', body: 'x 1\n' } : null),
  (level, message) => void said.push(`${level} ${message}`),
)
after(() => server.close())

type Got = { status: number; body: string; headers: Record<string, unknown> }

function fetchPage(port: number, path: string, method = 'GET'): Promise<Got> {
  const { promise, resolve, reject } = Promise.withResolvers<Got>()
  const call = request({ host: '127.0.0.1', port, path, method, agent: false }, (response) => {
    let body = ''
    response.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk
    })
    response.on('end', () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }))
  })
  call.on('error', reject)
  call.end()
  return promise
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => probe.once('listening', resolve))
  const { port } = probe.address() as { port: number }
  await new Promise((resolve) => probe.close(resolve))
  return port
}

async function until(what: () => boolean): Promise<void> {
  for (let tries = 0; !what(); tries++) {
    assert.ok(tries < 2_000, said.join('\n'))
    await sleep(20)
  }
}

describe('the socket', () => {
  test('serves, moves with the configuration, and goes', async () => {
    const [first, second] = [await freePort(), await freePort()]
    server.set({ address: '127.0.0.1', port: first })
    await until(() => said.some((line) => line.includes(`:${first}/metrics`)))
    const { status, body, headers } = await fetchPage(first, '/metrics?a=b')
    assert.deepEqual([status, body, headers['cache-control']], [200, 'x 1\n', 'no-store'])
    assert.equal((await fetchPage(first, '/metrics', 'HEAD')).body, '')
    assert.equal((await fetchPage(first, '/')).status, 404)
    assert.equal((await fetchPage(first, '/metrics', 'POST')).status, 405)
    server.set({ address: '127.0.0.1', port: second })
    await until(() => said.some((line) => line.includes(`:${second}/metrics`)))
    await assert.rejects(fetchPage(first, '/metrics'), /ECONNREFUSED/)
    server.set(null)
    await assert.rejects(fetchPage(second, '/metrics'), /ECONNREFUSED/)
  })

  test('says once that an address is not there', async () => {
    said.length = 0
    server.set({ address: '192.0.2.77', port: 9100 })
    await until(() => said.length > 0)
    assert.match(
      said[0],
      /^warning metrics cannot be served: listen EADDRNOTAVAIL.*192\.0\.2\.77:9100; trying again$/,
    )
    server.set(null)
  })

  test('survives what is no HTTP, and long headers', async () => {
    const port = await freePort()
    said.length = 0
    server.set({ address: '127.0.0.1', port })
    await until(() => said.length > 0)
    for (const bytes of ['\0\xff\n\n', `GET /metrics HTTP/1.1\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`]) {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      socket.resume().write(bytes)
      await new Promise((resolve) => socket.once('close', resolve))
    }
    assert.equal((await fetchPage(port, '/metrics')).status, 200)
  })
})

test('the dashboard and the alert rules ask for metrics that exist, with labels that they have', async () => {
  const { a } = await upPair()
  const { types, samples } = scrape(a)
  const text = ['alerts.yml', 'dashboard.json']
    .map((name) => readFileSync(`docs/prometheus/${name}`, 'utf8'))
    .join('')
  const asked = new Set(text.match(/asegate_[a-z_]+[a-z]/g))
  assert.ok(asked.size > 10)
  const lazy = [
    'asegate_certificate_expiry_seconds',
    'asegate_tunnel_reason_info',
    'asegate_negotiation_failures_total',
    'asegate_sa_ends_total',
  ]
  for (const name of asked)
    assert.ok(types.has(name) || lazy.includes(name) || name === 'asegate_gated_sa_setups_total', name)
  const reasons = [...text.matchAll(/dropped_packets_total\{reason=\\?"([a-z-]+)/g)].map(
    ([, reason]) => reason,
  )
  for (const reason of reasons)
    assert.ok(
      DROP_REASONS.some(({ name }) => name === reason),
      reason,
    )
  assert.ok(samples.has('asegate_tunnel_configured{tunnel="t",kind="static",mode="circuit"}'))
})
