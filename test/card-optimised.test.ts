// The card's tests once more over the code that a gateway runs when it is hot: optimised from the start, with vectors
// joined (bindings/wide-vectors.ts) and without. In processes of their own, since both are flags of the engine.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('./card.test.ts', import.meta.url))

for (const bits of ['256', '128']) {
  test(`every suite and rule of the card, optimised, vectors of ${bits} bits`, () => {
    const env = { ...process.env, ASEGATE_VECTORS: bits, NODE_TEST_CONTEXT: undefined }
    const child = spawnSync(process.execPath, ['--no-liftoff', program], { encoding: 'utf8', env })
    assert.equal(child.status, 0, `${child.stdout}\n${child.stderr}`)
    assert.match(child.stdout, /^(#|ℹ) pass [1-9]\d*$/m)
    assert.match(child.stdout, /^(#|ℹ) fail 0$/m)
  })
}
