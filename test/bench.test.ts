/** The benchmarks: what they report, what they refuse, and that the reference does real ESP. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { IkeRow } from '../bench/ike.ts'
import { referenceFor } from '../bench/reference.ts'
import type { Row } from '../bench/report.ts'
import { keysFor, SUITES } from '../bench/suites.ts'
import { packetsOf } from '../bench/traffic.ts'
import { refuseSuite } from '../bindings/card-sa.ts'
import { saOf } from './card-bed.ts'
import { unseal } from './oracle/esp.ts'

const main = fileURLToPath(new URL('../bench/main.ts', import.meta.url))

function bench(...options: string[]): Promise<{ code: number; out: string; error: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...options], (failure, out, error) => {
      resolve({ code: failure === null ? 0 : Number(failure.code), out, error })
    })
  })
}

test('card --json is the contract of its readers, the chart is SVG', async () => {
  const file = join(tmpdir(), `asegate-bench-${process.pid}.svg`)
  const { code, out } = await bench(
    'card',
    '--suite',
    'aes-128+sha1',
    '--rounds',
    '2',
    '--json',
    '--svg',
    file,
  )
  assert.equal(code, 0)
  const { ok, data } = JSON.parse(out) as { ok: boolean; data: { rows: Row[] } }
  assert.equal(ok, true)
  const places = data.rows.map(
    ({ suite, direction, size, batch }) => `${suite} ${direction} ${size} ${batch}`,
  )
  const expected = ['out', 'in'].flatMap((direction) =>
    ['64 128', '576 128', '1400 128', 'imix 256'].map((rest) => `aes-128+sha1 ${direction} ${rest}`),
  )
  assert.deepEqual(places, expected)
  const fields = ['suite', 'direction', 'size', 'batch', 'mpps', 'gbps', 'referenceMpps', 'ratio']
  for (const row of data.rows) {
    assert.deepEqual(Object.keys(row).slice(0, 8), fields)
    assert.ok(row.mpps > 0 && row.referenceMpps > 0 && row.ratio > 0)
    if (row.size !== 'imix') assert.ok(Math.abs(row.gbps / (row.mpps * row.size * 8e-3) - 1) < 0.01)
  }
  assert.match(readFileSync(file, 'utf8'), /^<svg .*<\/svg>\n$/s)
  rmSync(file)
})

test('10,000 idle SAs cost next to nothing', async () => {
  const { code, out } = await bench('card', '--idle', '10000', '--rounds', '20', '--json')
  assert.equal(code, 0)
  const { rows } = (JSON.parse(out) as { data: { rows: Row[] } }).data
  assert.deepEqual(
    rows.map(({ direction }) => direction),
    ['out', 'in'],
  )
  // 90 % is wanted; what a busy machine adds to a median of alternating rounds is allowed for
  for (const { direction, ratio } of rows) assert.ok(ratio > 0.5, `${direction}: ${ratio}`)
})

test('ike --json: both roles of a case, against the public-key work alone', async () => {
  const { code, out } = await bench('ike', '--suite', 'psk 31', '--rounds', '2', '--json')
  assert.equal(code, 0)
  const { rows } = (JSON.parse(out) as { data: { rows: IkeRow[] } }).data
  assert.deepEqual(
    rows.map(({ auth, dhGroup, role }) => [auth, dhGroup, role]),
    [
      ['psk', 31, 'initiator'],
      ['psk', 31, 'responder'],
    ],
  )
  for (const { perSecond, reference, ratio } of rows) {
    assert.ok(perSecond > 0 && reference > perSecond, 'a handshake is more than its public-key work')
    assert.ok(ratio > 0 && ratio < 1)
  }
})

test('ike prints a table and a chart that fit a terminal; certificates take part', async () => {
  const { code, out } = await bench('ike', '--suite', 'rsa-2048 31', '--rounds', '1')
  assert.equal(code, 0)
  assert.match(out, /rsa-2048 +31 +initiator +\d+ +\d+ +0\.\d\d +-/)
  for (const line of out.split('\n')) assert.ok([...line].length <= 80, line)
})

test('kernel prints a table and a chart that fit a terminal', async () => {
  const { code, out } = await bench('kernel', '--suite', 'hmac-sha1', '--size', '64', '--rounds', '2')
  assert.equal(code, 0)
  assert.match(out, /hmac-sha1 +out +64 +\d+\.\d{3} /)
  for (const line of out.split('\n')) assert.ok([...line].length <= 100, line)
})

test('what cannot be measured is refused in a sentence', async () => {
  for (const options of [
    [],
    ['cards'],
    ['card', '--size', '65'],
    ['card', '--rounds', '0'],
    ['card', '--no'],
  ]) {
    const { code, out, error } = await bench(...options)
    assert.deepEqual([code, out], [2, ''])
    assert.match(error, /^bench: /)
  }
})

test('the reference seals what the oracle opens, and opens it again', () => {
  const packets = packetsOf([64, 65, 66, 79, 576, 1400])
  for (const suite of SUITES.filter((each) => refuseSuite(each) === null && each.protocol === 'esp')) {
    const keys = keysFor(suite)
    const reference = referenceFor(suite, keys)
    const sealed = reference.seal(packets)
    const sa = { ...saOf(0), cipher: suite.cipher, integrity: suite.integrity, ...keys }
    for (const [index, datagram] of sealed.entries()) {
      assert.deepEqual(
        Buffer.from(unseal(sa, BigInt(index + 1), datagram).inner),
        Buffer.from(packets[index]),
      )
    }
    assert.deepEqual(
      reference.open(sealed).map(String),
      packets.map((packet) => String(Buffer.from(packet))),
    )
    sealed[0][sealed[0].length - 1] ^= 1
    assert.throws(() => reference.open(sealed), suite.name)
  }
})
