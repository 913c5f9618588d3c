/**
 * Finds an order for the gates of the S-box circuits that takes little time in the kernels of 64 lanes.
 *
 *   node --no-liftoff --experimental-wasm-revectorize dataplane-as/gen/gate-climb.ts [SECONDS]
 *
 * Few spilled values are not all (gate-order.ts): a processor that looks ahead over some hundred instructions
 * wants gates next to each other that do not wait for each other. So this search measures: it compiles the circuit
 * as the kernels have it, over pairs of vectors in a loop over four rows, moves a few gates between their operands
 * and their first use, and keeps what takes no more time. It prints what it found for aes-sbox.ts; the result
 * depends on the processor and on chance, its correctness does not.
 */
import { forwardSbox, inverseSbox } from './aes-sbox.ts'
import type { Gate } from './circuit.ts'
import { random } from './random.ts'

const ROWS = 4
const ROW_BYTES = 256
const AREA = 4096

const unsigned = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...unsigned(n >>> 7)])
const signed = (n: number): number[] => (n < 64 ? [n] : [(n & 127) | 128, ...signed(n >>> 7)])
const list = (items: number[][]): number[] => [...unsigned(items.length), ...items.flat()]
const section = (id: number, body: number[]): number[] => [id, ...unsigned(body.length), ...body]

const [I32, V128, EMPTY] = [0x7f, 0x7b, 0x40]
const op = {
  get: (local: number) => [0x20, ...unsigned(local)],
  set: (local: number) => [0x21, ...unsigned(local)],
  tee: (local: number) => [0x22, ...unsigned(local)],
  i32: (value: number) => [0x41, ...signed(value)],
  load: (offset: number) => [0xfd, 0, 4, ...unsigned(offset)],
  store: (offset: number) => [0xfd, 11, 4, ...unsigned(offset)],
  and: [0xfd, 78],
  xor: [0xfd, 81],
  add: [0x6a],
  below: [0x49],
  subtract: [0x6b],
  loop: [0x03, EMPTY],
  again: [0x0d, 0],
  end: [0x0b],
}

/** A module with run(area, times): the circuit on pairs of vectors in each of four rows, in place. */
function moduleOf(circuit: readonly Gate[]): Uint8Array<ArrayBuffer> {
  const [area, times, row, end] = [0, 1, 2, 3]
  const locals = new Map<string, number>()
  const local = (name: string): number => {
    if (!locals.has(name)) locals.set(name, 4 + locals.size)
    return locals.get(name)!
  }
  const offset = (name: string, half: number) => 32 * (7 - Number(name[1])) + 16 * half
  const gates = circuit.flatMap(({ name, op: kind, a, b }) => {
    const code: number[] = []
    for (const half of [0, 1]) {
      for (const x of [a, b].filter((each) => each[0] === 'x' && !locals.has(each + half))) {
        code.push(...op.get(row), ...op.load(offset(x, half)), ...op.set(local(x + half)))
      }
      const gate = kind === '&' ? op.and : op.xor
      code.push(
        ...op.get(local(a + half)),
        ...op.get(local(b + half)),
        ...gate,
        ...op.set(local(name + half)),
      )
    }
    for (const half of name[0] === 's' ? [1, 0] : []) {
      code.push(...op.get(row), ...op.get(local(name + half)), ...op.store(offset(name, half)))
    }
    return code
  })
  const body = [
    ...[...op.get(area), ...op.i32(ROWS * ROW_BYTES), ...op.add, ...op.set(end)],
    ...[...op.loop, ...op.get(area), ...op.set(row), ...op.loop, ...gates],
    ...[...op.get(row), ...op.i32(ROW_BYTES), ...op.add, ...op.tee(row), ...op.get(end), ...op.below],
    ...[...op.again, ...op.end, ...op.get(times), ...op.i32(1), ...op.subtract, ...op.tee(times)],
    ...[...op.again, ...op.end, ...op.end],
  ]
  const kinds = list([
    [2, I32],
    [...unsigned(locals.size), V128],
  ])
  const name = (text: string, kind: number) => [text.length, ...Buffer.from(text), kind, 0]
  return new Uint8Array([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, list([[0x60, 2, I32, I32, 0]])),
    ...section(3, list([[0]])),
    ...section(5, list([[0, 1]])),
    ...section(7, list([name('run', 0), name('memory', 2)])),
    ...section(10, list([[...unsigned(kinds.length + body.length), ...kinds, ...body]])),
  ])
}

/** Nanoseconds of a circuit on one pair, the least of `repetitions`. */
function time(circuit: readonly Gate[], repetitions: number, times: number): number {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(moduleOf(circuit)))
  const run = exports.run as (area: number, times: number) => void
  run(AREA, 200)
  let best = Number.POSITIVE_INFINITY
  for (let i = 0; i < repetitions; i++) {
    const start = performance.now()
    run(AREA, times)
    best = Math.min(best, performance.now() - start)
  }
  return (best * 1e6) / (ROWS * times)
}

/** Moves one gate to another place that its operands and users allow. */
function move(circuit: readonly Gate[], rng: () => number): Gate[] {
  const from = Math.floor(rng() * circuit.length)
  const gate = circuit[from]
  const rest = circuit.filter((_, i) => i !== from)
  const lowest = rest.findLastIndex(({ name }) => name === gate.a || name === gate.b) + 1
  const user = rest.findIndex(({ a, b }) => a === gate.name || b === gate.name)
  const highest = user < 0 ? rest.length : user
  rest.splice(lowest + Math.floor(rng() * (highest - lowest + 1)), 0, gate)
  return rest
}

function climb(title: string, circuit: readonly Gate[], seconds: number, rng: () => number): void {
  let best = circuit
  const before = time(best, 12, 1500)
  let least = before
  for (const end = performance.now() + 1000 * seconds; performance.now() < end; ) {
    let tried = best
    for (let moves = 1 + Math.floor(rng() * 4); moves > 0; moves--) tried = move(tried, rng)
    if (time(tried, 3, 800) > least * 1.003) continue
    const taken = time(tried, 12, 1500)
    if (taken <= least) [best, least] = [tried, taken]
  }
  const order = best.map(({ name }) => name).join(' ')
  console.log(`${title}: ${before.toFixed(2)} -> ${least.toFixed(2)} ns a pair\n  ${order}`)
}

const seconds = Number(process.argv[2] ?? 240)
const rng = random(Number(process.argv[3] ?? 1))
climb('forward', forwardSbox, seconds, rng)
climb('inverse', inverseSbox, seconds, rng)
