/**
 * Finds an order for the gates of the S-box circuits that keeps few values alive.
 *
 *   node dataplane-as/gen/gate-order.ts [SECONDS] [SEED]
 *
 * V8 keeps the order of the source and has 15 vector registers, so a value that waits long for its use is
 * stored and loaded again. The model counts these stores and loads for an allocator that always puts aside
 * the value whose next use is farthest away (Belady), with REGISTERS registers. The optimiser of asc moves a
 * value that is used once to its use; the model does the same before it counts. Simulated annealing moves
 * single gates between their operands and their first use; the best order is printed for aes-sbox.ts.
 */
import { forwardSbox, inverseSbox } from './aes-sbox.ts'
import type { Gate } from './circuit.ts'
import { random } from './random.ts'

const REGISTERS = 14

/** A circuit by numbers: values 0..7 are the inputs, value 8 + g is the result of gate g. */
type Graph = { operands: [number, number][]; uses: number[]; output: boolean[] }

function graphOf(circuit: readonly Gate[]): Graph {
  const number = new Map(Array.from({ length: 8 }, (_, i) => [`x${i}`, i]))
  circuit.forEach(({ name }, g) => {
    number.set(name, 8 + g)
  })
  const operands = circuit.map(({ a, b }): [number, number] => [number.get(a)!, number.get(b)!])
  const uses = Array<number>(8 + circuit.length).fill(0)
  for (const value of operands.flat()) uses[value]++
  const output = circuit.map(({ name }) => /^s\d$/.test(name))
  return { operands, uses, output }
}

/** The order in which gates are computed when values used once are computed at their use. */
function sink({ operands, uses, output }: Graph, order: readonly number[]): number[] {
  const done: number[] = []
  const emit = (g: number): void => {
    for (const value of operands[g])
      if (value >= 8 && uses[value] === 1 && !output[value - 8]) emit(value - 8)
    done.push(g)
  }
  for (const g of order) if (uses[8 + g] !== 1 || output[g]) emit(g)
  return done
}

/** Registers of a machine that computes gates one by one, and the stores and loads that it needs. */
class Allocator {
  cost = 0
  private readonly registers = new Set([0, 1, 2, 3, 4, 5, 6, 7])
  private readonly stored = new Set<number>()
  private readonly useTimes: readonly number[][]
  private readonly next: Uint8Array

  /** `useTimes[value]`: when the value is read, ascending. */
  constructor(useTimes: readonly number[][]) {
    this.useTimes = useTimes
    this.next = new Uint8Array(useTimes.length)
  }

  private nextUse(value: number): number {
    return this.useTimes[value][this.next[value]] ?? Number.POSITIVE_INFINITY
  }

  /** Frees a register if all are taken: that of the value read last, but of none in `keep`. */
  private makeRoom(keep: readonly number[]): void {
    if (this.registers.size < REGISTERS) return
    let victim = -1
    for (const value of this.registers) {
      if (!keep.includes(value) && (victim < 0 || this.nextUse(value) > this.nextUse(victim))) victim = value
    }
    if (this.nextUse(victim) !== Number.POSITIVE_INFINITY && !this.stored.has(victim)) {
      this.stored.add(victim)
      this.cost++
    }
    this.registers.delete(victim)
  }

  /** Loads the operands of a gate and lets go those that are not read again. */
  read(operands: readonly number[]): void {
    for (const value of operands) {
      if (this.registers.has(value)) continue
      this.makeRoom(operands)
      this.registers.add(value)
      this.cost++
    }
    for (const value of operands) {
      this.next[value]++
      if (this.nextUse(value) === Number.POSITIVE_INFINITY) this.registers.delete(value)
    }
  }

  /** Gives a result its register. */
  write(value: number): void {
    this.makeRoom([])
    this.registers.add(value)
  }

  /** Loads what was put aside, so that all of `values` are in registers. */
  finish(values: readonly number[]): void {
    this.cost += values.filter((value) => !this.registers.has(value)).length
  }
}

/** Stores and loads that an order needs; the outputs must be in registers at the end. */
function spills(graph: Graph, order: readonly number[]): number {
  const { operands, output } = graph
  const useTimes: number[][] = Array.from({ length: 8 + operands.length }, () => [])
  const done = sink(graph, order)
  done.forEach((g, time) => {
    for (const value of operands[g]) useTimes[value].push(time)
  })
  const results = operands.map((_, g) => 8 + g).filter((value) => output[value - 8])
  for (const value of results) useTimes[value].push(done.length)
  const machine = new Allocator(useTimes)
  for (const g of done) {
    machine.read(operands[g])
    machine.write(8 + g)
  }
  machine.finish(results)
  return machine.cost
}

/** Moves one gate to another place that its operands and users allow. */
function move({ operands }: Graph, order: readonly number[], rng: () => number): number[] {
  const from = Math.floor(rng() * order.length)
  const gate = order[from]
  const rest = order.filter((_, i) => i !== from)
  const place = new Map(rest.map((g, i) => [8 + g, i]))
  const lowest = Math.max(...operands[gate].map((value) => (place.get(value) ?? -1) + 1))
  const user = rest.findIndex((g) => operands[g].includes(8 + gate))
  const highest = user < 0 ? rest.length : user
  rest.splice(lowest + Math.floor(rng() * (highest - lowest + 1)), 0, gate)
  return rest
}

/** The best order found within `seconds`, annealing again and again from the best so far. */
function anneal(title: string, circuit: readonly Gate[], seconds: number, rng: () => number): void {
  const graph = graphOf(circuit)
  let best = circuit.map((_, g) => g)
  let bestCost = spills(graph, best)
  const before = bestCost
  const start = performance.now()
  let current = best
  let cost = bestCost
  for (let elapsed = 0; elapsed < 1; elapsed = (performance.now() - start) / (1000 * seconds)) {
    const heat = 2.5 * (1 - ((elapsed * 4) % 1)) ** 2 + 0.05
    if ((elapsed * 4) % 1 < 0.001) [current, cost] = [best, bestCost]
    const tried = move(graph, current, rng)
    const triedCost = spills(graph, tried)
    if (triedCost > cost && rng() >= Math.exp((cost - triedCost) / heat)) continue
    ;[current, cost] = [tried, triedCost]
    if (cost < bestCost) [best, bestCost] = [current, cost]
  }
  const names = sink(graph, best).map((g) => circuit[g].name)
  console.log(`${title}: ${before} -> ${bestCost} stores and loads\n  ${names.join(' ')}`)
}

const seconds = Number(process.argv[2] ?? 20)
const rng = random(Number(process.argv[3] ?? 1))
anneal('forward', forwardSbox, seconds, rng)
anneal('inverse', inverseSbox, seconds, rng)
