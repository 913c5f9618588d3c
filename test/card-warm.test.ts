/** Warm-up: dummy packets get through a card of their own; instances in other threads find optimised code. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { warmUp } from '../bindings/card-warm.ts'
import { WarmUp } from '../bindings/warm-host.ts'
import { CardBed } from './card-bed.ts'

test('the bursts get through, the real card hears nothing of them', () => {
  const bed = new CardBed()
  const before = Buffer.from(bed.memory.bytes)
  assert.ok(warmUp(bed.driver.module) >= 5 * 64)
  assert.ok(before.equals(Buffer.from(bed.memory.bytes)))
})

/** How often the engine compiled a function of the card during the first bursts, for running it at all or faster. */
function compiledInFirstBursts(kind: 'cold' | 'warm'): number {
  const script = fileURLToPath(new URL('./card-first-bursts.ts', import.meta.url))
  const output = execFileSync(process.execPath, [script, kind], { encoding: 'utf8' })
  return output.split('Compiled function').length - 1
}

test('after it, the first bursts of another thread find their code compiled and optimised', () => {
  const [cold, warm] = [compiledInFirstBursts('cold'), compiledInFirstBursts('warm')]
  assert.ok(cold >= 10, `${cold} in cold bursts`)
  assert.ok(warm <= cold / 4, `${warm} after the warm-up, ${cold} without it`)
})

test('a card whose code does something else stops the start with what to do', async () => {
  const module = new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0))
  await assert.rejects(new WarmUp(module).within(60_000), /failed its self-test: .*ASEGATE_VECTORS=128/)
})
