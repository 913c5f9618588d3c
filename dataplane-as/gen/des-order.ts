/**
 * Finds an order for the gates of the DES circuits in which few values wait.
 *
 *   node dataplane-as/gen/des-order.ts [STEPS] [SEED]
 *
 * V8 keeps the order of the source and has 15 vector registers, so a value that waits long for its use is
 * stored and loaded again. The model counts these stores and loads for an allocator that always puts aside the
 * value whose next use is farthest away (Belady). An input comes into a register at its first use, which takes
 * another register for the key; an output is added to the state as soon as it is there, which takes another
 * one too. Simulated annealing moves single gates between their operands and their first use. The circuits are
 * printed in the best order found, for des-circuits.ts; nothing depends on time or machine.
 */
import { circuits } from './des-circuits.ts'
import type { DesGate } from './des-gates.ts'
import { random } from './random.ts'

const REGISTERS = 15
const INPUTS = 6

/** A circuit by numbers: values 0 to 5 are the inputs, value 6 + g is the result of gate g. */
type Graph = { operands: [number, number][]; output: boolean[] }

function graphOf(circuit: readonly DesGate[]): Graph {
  const number = new Map(Array.from({ length: INPUTS }, (_, i) => [`x${i}`, i]))
  circuit.forEach(({ name }, g) => {
    number.set(name, INPUTS + g)
  })
  return {
    operands: circuit.map(({ a, b }) => [number.get(a)!, number.get(b)!]),
    output: circuit.map(({ name }) => name[0] === 's'),
  }
}

/** The registers of a machine that computes gates one by one. */
class Registers {
  cost = 0
  private readonly held = new Set<number>()
  private readonly stored = new Set<number>()
  private readonly uses: readonly number[][]
  private readonly done: Uint8Array

  /** `uses[value]`: when the value is read, ascending. */
  constructor(uses: readonly number[][]) {
    this.uses = uses
    this.done = new Uint8Array(uses.length)
  }

  private next(value: number): number {
    return this.uses[value][this.done[value]] ?? Number.POSITIVE_INFINITY
  }

  /** Frees `count` registers, but none of `keep`. */
  private makeRoom(count: number, keep: readonly number[]): void {
    while (this.held.size > REGISTERS - count) {
      let victim = -1
      for (const value of this.held) {
        if (!keep.includes(value) && (victim < 0 || this.next(value) > this.next(victim))) victim = value
      }
      if (!this.stored.has(victim)) this.cost++
      this.stored.add(victim)
      this.held.delete(victim)
    }
  }

  /** Brings the operands of a gate into registers and lets go those that are not read again. */
  read(operands: readonly number[]): void {
    for (const value of operands) {
      if (this.held.has(value)) continue
      const first = value < INPUTS && !this.stored.has(value)
      this.makeRoom(first ? 2 : 1, operands)
      this.held.add(value)
      if (!first) this.cost++
    }
    for (const value of operands) {
      this.done[value]++
      if (this.next(value) === Number.POSITIVE_INFINITY) this.held.delete(value)
    }
  }

  /** Gives a result its register; an output needs another one for the state. */
  write(value: number, output: boolean): void {
    this.makeRoom(output ? 2 : 1, [])
    if (this.next(value) !== Number.POSITIVE_INFINITY) this.held.add(value)
  }
}

/** Stores and loads that an order needs. */
function spills({ operands, output }: Graph, order: readonly number[]): number {
  const uses: number[][] = Array.from({ length: INPUTS + operands.length }, () => [])
  order.forEach((g, time) => {
    for (const value of operands[g]) uses[value].push(time)
  })
  const machine = new Registers(uses)
  for (const g of order) {
    machine.read(operands[g])
    machine.write(INPUTS + g, output[g])
  }
  return machine.cost
}

/** Moves one gate to another place that its operands and users allow. */
function move({ operands }: Graph, order: readonly number[], rng: () => number): number[] {
  const from = Math.floor(rng() * order.length)
  const gate = order[from]
  const rest = order.filter((_, i) => i !== from)
  const place = new Map(rest.map((g, i) => [INPUTS + g, i]))
  const lowest = Math.max(...operands[gate].map((value) => (place.get(value) ?? -1) + 1))
  const user = rest.findIndex((g) => operands[g].includes(INPUTS + gate))
  const highest = user < 0 ? rest.length : user
  rest.splice(lowest + Math.floor(rng() * (highest - lowest + 1)), 0, gate)
  return rest
}

/** The best order found with `steps` moves in four coolings. */
function anneal(
  circuit: readonly DesGate[],
  steps: number,
  rng: () => number,
): [order: number[], cost: number] {
  const graph = graphOf(circuit)
  let best = circuit.map((_, g) => g)
  let bestCost = spills(graph, best)
  let [current, cost] = [best, bestCost]
  for (let step = 0; step < steps && bestCost > 0; step++) {
    const phase = ((4 * step) / steps) % 1
    if (phase === 0) [current, cost] = [best, bestCost]
    const heat = 2 * (1 - phase) ** 2 + 0.05
    const tried = move(graph, current, rng)
    const triedCost = spills(graph, tried)
    if (triedCost > cost && rng() >= Math.exp((cost - triedCost) / heat)) continue
    ;[current, cost] = [tried, triedCost]
    if (cost < bestCost) [best, bestCost] = [current, cost]
  }
  return [best, bestCost]
}

const steps = Number(process.argv[2] ?? 40_000)
const rng = random(Number(process.argv[3] ?? 1))
circuits.forEach((circuit, box) => {
  const before = spills(
    graphOf(circuit),
    circuit.map((_, g) => g),
  )
  const [order, cost] = anneal(circuit, steps, rng)
  const gates = order.map((g) => circuit[g]).map(({ name, op, a, b }) => `${name} = ${a} ${op} ${b}`)
  console.log(
    `S${box + 1}: ${circuit.length} gates, ${before} -> ${cost} stores and loads\n  ${gates.join('; ')}`,
  )
})
