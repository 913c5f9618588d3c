// The small pure parts around the gateway: MTU, backoff, ASP assignment, plan, explanation, log, tables.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { loadConfig } from '../control/config/load.ts'
import type { Config } from '../control/config/model.ts'
import { differingFields, REASONS, renderEndpoint, renderReport } from '../control/explain.ts'
import { escapeText, safeValue } from '../control/manage/escape.ts'
import { commandGrammar, parseCommand } from '../control/manage/exec.ts'
import { createLimiter, createLog, RING_LINES } from '../control/manage/log.ts'
import { render } from '../control/manage/render.ts'
import { duration, short } from '../control/manage/table.ts'
import { aspCount, assignAsps, groupOf } from '../control/tunnel/asp.ts'
import { backoff } from '../control/tunnel/backoff.ts'
import { effectiveMtu, innerMtu, type MtuInput } from '../control/tunnel/mtu.ts'
import { planMachine } from '../control/tunnel/plan.ts'
import { SpiAllocator } from '../control/tunnel/spi.ts'

const NO_FILES = {
  read: () => new Uint8Array(),
  readSecret: () => new Uint8Array(32),
  exists: () => true,
}

function config(text: string): Config {
  const { config: loaded, errors } = loadConfig('/t.conf', text, NO_FILES, { privateFile: true })
  assert.deepEqual(errors, [])
  return loaded
}

describe('inner MTU', () => {
  const cases: [input: MtuInput, expected: number][] = [
    // 1500 - 20 outer - 8 UDP - 8 ESP - 16 IV - 12 ICV = 1436 -> 89 blocks of 16 = 1424, less pad length and next header
    [{ cipher: 'aes-128', integrity: 'sha1', encapsulation: 'udp', outerFamily: 4 }, 1422],
    [{ cipher: 'aes-256', integrity: 'sha256', encapsulation: 'raw', outerFamily: 4 }, 1438],
    [{ cipher: 'aes-256', integrity: 'sha512', encapsulation: 'udp', outerFamily: 6 }, 1390],
    [{ cipher: '3des', integrity: 'sha1', encapsulation: 'raw', outerFamily: 4 }, 1446],
    [{ cipher: 'aes-gcm-256', integrity: null, encapsulation: 'raw', outerFamily: 4 }, 1446],
  ]
  for (const [input, expected] of cases)
    test(`${input.cipher} ${input.integrity} ${input.encapsulation} over IPv${input.outerFamily}: ${expected}`, () =>
      assert.equal(innerMtu(input), expected))

  test('fits the path exactly: one byte more does not', () => {
    for (const [input] of cases) {
      const block = input.cipher === '3des' ? 8 : input.cipher?.startsWith('aes-gcm') ? 4 : 16
      const iv = input.cipher === '3des' || block === 4 ? 8 : 16
      const icv = { sha1: 12, sha256: 16, sha512: 32, null: 16 }[String(input.integrity)] ?? 0
      const outer = (input.outerFamily === 4 ? 20 : 40) + (input.encapsulation === 'udp' ? 8 : 0)
      const size = (inner: number) => outer + 8 + iv + Math.ceil((inner + 2) / block) * block + icv
      assert.ok(size(innerMtu(input)) <= 1500)
      assert.ok(size(innerMtu(input) + 1) > 1500)
    }
  })

  test('AH and AH around ESP: header of 24 bytes over IPv4, of a multiple of 8 over IPv6', () => {
    const way = { encapsulation: 'raw', integrity: null } as const
    assert.equal(innerMtu({ ...way, cipher: null, ah: 'sha1', outerFamily: 4 }), 1456)
    assert.equal(innerMtu({ ...way, cipher: null, ah: 'sha256', outerFamily: 6 }), 1500 - 40 - 32)
    const esp = { encapsulation: 'raw', cipher: 'aes-256', integrity: 'sha256' } as const
    // 1500 - 20 - 24 AH - 8 ESP - 16 IV - 16 ICV = 1416 -> 88 blocks of 16 = 1408, less pad length and next header
    assert.equal(innerMtu({ ...esp, ah: 'sha1', outerFamily: 4 }), 1406)
  })

  test('the configured value is a ceiling, the dearest suite counts', () => {
    const inputs = cases.map(([input]) => input)
    assert.equal(effectiveMtu(1400, inputs), 1390)
    assert.equal(effectiveMtu(1300, inputs), 1300)
    assert.equal(effectiveMtu(1400, []), 1400)
  })
})

