// The command line as a user meets it: the real binary, under this Node and under an older one where there is one.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { fits } from '../control/cli/preflight.js'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const PROGRAM = join(ROOT, 'control/cli/asegate.js')
const FOLDER = mkdtempSync(join(tmpdir(), 'asegate-cli-'))
after(() => rmSync(FOLDER, { recursive: true, force: true }))

/** Nodes outside this package, oldest habit first; the preflight must cope with each. */
const SYSTEM_NODES = ['/usr/bin/node', '/usr/local/bin/node'].filter(existsSync)

type Result = { status: number | null; stdout: string; stderr: string }

function asegate(words: string[], node = process.execPath, environment: NodeJS.ProcessEnv = {}): Result {
  const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...inherited } = process.env
  return spawnSync(node, [PROGRAM, ...words], {
    encoding: 'utf8',
    cwd: FOLDER,
    env: { ...inherited, ...environment },
    timeout: 120_000,
  })
}

function file(name: string, text: string): string {
  const path = join(FOLDER, name)
  writeFileSync(path, text)
  chmodSync(path, 0o600)
  return path
}

const GOOD = `context local
 interface t1
 ip route 10.2.0.0/16 interface t1
ike policy peer
 pre-shared-key text "a key of more than sixteen bytes"
tunnel ipsec t
 peer-end-point local 198.51.100.1 remote 203.0.113.1
 bind interface t1 local
 ike-policy peer
`

describe('check', () => {
  test('a good file: exit 0, no finding', () => {
    const { status, stdout, stderr } = asegate(['check', file('good.conf', GOOD)])
    assert.deepEqual([status, stdout, stderr], [0, '', ''])
  })

  test('a bad file: exit 3 and FILE:LINE: error CODE: text', () => {
    const path = file('bad.conf', GOOD.replace('ike-policy peer', 'ike-polcy peer'))
    const { status, stdout } = asegate(['check', path])
    assert.equal(status, 3)
    assert.match(stdout, new RegExp(`^${path}:9: error syntax: .*did you mean "ike-policy"`, 'm'))
  })

  test('--json: data with errors, warnings, plan; ok false exactly with errors', () => {
    const bad = asegate(['check', '--json', file('bad.conf', `${GOOD} ike-polcy x\n`)])
    const answer = JSON.parse(bad.stdout)
    assert.equal(bad.status, 3)
    assert.equal(answer.ok, false)
    assert.deepEqual(Object.keys(answer.data).sort(), ['errors', 'plan', 'warnings'])
    assert.equal(answer.data.errors[0].line, 10)
    const good = JSON.parse(asegate(['check', file('good.conf', GOOD), '--json']).stdout)
    assert.deepEqual(good, { ok: true, data: { errors: [], warnings: [], plan: [] } })
  })

  test('a file that is not there: exit 1, one line', () => {
    const { status, stderr } = asegate(['check', join(FOLDER, 'none.conf')])
    assert.equal(status, 1)
    assert.match(stderr, /^asegate: cannot read .*none\.conf: there is no such file\n$/)
  })

  test('bytes that are no UTF-8, and a directory: exit 1, no stack trace', () => {
    const path = file('binary.conf', '')
    writeFileSync(path, Uint8Array.of(0xff, 0xfe, 0, 10))
    for (const each of [path, FOLDER]) {
      const { status, stderr } = asegate(['check', each])
      assert.equal(status, 1)
      assert.equal(stderr.split('\n').length, 2, stderr)
    }
  })

  test('an inline secret in a file that others may read is refused', () => {
    const path = file('open.conf', GOOD)
    chmodSync(path, 0o644)
    const { status, stdout } = asegate(['check', path])
    assert.equal(status, 3)
    assert.ok(!stdout.includes('sixteen bytes'))
  })
})

describe('usage', () => {
  const cases: [words: string[], nearest: RegExp][] = [
    [[], /no command/],
    [['shw'], /did you mean "show"/],
    [['show', 'tunel', 'ipsec'], /did you mean "tunnel"/],
    [['show', 'ike'], /expected proposal, policy, sa/],
    [['show', 'ike', 'sa', 'extra'], /"extra" does not fit/],
    [['show', 'log', 'last', '0'], /0/],
    [['clear', 'tunnel', 'ipsec'], /NAME/],
    [['trace', 'paket', 't'], /did you mean "packet"/],
    [['run'], /--config/],
    [['check'], /file/],
    [['show', '--jsn'], /--json/],
    [['run', '--config', 'x', '--log', 'xml'], /json/],
  ]
  for (const [words, nearest] of cases)
    test(`asegate ${words.join(' ')}: exit 2`, () => {
      const { status, stderr, stdout } = asegate(words)
      assert.equal(status, 2, stderr)
      assert.match(stderr, nearest)
      assert.equal(stdout, '')
    })

  test('--json: the same as data', () => {
    const { status, stdout, stderr } = asegate(['show', 'tunel', '--json'])
    assert.equal(status, 2)
    assert.equal(stderr, '')
    const { ok, error } = JSON.parse(stdout)
    assert.deepEqual([ok, error.code], [false, 'usage'])
  })

  test('what is not built yet says so and is no typing error', () => {
    for (const words of [['ping', '10.0.0.1'], ['shell']]) {
      const { status, stderr } = asegate(words)
      assert.equal(status, 1)
      assert.match(stderr, /not built yet/)
    }
  })

  test('no gateway at the socket: exit 4', () => {
    const socket = join(FOLDER, 'none.sock')
    const { status, stderr } = asegate(['show', 'ike', 'sa', '--socket', socket])
    assert.equal(status, 4)
    assert.match(stderr, new RegExp(`no gateway at ${socket}`))
    const before = asegate(['--socket', socket, '--json', 'show', 'ike', 'sa'])
    assert.equal(before.status, 4)
    assert.equal(JSON.parse(before.stdout).error.code, 'no-gateway')
  })

  test('--help: exit 0 and every command', () => {
    const { status, stdout } = asegate(['--help'])
    assert.equal(status, 0)
    for (const name of ['run', 'check', 'show', 'clear', 'trace', 'lab', 'version'])
      assert.match(stdout, new RegExp(`^  ${name}`, 'm'))
  })
})

