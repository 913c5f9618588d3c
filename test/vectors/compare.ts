/** Results of single comparisons, for kinds whose cases are function calls. */
import type { VectorResult } from './kind.ts'
import { hexText } from './rsp.ts'

/** Passed when the bytes are those of the hex text; a null is a refusal where a value was expected. */
export function sameBytes(id: string, expected: string, got: Uint8Array | null): VectorResult {
  const text = got === null ? 'a refusal' : hexText(got)
  return text === expected.toLowerCase()
    ? { id, outcome: 'passed' }
    : { id, outcome: 'failed', note: `expected ${expected.slice(0, 80)}, got ${text.slice(0, 80)}` }
}

/** Passed when what happened (accepted or refused) is what should have. */
export function sameVerdict(id: string, expected: boolean, got: boolean, why?: string): VectorResult {
  const word = (accepted: boolean) => (accepted ? 'accepted' : 'refused')
  if (expected === got) return { id, outcome: 'passed' }
  const reason = why === undefined ? '' : `: ${why}`
  return { id, outcome: 'failed', note: `expected ${word(expected)}, was ${word(got)}${reason}` }
}
