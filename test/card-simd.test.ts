/** The two instruction sets of the card: both are built, say the same to the outside, and the better one is chosen. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { artefactPath, cardBuild, cardSimd, loadModule } from '../bindings/wasm.ts'
import { build } from '../dataplane-as/build.ts'

build()

for (const kind of ['gateway', 'embed'] as const)
  test(`${kind}: both artefacts import and export the same, and differ`, () => {
    const [plain, relaxed] = [loadModule(kind, 'plain'), loadModule(kind, 'relaxed')]
    assert.deepEqual(WebAssembly.Module.imports(relaxed), WebAssembly.Module.imports(plain))
    assert.deepEqual(WebAssembly.Module.exports(relaxed), WebAssembly.Module.exports(plain))
    const [first, second] = [
      readFileSync(artefactPath(kind, 'plain')),
      readFileSync(artefactPath(kind, 'relaxed')),
    ]
    assert.notDeepEqual(first, second)
  })

test('the environment decides, then what the runtime has', () => {
  assert.equal(cardSimd('plain'), 'plain')
  assert.equal(cardSimd('relaxed'), 'relaxed')
  assert.equal(cardSimd(''), cardSimd(undefined))
  assert.throws(() => cardSimd('fast'), /ASEGATE_CARD is "fast": it can be "plain" or "relaxed"/)
})

test('this runtime has relaxed SIMD; `version` says what is in use', () => {
  const program = fileURLToPath(new URL('../control/cli/asegate.js', import.meta.url))
  const buildOf = (wanted: string | undefined) => {
    const env = { ...process.env }
    if (wanted === undefined) delete env.ASEGATE_CARD
    else env.ASEGATE_CARD = wanted
    const { stdout, stderr } = spawnSync(process.execPath, [program, 'version', '--json'], {
      encoding: 'utf8',
      env,
    })
    assert.equal(stderr, '')
    return (JSON.parse(stdout) as { data: { build: string } }).data.build
  }
  assert.match(buildOf(undefined), /^[0-9a-f]{12}-relaxed$/)
  assert.match(buildOf('plain'), /^[0-9a-f]{12}-plain$/)
  assert.equal(buildOf(cardSimd()), cardBuild())
})