describe('run refuses', () => {
  const config = () => file('good.conf', GOOD)

  test('a configuration with errors: exit 3 and the lines', () => {
    const { status, stderr } = asegate(['run', '--config', file('bad.conf', 'tunel x\n')])
    assert.equal(status, 3)
    assert.match(stderr, /bad\.conf:1: error syntax/)
  })

  for (const [name, value] of [
    ['OPENSSL_CONF', '/dev/null'],
    ['OPENSSL_MODULES', '/tmp'],
    ['NODE_OPTIONS', '--inspect=0'],
  ])
    test(`to start with ${name}`, () => {
      const { status, stderr } = asegate(['run', '--config', config()], process.execPath, { [name]: value })
      assert.equal(status, 2)
      assert.match(stderr, name === 'NODE_OPTIONS' ? /--inspect/ : new RegExp(name))
    })

  test('to start without privileges: exit 5, one sentence naming the capability', {
    skip: process.getuid?.() !== 0 && 'needs root to drop privileges',
  }, () => {
    const { status, stderr } = spawnSync(
      'setpriv',
      [
        '--bounding-set=-all',
        '--inh-caps=-all',
        process.execPath,
        PROGRAM,
        'run',
        '--config',
        config(),
        '--socket',
        join(FOLDER, 'p.sock'),
      ],
      { encoding: 'utf8', timeout: 120_000 },
    )
    assert.equal(status, 5, stderr)
    assert.match(stderr, /^asegate: asegate run lacks CAP_NET_ADMIN[^\n]*\n$/)
  })
})

describe('the Node it finds', () => {
  test('knows its floor', () => {
    assert.deepEqual(['v20.20.2', 'v24.10.9', 'v24.11.0', 'v26.10.0'].map(fits), [false, false, true, true])
  })

  for (const node of SYSTEM_NODES)
    test(`${node}: re-executes under one that fits`, () => {
      const { status, stdout, stderr } = asegate(['version', '--json'], node)
      assert.equal(status, 0, stderr)
      const { data } = JSON.parse(stdout)
      assert.deepEqual(Object.keys(data).sort(), ['abi', 'build', 'node', 'version'])
      assert.ok(fits(data.node))
    })

  for (const node of SYSTEM_NODES)
    test(`${node}: exit codes and signals pass through`, () => {
      assert.equal(asegate(['shw'], node).status, 2)
      assert.equal(asegate(['check', file('bad.conf', 'tunel x\n')], node).status, 3)
    })

  // A copy without node_modules is what is left when nothing was installed.
  const old = SYSTEM_NODES.find(
    (node) => !fits(spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim()),
  )
  test('none that fits: exit 5 and one clear line', {
    skip: old === undefined && 'every Node here fits',
  }, () => {
    const copy = join(FOLDER, 'copy')
    for (const part of ['control', 'bindings'])
      cpSync(join(ROOT, part), join(copy, part), { recursive: true })
    cpSync(join(ROOT, 'package.json'), join(copy, 'package.json'))
    for (const script of ['asegate.js', 'preflight.js']) {
      const { status, stderr } = spawnSync(old as string, [join(copy, 'control/cli', script), 'version'], {
        encoding: 'utf8',
      })
      assert.equal(status, 5, stderr)
      assert.match(stderr, /^asegate needs Node >= 24\.11, this is \d+\.\d+\.\d+: run npm ci\n$/)
    }
  })

  test('through a symbolic link, as npm installs it', () => {
    const bin = join(FOLDER, 'bin')
    mkdirSync(bin, { recursive: true })
    symlinkSync(PROGRAM, join(bin, 'asegate'))
    const { status, stdout } = spawnSync(join(bin, 'asegate'), ['version'], { encoding: 'utf8' })
    assert.equal(status, 0)
    assert.match(stdout, /^asegate \d+\.\d+\.\d+ \(node v\d+/)
  })
})