describe('backoff', () => {
  test('starts at about a second, doubles, stays within 30 s and its jitter', () =>
    fc.assert(
      fc.property(fc.nat(10_000), fc.nat(255), (failures, random) => {
        const wait = backoff(failures, random)
        const nominal = Math.min(30_000, 1000 * 2 ** Math.max(0, failures - 1))
        return wait >= nominal * 0.75 - 1 && wait <= nominal * 1.25 + 1
      }),
    ))

  test('looks for a missing route at least every 5 s', () => assert.ok(backoff(99, 255, true) <= 5_000))
})

const TUNNELS = (group: string, names: string[]) =>
  names
    .map(
      (name, i) => `tunnel ipsec ${name} manual
 mode economical
 peer-end-point local 198.51.100.1 remote 192.0.2.${i + 1}
 seq 10 ipsec-sa k
${group}`,
    )
    .join('\n')
const KEYS = `ipsec sa k
 outbound esp spi 4096 encryption aes-128 key file k authentication sha1 key file k
 inbound esp spi 4097 encryption aes-128 key file k authentication sha1 key file k
`

describe('ASPs', () => {
  const files = { ...NO_FILES, readSecret: () => new Uint8Array(16) }
  const load = (text: string) => loadConfig('/t.conf', text, files, { privateFile: true }).config

  test('without configuration: ASP 1 and 2, tunnels spread evenly', () => {
    const loaded = load(KEYS + TUNNELS('', ['a', 'b', 'c', 'd']))
    assert.equal(aspCount(loaded), 2)
    assert.deepEqual([...assignAsps(loaded, new Map(), new Set([1, 2])).values()], [1, 2, 1, 2])
  })

  test('redundancy keeps the last of the pool as standby', () => {
    const pool = 'asp pool p\n asp 1\n asp 2\n asp 3\nasp group g\n pool p\n redundancy 1\n'
    const loaded = load(pool + KEYS + TUNNELS(' asp-group g\n', ['a', 'b', 'c']))
    assert.deepEqual(groupOf(loaded, 'g'), { name: 'g', active: [1, 2], standby: [3] })
    assert.equal(aspCount(loaded), 3)
    assert.deepEqual([...assignAsps(loaded, new Map(), new Set([1, 2, 3])).values()], [1, 2, 1])
  })

  test('a tunnel keeps its ASP, a new one takes the emptier', () => {
    const loaded = load(KEYS + TUNNELS('', ['a', 'b', 'c']))
    const before = new Map([
      ['b', 1],
      ['c', 1],
    ])
    assert.deepEqual(Object.fromEntries(assignAsps(loaded, before, new Set([1, 2]))), { a: 2, b: 1, c: 1 })
  })

  test('no ASP of the group is there: none', () => {
    const loaded = load(KEYS + TUNNELS('', ['a']))
    assert.deepEqual([...assignAsps(loaded, new Map(), new Set()).values()], [null])
  })
})

describe('the machine a configuration wants', () => {
  const text = `context local
 interface t1
  ip address 10.0.0.1/30
 ip route 10.1.0.0/16 interface t1 distance 20
 ip route 10.1.0.0/16 interface t1
 ip route 10.2.0.0/16 tunnel m source 10.255.0.1
 ip route 10.3.0.0/16 interface t1 withdraw
 ip route 10.4.0.0/16 null0 distance 250
ike policy p
 pre-shared-key text "a key of more than sixteen bytes"
tunnel ipsec c
 peer-end-point local 198.51.100.1 remote 203.0.113.1
 bind interface t1 local
 ike-policy p
tunnel ipsec m
 mode economical
 peer-end-point local 198.51.100.1 remote 203.0.113.2
 ike-policy p
`
  const plan = planMachine(config(text), new Set())

  test('guards every route into a tunnel once, by the worst metric', () =>
    assert.deepEqual(
      plan.guards.map(({ prefix, metric, blackhole }) => [prefix, metric, blackhole]),
      [
        ['10.1.0.0/16', 0xffffffff, true],
        ['10.2.0.0/16', 0xffffffff, true],
        ['10.0.0.0/30', 0xffffffff, true],
      ],
    ))

  test('the guard of a default route comes before the host’s other default routes', () => {
    const extra = ' ip route 0.0.0.0/0 interface t1 distance 9\n ip route 0.0.0.0/0 tunnel m distance 7\n'
    const { guards } = planMachine(config(text.replace('ike policy p', `${extra}ike policy p`)), new Set())
    const guard = guards.find(({ prefix }) => prefix === '0.0.0.0/0')
    assert.deepEqual(guard, { prefix: '0.0.0.0/0', device: null, metric: 10, blackhole: true })
  })

  test('no guard for a link-local network or an address alone', () => {
    const addresses = '  ip address fe80::1/64\n  ip address 10.7.0.1/32\n  ip address fd07::1/64\n'
    const other = text.replace('  ip address 10.0.0.1/30\n', addresses)
    const prefixes = planMachine(config(other), new Set()).guards.map(({ prefix }) => prefix)
    assert.deepEqual(prefixes, ['10.1.0.0/16', '10.2.0.0/16', 'fd07::/64'])
  })

  test('routes by distance, with source, null0 as a blackhole; withdraw only while up', () => {
    assert.deepEqual(plan.routes, [
      { prefix: '10.1.0.0/16', device: 't1', metric: 20 },
      { prefix: '10.1.0.0/16', device: 't1', metric: 1 },
      { prefix: '10.2.0.0/16', device: 'ase0', metric: 1, source: '10.255.0.1' },
      { prefix: '10.4.0.0/16', device: null, metric: 250, blackhole: true },
    ])
    const up = planMachine(config(text), new Set(['c']))
    assert.ok(up.routes.some(({ prefix }) => prefix === '10.3.0.0/16'))
  })

  test('puts economical prefixes and null0 into the FIB, circuits never', () =>
    assert.deepEqual(plan.fib, [
      { prefix: '10.2.0.0/16', target: { tunnel: 'm' } },
      { prefix: '10.4.0.0/16', target: 'null0' },
    ]))

  test('circuits are multicast, ase0 is not', () =>
    assert.deepEqual(
      [...plan.devices.values()].map(({ name, multicast }) => [name, multicast]),
      [
        ['t1', true],
        ['ase0', false],
      ],
    ))
})

