/**
 * A kind of test-vector file: how it is recognised and how its cases are run.
 *
 * `npm run vectors -- DIR` shows every file below DIR to the kinds of `kinds.ts` in their order; the first
 * one that matches runs the file. A case whose algorithm the project does not have yet is `not-built`: it is
 * named and counted, never dropped silently and never counted as passed.
 */

/** What became of one case. */
export type VectorOutcome = 'passed' | 'failed' | 'not-built'

/** One case of a vector file. */
export type VectorResult = {
  /** Names the case inside its file, e.g. `CBCMMT128 ENCRYPT 3` or `tcId 17`. */
  id: string
  outcome: VectorOutcome
  /** failed: what was expected and what came. not-built: the algorithm, e.g. `3des-cbc`; cases are counted by it. */
  note?: string
}

/** A kind of vector file. */
export type VectorKind = {
  /** Short name for the report, e.g. `nist-aes-cbc`. */
  name: string
  /** Whether this kind reads the file. `path` is relative to DIR with `/` separators; `content` is its text. */
  matches(path: string, content: string): boolean
  /** Runs every case of the file. A malformed file throws; the runner reports it as one failed case. */
  run(path: string, content: string): Iterable<VectorResult> | AsyncIterable<VectorResult>
}
