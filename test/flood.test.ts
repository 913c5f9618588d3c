// A short flood of IKE_SA_INIT against a real gateway process (RFC 7296 §2.6, security R1); `npm run bench -- flood` is
// the long one with the real limits. A slow machine changes figures, never what is asked for here.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { benchFlood, floodText } from '../bench/flood.ts'
import { requireCard } from '../control/cli/preflight.js'
import { inNamespace } from './bindings-namespace.ts'

/** 30 half-open SAs until cookies are demanded, those again when they expire, and the honest peer's */
const KEY_PAIRS = 70
const HONEST_SECONDS = 30
const MEMORY_MIB = 60

inNamespace(fileURLToPath(import.meta.url), () => {
  before(requireCard)

  test('a flood from forged addresses costs no key pairs and stops nobody', async () => {
    const row = await benchFlood({ seconds: 5, rate: 5_000, pingMs: 5 })
    const said = floodText(row)
    assert.ok(row.requests > 5_000, said)
    assert.ok(row.cookies > 1_000, said)
    assert.ok(row.keyPairs >= 2 && row.keyPairs <= KEY_PAIRS, said)
    assert.ok(row.growthMib < MEMORY_MIB, said)
    assert.ok(row.pings > 100 && row.lostPercent < 50, said)
    assert.ok(row.honestSeconds !== null && row.honestSeconds < HONEST_SECONDS, said)
  })
})
