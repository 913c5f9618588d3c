// The kernels for joined vectors, compiled as a gateway's are once they are hot: optimised at once, in a process of its
// own since that is a flag of the engine. Where the processor has no AVX2 the first flag changes nothing.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { instantiateKernels } from './kernel-wasm.ts'

const program = fileURLToPath(new URL('./wide-vectors-run.ts', import.meta.url))

for (const flag of ['--experimental-wasm-revectorize', '--no-experimental-wasm-revectorize']) {
  test(`the wide kernels agree with node:crypto, ${flag}`, () => {
    // compiled here, so that the time it takes is not the child's
    instantiateKernels()
    const environment = { ...process.env, NODE_TEST_CONTEXT: undefined }
    const child = spawnSync(process.execPath, ['--no-liftoff', flag, program], {
      encoding: 'utf8',
      env: environment,
    })
    assert.equal(child.status, 0, `${child.stdout}\n${child.stderr}`)
    assert.match(child.stdout, /^(#|ℹ) pass 21$/m)
  })
}
