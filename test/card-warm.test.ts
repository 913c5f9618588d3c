/** Warm-up: dummy packets get through a card of their own; instances in other threads find optimised code. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { warmUp } from '../bindings/card-warm.ts'
import { CardBed } from './card-bed.ts'

test('the bursts get through, the real card hears nothing of them', () => {
  const bed = new CardBed()
  const before = Buffer.from(bed.memory.bytes)
  assert.ok(warmUp(bed.driver.module) >= 5 * 64)
  assert.ok(before.equals(Buffer.from(bed.memory.bytes)))
})

test('after it, the first bursts of another thread are faster', () => {
  const script = fileURLToPath(new URL('./card-first-bursts.ts', import.meta.url))
  const run = (kind: string) => Number(execFileSync(process.execPath, [script, kind], { encoding: 'utf8' }))
  const [cold, warm] = ['cold', 'warm'].map((kind) => Math.min(run(kind), run(kind)))
  assert.ok(warm < cold * 0.8, `${warm} ms warm, ${cold} ms cold`)
})
