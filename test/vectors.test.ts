/** The vectors of the project pass, and the runner fails on what it must not pass over. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runVectors } from './vectors.ts'

const data = fileURLToPath(new URL('vectors/data', import.meta.url))
const runner = fileURLToPath(new URL('vectors.ts', import.meta.url))

/** Runs the runner on a directory that `fill` made. */
function runOn(fill: (directory: string) => void): {
  status: number | null
  lines: string[]
  errors: string
} {
  const directory = mkdtempSync(join(tmpdir(), 'asegate-vectors-'))
  try {
    fill(directory)
    const { status, stdout, stderr } = spawnSync(process.execPath, [runner, directory], { encoding: 'utf8' })
    return { status, lines: stdout.trimEnd().split('\n'), errors: stderr }
  } finally {
    rmSync(directory, { recursive: true })
  }
}

test('every vector of the project whose kind is built passes', async () => {
  const lines: string[] = []
  const { passed, failed, unknown } = await runVectors(data, (line) => lines.push(line))
  assert.equal(failed, 0, lines.join('\n'))
  assert.deepEqual(unknown, [])
  assert.ok(passed >= 6335, `only ${passed} cases ran`)
  assert.equal(lines.at(-1), `${passed} passed, 0 failed`)
})

test('a wrong expectation fails the run and is named', () => {
  const { status, lines } = runOn((directory) => {
    const text = readFileSync(join(data, 'nist-cavp/aes/CBCMMT128.rsp'), 'utf8')
    const spoilt = text.replace(/(CIPHERTEXT = [0-9a-f]*)[0-9a-f](\r?\n)/, '$1x$2').replace(/x(\r?\n)/, '0$1')
    assert.notEqual(spoilt, text)
    writeFileSync(join(directory, 'CBCMMT128.rsp'), spoilt)
  })
  assert.equal(status, 1)
  assert.match(lines.join('\n'), / {2}failed: encrypt 0: expected [0-9a-f]+, got [0-9a-f]+/)
  assert.equal(lines.at(-1), '19 passed, 1 failed')
})

test('a wrong Monte Carlo record fails', () => {
  const { status, lines } = runOn((directory) => {
    const text = readFileSync(join(data, 'nist-cavp/aes/CBCMCT128.rsp'), 'utf8')
    writeFileSync(join(directory, 'mct.rsp'), text.replace('PLAINTEXT = 1fd4', 'PLAINTEXT = 1fd5'))
  })
  assert.equal(status, 1)
  assert.equal(lines.at(-1), '199 passed, 1 failed')
})

test('what is not built and what is not known is named, not failed', () => {
  const { status, lines } = runOn((directory) => {
    mkdirSync(join(directory, 'nist-examples'))
    writeFileSync(join(directory, 'ikev1.rsp'), 'COUNT = 0\nSKEYID_d = 00\n')
    cpSync(join(data, 'nist-examples/AES_CBC.txt'), join(directory, 'nist-examples/AES_CBC.txt'))
    writeFileSync(join(directory, 'other.bin'), 'nothing known')
    writeFileSync(join(directory, 'README.md'), '# not a vector file')
  })
  assert.equal(status, 0)
  assert.deepEqual(lines.slice(2), [
    'not built: ikev1 1 cases',
    'unknown kind: other.bin',
    '6 passed, 0 failed',
  ])
})

test('a malformed file of a known kind is a failure', () => {
  const { status, lines } = runOn((directory) => {
    writeFileSync(
      join(directory, 'CBC.rsp'),
      '# AESVS GFSbox test data for CBC\n[ENCRYPT]\nCOUNT = 0\nKEY = zz\n',
    )
  })
  assert.equal(status, 1)
  assert.equal(lines.at(-1), '0 passed, 1 failed')
})

test('a directory without vectors or none at all ends with an error', () => {
  assert.equal(runOn(() => {}).status, 2)
  const { status, stderr } = spawnSync(process.execPath, [runner, join(data, 'missing')], {
    encoding: 'utf8',
  })
  assert.equal(status, 2)
  assert.match(stderr, /cannot read the vectors in .*missing/)
})