describe('SPIs', () => {
  test('are never below 256, reserved, or given out twice', () => {
    const drawn = [255, 4097, 300, 300, 301]
    const bytes = () => {
      const out = new Uint8Array(4)
      new DataView(out.buffer).setUint32(0, drawn.shift() as number)
      return out
    }
    const allocator = new SpiAllocator({ bytes }, new Set([4097]))
    assert.deepEqual([allocator.allocate(), allocator.allocate()], [300, 301])
  })
})

describe('explain', () => {
  test('names the differing fields of the closest pair', () => {
    assert.deepEqual(
      differingFields(['aes-128 sha1 group 2'], ['aes-256 sha256 group 14', 'aes-128 sha1 group 14']),
      ['2 ≠ 14'],
    )
    assert.deepEqual(differingFields([], ['x']), [])
  })

  test('puts everything on one line', () => {
    const line = renderReport({
      tunnel: 't',
      level: 'warning',
      code: 'no-proposal',
      text: 'no common proposal',
      offered: ['aes-128 sha1'],
      allowed: ['aes-256 sha1'],
      advice: 'make one equal',
      peer: { address: '2001:db8::1', port: 500 },
    })
    assert.equal(
      line,
      'no common proposal; peer [2001:db8::1]:500; peer offered aes-128 sha1; allowed here aes-256 sha1; differs in aes-128 ≠ aes-256; do: make one equal',
    )
    assert.equal(renderEndpoint({ address: '192.0.2.1', port: 0 }), '192.0.2.1')
  })

  test('every reason has a meaning and an advice', () => {
    for (const { meaning, advice } of Object.values(REASONS))
      assert.ok(meaning.length > 10 && advice.length > 10)
  })
})

