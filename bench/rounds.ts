// Measures a candidate and its reference in alternating rounds of a few milliseconds in one process, so that a
// change of clock or a busy neighbour meets both. A ratio is the median over the rounds; best is for information.
//
// tinybench runs and times the calls: one Bench a round, the tasks one after the other. Its clock is the CPU time of
// this thread, so that other processes of a busy machine are not counted; a round's figure is its median call.

import { Bench } from 'tinybench'
import { threadTime } from './thread-clock.ts'

/** One side of a contest; `prepare` runs before each call and is not timed. */
export type Side = { run: () => void; prepare?: () => void }

/** `units` packets (or bytes) are done by one call of either side. */
export type Contest = { candidate: Side; reference: Side; units: number }

export type Outcome = {
  /** units a second, median over the rounds */
  candidate: number
  reference: number
  /** candidate / reference: median over the rounds, and of the best rounds of each */
  ratio: number
  bestCandidate: number
  bestRatio: number
}

export type Pace = { rounds: number; milliseconds: number }

export const USUAL: Pace = { rounds: 60, milliseconds: 3 }
/** warm-up before the first round, ms a side: the engine has optimised both by then */
const WARM_UP = 400

export function hold(contest: Contest, pace: Pace): Outcome {
  round(contest, WARM_UP)
  const rounds = Array.from({ length: pace.rounds }, () => round(contest, pace.milliseconds))
  const bestCandidate = Math.max(...rounds.map(([candidate]) => candidate))
  const bestReference = Math.max(...rounds.map(([, reference]) => reference))
  return {
    candidate: median(rounds.map(([candidate]) => candidate)),
    reference: median(rounds.map(([, reference]) => reference)),
    ratio: median(rounds.map(([candidate, reference]) => candidate / reference)),
    bestCandidate,
    bestRatio: bestCandidate / bestReference,
  }
}

/** Units a second of either side in one round. */
function round({ candidate, reference, units }: Contest, milliseconds: number): [number, number] {
  const bench = new Bench({ time: milliseconds, iterations: 1, warmup: false, throws: true, now: threadTime })
  for (const [name, { run, prepare }] of Object.entries({ candidate, reference })) {
    bench.add(name, run, prepare === undefined ? {} : { beforeEach: prepare })
  }
  const [first, second] = bench.runSync().map(({ result }) => {
    if (!('latency' in result)) throw new Error(`the measurement ended as ${result.state}`)
    return (units * 1000) / result.latency.p50
  })
  return [first, second]
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1]
}
