/**
 * Runs test-vector files: npm run vectors -- DIR
 *
 * Walks DIR, asks the kinds of vectors/kinds.ts for each file and runs it; what the card computes it computes twice,
 * with plain and with relaxed SIMD, and a case passes if it passes with both. One line a file; then the failed
 * cases, the algorithms that are not built with their number of cases, and the files of no known kind. The
 * last line is `N passed, M failed`. Exit code 1 if a case failed, 2 if DIR cannot be read or holds no vectors.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ALL_SIMD, useSimd } from './simd.ts'
import type { VectorKind, VectorResult } from './vectors/kind.ts'
import { computedByCard, vectorKinds } from './vectors/kinds.ts'

/** What a run found. */
export type VectorSummary = {
  passed: number
  failed: number
  /** Cases by the algorithm that is not built. */
  notBuilt: Map<string, number>
  /** Files that no kind recognises, relative to the directory. */
  unknown: string[]
}

/** Files that describe vectors and hold none. */
const notVectors = /(^|\/)(README(\.md)?|LICENSE|SHA256SUMS)$/

/** Runs every vector file below `directory`, in the order of their paths, and reports line by line. */
export async function runVectors(directory: string, report: (line: string) => void): Promise<VectorSummary> {
  const summary: VectorSummary = { passed: 0, failed: 0, notBuilt: new Map(), unknown: [] }
  for (const path of vectorFiles(directory)) {
    const content = readFileSync(join(directory, path), 'utf8')
    const kind = vectorKinds.find((candidate) => candidate.matches(path, content))
    if (!kind) {
      summary.unknown.push(path)
      continue
    }
    const results = await runKind(kind, path, content)
    report(fileLine(path, kind.name, results))
    for (const { id, note } of results.filter(({ outcome }) => outcome === 'failed')) {
      report(`  failed: ${id}${note ? `: ${note}` : ''}`)
    }
    add(summary, results)
  }
  reportRest(summary, report)
  return summary
}

/** Paths below `directory` with `/` separators, sorted. */
function vectorFiles(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter((path) => !notVectors.test(path))
    .sort()
}

/** One result a case: that of the first artefact with which it does not pass. */
async function runKind(kind: VectorKind, path: string, content: string): Promise<VectorResult[]> {
  if (!computedByCard.has(kind)) return collect(kind.run(path, content))
  const worst: VectorResult[] = []
  for (const simd of ALL_SIMD) {
    useSimd(simd)
    for (const [i, result] of (await collect(kind.run(path, content))).entries()) {
      if (worst[i] === undefined || worst[i].outcome === 'passed') worst[i] = named(result, simd)
    }
  }
  useSimd(undefined)
  return worst
}

function named(result: VectorResult, simd: string): VectorResult {
  if (result.outcome !== 'failed' || simd === 'plain') return result
  return { ...result, note: `${simd} SIMD: ${result.note ?? ''}` }
}

/** All results of a file; an exception is a failed case, so is a file without cases. */
async function collect(
  results: Iterable<VectorResult> | AsyncIterable<VectorResult>,
): Promise<VectorResult[]> {
  const all: VectorResult[] = []
  try {
    for await (const result of results) all.push(result)
    if (all.length === 0) all.push({ id: 'file', outcome: 'failed', note: 'no case found in it' })
  } catch (error) {
    all.push({ id: `after ${all.length} cases`, outcome: 'failed', note: String(error) })
  }
  return all
}

function count(results: readonly VectorResult[], outcome: VectorResult['outcome']): number {
  return results.filter((result) => result.outcome === outcome).length
}

function fileLine(path: string, kind: string, results: readonly VectorResult[]): string {
  const [passed, failed, open] = [
    count(results, 'passed'),
    count(results, 'failed'),
    count(results, 'not-built'),
  ]
  return `${path} [${kind}]: ${passed} passed, ${failed} failed, ${open} not built`
}

function add(summary: VectorSummary, results: readonly VectorResult[]): void {
  summary.passed += count(results, 'passed')
  summary.failed += count(results, 'failed')
  for (const { outcome, note } of results) {
    if (outcome !== 'not-built') continue
    const algorithm = note ?? 'unnamed'
    summary.notBuilt.set(algorithm, (summary.notBuilt.get(algorithm) ?? 0) + 1)
  }
}

function reportRest(summary: VectorSummary, report: (line: string) => void): void {
  for (const [algorithm, cases] of [...summary.notBuilt].sort()) {
    report(`not built: ${algorithm} ${cases.toLocaleString('en')} cases`)
  }
  for (const path of summary.unknown) report(`unknown kind: ${path}`)
  report(`${summary.passed} passed, ${summary.failed} failed`)
}

/** The command line. */
async function main(directory: string | undefined): Promise<number> {
  if (directory === undefined) {
    console.error('usage: npm run vectors -- DIR')
    return 2
  }
  try {
    const { passed, failed, notBuilt } = await runVectors(directory, console.log)
    if (failed > 0) return 1
    return passed + notBuilt.size > 0 ? 0 : 2
  } catch (error) {
    console.error(
      `cannot read the vectors in ${directory}: ${error instanceof Error ? error.message : error}`,
    )
    return 2
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  process.exitCode = await main(process.argv[2])