describe('the log', () => {
  const lines: string[] = []
  const clock = { wall: () => 0, now: () => 0 }
  const log = createLog({ level: 'info', format: 'text', write: (line) => void lines.push(line), clock })

  test('text of a peer cannot forge a line, colour a terminal or fill a disk', () => {
    log.log('warning', 'peer says', {
      tunnel: 't',
      reason: 'r',
      id: `x\n2026 error forged\u001b[31m\u202e${'y'.repeat(70_000)}`,
    })
    const line = lines.at(-1) as string
    assert.equal(line.split('\n').length, 2)
    assert.ok(line.length < 600)
    assert.ok(!/[\p{Cc}\p{Cf}]/u.test(line.trimEnd()))
    assert.match(line, /tunnel=t reason=r peer says id="x\\\\x0a2026/)
  })

  test('bytes are never written', () => {
    log.log('info', 'key', { key: new Uint8Array([1, 2, 3]), deep: { key: Buffer.from('secret') } })
    assert.match(lines.at(-1) as string, /key="\[redacted 3 bytes\]" deep=\{"key":"\[redacted 6 bytes\]"\}/)
  })

  test('keeps a bounded ring, also of levels that are not written', () => {
    const before = lines.length
    for (let i = 0; i < RING_LINES + 10; i += 1) log.log('debug', `n${i}`, { tunnel: i % 2 ? 'odd' : 'even' })
    assert.equal(lines.length, before)
    assert.equal(log.entries(5000).length, RING_LINES)
    assert.deepEqual(
      log.entries(2, 'odd').map(({ message }) => message),
      [`n${RING_LINES + 7}`, `n${RING_LINES + 9}`],
    )
  })

  test('JSON lines parse, whatever was logged', () =>
    fc.assert(
      fc.property(fc.string(), fc.dictionary(fc.string(), fc.anything()), (message, fields) => {
        const out: string[] = []
        const json = createLog({
          level: 'debug',
          format: 'json',
          write: (line) => void out.push(line),
          clock,
        })
        json.log('info', message, { more: fields })
        return out.length === 1 && JSON.parse(out[0]).level === 'info'
      }),
    ))

  test('holds back what comes too often and says how much', () => {
    let now = 0
    const limit = createLimiter(() => now, 3, 1_000)
    const passed = Array.from({ length: 10 }, () => limit('x').pass)
    assert.equal(passed.filter(Boolean).length, 3)
    assert.equal(limit('y').pass, true)
    now = 1_000
    assert.deepEqual(limit('x'), { pass: true, held: 7 })
  })

  test('M3 escapes by code point and cuts', () => {
    assert.equal(escapeText('a\u0000\u0085\u2028b'), 'a\\x00\\x85\\u{2028}b')
    assert.equal(escapeText('abcdef', 4), 'abc…')
    assert.deepEqual(safeValue({ n: 1n, big: 2n ** 60n }), { n: 1, big: (2n ** 60n).toString() })
  })
})

describe('tables', () => {
  const tunnel = {
    name: 'a-very-long-tunnel-name-of-32-ch',
    kind: 'static',
    mode: 'economical',
    state: 'negotiating',
    reason: 'ts-unacceptable',
    local: '2001:db8:ffff:ffff:ffff:ffff:ffff:1',
    remote: '2001:db8:ffff:ffff:ffff:ffff:ffff:2',
    interface: 'abcdefghijklmno',
    asp: 1,
    gate: [],
  }
  const sa = {
    spi: '0xdeadbeef',
    direction: 'out',
    sending: true,
    destination: tunnel.remote,
    tunnel: tunnel.name,
    encryption: 'chacha20-poly1305',
    authentication: 'none',
    packets: 123456789012,
    bytes: 123456789012345,
    hardIn: 28_800,
  }
  const ike = {
    initiatorSpi: '0123456789abcdef',
    responderSpi: '0123456789abcdef',
    role: 'responder',
    state: 'established',
    tunnel: tunnel.name,
    rekeyIn: 28_800,
  }
  const route = {
    prefix: '2001:db8:ffff:ffff::/64',
    kind: 'tunnel-direct',
    target: tunnel.name,
    source: 'static',
    distance: 255,
    installed: true,
    guard: true,
  }
  const circuit = {
    id: 1,
    device: 'abcdefghijklmno',
    tunnel: tunnel.name,
    state: 'dormant',
    mtu: 1400,
    rx: { packets: 99_999 },
    tx: { packets: 10 ** 12 },
    drops: 3,
    loopback: 10 ** 12,
  }
  const drop = {
    reason: 'inner-selector-mismatch',
    packets: 123456,
    sentence: 'the inner packet lies outside the negotiated traffic selectors of its SA',
  }
  const cases = [
    ['tunnel', tunnel],
    ['ipsec-sa', sa],
    ['ike-sa', ike],
    ['route', route],
    ['circuit', circuit],
    ['drop', drop],
  ] as const
  for (const [name, row] of cases)
    test(`show ${name} fits 80 columns with the longest values, and is whole in a pipe`, () => {
      const narrow = render(name, [row, row], false, 80)
      assert.equal(narrow.length, 3)
      for (const line of narrow) assert.ok(line.length <= 80, `${line.length}: ${line}`)
      assert.ok(!render(name, [row], false, Number.POSITIVE_INFINITY).join().includes('…'))
    })

  test('nothing to show says so', () => assert.deepEqual(render('tunnel', [], false, 80), ['no tunnels']))
  test('counts and times are short', () => {
    assert.deepEqual([short(99_999), short(123_456), short(1.5e12)], ['99999', '123.5k', '1.5T'])
    assert.deepEqual(
      [duration(null), duration(59), duration(600), duration(12_000)],
      ['never', '59s', '10m', '3h20m'],
    )
  })
})

describe('exec grammar', () => {
  test('every line of the grammar parses with example words', () => {
    for (const line of commandGrammar()) {
      const example = line.replace(/\[.*$/, '').replace(/NAME/g, 'x').replace(/INT/g, '1').trim()
      assert.ok(parseCommand(example).ok, `${line} -> ${example}`)
    }
  })

  test('keywords win over names', () => {
    const parsed = parseCommand('show tunnel ipsec detail')
    assert.ok(parsed.ok && parsed.values.has('detail') && !parsed.values.has('name'))
  })

  test('no line makes it throw', () =>
    fc.assert(fc.property(fc.string(), (line) => typeof parseCommand(line).ok === 'boolean')))
})
