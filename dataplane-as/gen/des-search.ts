/**
 * Finds circuits for the DES S-boxes with few gates.
 *
 *   node dataplane-as/gen/des-search.ts [BOXES] [RUNS] [STEPS] [SEED] [improve]
 *
 * BOXES: digits 1 to 8 (default all). RUNS circuits begin with STEPS changes each; the better half goes on with
 * twice as many, and so on until one is left, which is printed for des-circuits.ts. With `improve` all of them
 * begin with what des-circuits.ts holds. Nothing depends on time or machine: the same command prints the same.
 *
 * Gates may be any function of two values. That is less than it sounds: the kernels have no gate with an
 * inverted result, but they can do with inputs and outputs of an S-box inverted, and then every such circuit
 * is one of AND, OR, XOR and AND-NOT gates (see des-gates.ts).
 *
 * Building (after M. Kwan, "Reducing the Gate Count of Bitslice DES", IACR ePrint 2000/051): a wanted function
 * with a mask of the inputs that matter is an existing value, or takes one gate or two on existing values, or
 * is split by an input x into f0 ^ (x & (f0 ^ f1)), where f0 must only hold for x = 0.
 *
 * Changing: a gate needs its value only for those of the 64 inputs for which an output shows it. In its place
 * comes an existing value, one gate or two, or all that only it needed is built anew as above. A change that
 * adds no gate is kept, so the circuit wanders among the many of one size until one of them gets smaller.
 */
import { pathToFileURL } from 'node:url'
import { circuits } from './des-circuits.ts'
import { Network, PASS, type Random, type Wanted } from './des-network.ts'
import { sboxes } from './des-tables.ts'
import { random } from './random.ts'

/** How many of the possible splits are tried at each depth, when a circuit is begun. */
const WIDTHS = [12, 10, 8, 6, 4, 1]
/** The depth whose width a part built anew begins with: one of these. */
const REBUILD_DEPTHS = [3, 3, 2, 1, 0]
/** The share of steps that build a part anew, and of the rest the share that tries two gates. */
const REBUILDS = 0.15
const TRIPLES = 0.3
/** Most gates of a part that is built anew. */
const LARGEST_PART = 24

const inputs = [0, 1, 2, 3, 4, 5]
const pick = (rng: Random, count: number): number => Math.floor(rng() * count)

/** `values` in random order. */
function shuffled(values: readonly number[], rng: Random): number[] {
  const out = [...values]
  for (let i = out.length - 1; i > 0; i--) {
    const j = pick(rng, i + 1)
    ;[out[i], out[j]] = [out[j], out[i]]
  }
  return out
}

/** Truth table of output `bit` (0 = most significant) of a box. */
function truth(box: readonly number[], bit: number): Wanted {
  const words = [0, 0]
  box.forEach((value, x) => {
    words[x >> 5] |= ((value >> (3 - bit)) & 1) << (x & 31)
  })
  return { low: words[0], high: words[1], maskLow: -1, maskHigh: -1 }
}

/** What is wanted from what there is with no gate, one or two; coded as in `Network.same`, or -1. */
function join(net: Network, wanted: Wanted, most: number, rng: Random): number {
  net.want(wanted)
  const same = net.same()
  if (same >= 0 || most < 1) return same
  const pair = net.pair(rng)
  if (pair !== undefined) return 2 * net.add(pair.fn, pair.a, pair.b)
  const triple = most < 2 ? undefined : net.triple(rng, Number.POSITIVE_INFINITY)
  if (triple === undefined) return -1
  const { fn, a, inner } = triple
  return 2 * net.add(fn, a, net.add(inner!.fn, inner!.a, inner!.b))
}

/** Adds what gives `wanted` with at most `most` gates, splitting by `free` inputs; coded as in `Network.same`, or -1. */
function build(
  net: Network,
  wanted: Wanted,
  free: readonly number[],
  most: number,
  depth: number,
  rng: Random,
): number {
  const joined = join(net, wanted, most, rng)
  if (joined >= 0 || most < 3) return joined
  const first = net.count
  let best: { result: number; gates: [fn: number, a: number, b: number][] } | undefined
  const splits = shuffled(
    free.flatMap((x) => [2 * x, 2 * x + 1]),
    rng,
  )
  for (const split of splits.slice(0, WIDTHS[depth])) {
    const result = buildSplit(net, wanted, free, split, best ? best.gates.length - 1 : most, depth, rng)
    if (result >= 0) {
      const gates = Array.from({ length: net.count - first }, (_, i): [number, number, number] => {
        return [net.fn[first + i], net.a[first + i], net.b[first + i]]
      })
      best = { result, gates }
    }
    net.count = first
  }
  if (best === undefined) return -1
  for (const gate of best.gates) net.add(...gate)
  return best.result
}

/** `build` with a given split: by input `split` / 2, its opposite if `split` is odd. */
function buildSplit(
  net: Network,
  wanted: Wanted,
  free: readonly number[],
  split: number,
  most: number,
  depth: number,
  rng: Random,
): number {
  const x = split >> 1
  const first = net.count
  const flip = -(split & 1)
  const [xLow, xHigh] = [net.low[x] ^ flip, net.high[x] ^ flip]
  const rest = free.filter((other) => other !== x)
  const { low, high, maskLow, maskHigh } = wanted
  const base = { low, high, maskLow: maskLow & ~xLow, maskHigh: maskHigh & ~xHigh }
  const zero = build(net, base, rest, most - 2, depth + 1, rng)
  if (zero < 0) return -1
  const inverted = -(zero & 1)
  const change = build(
    net,
    {
      low: low ^ net.low[zero >> 1] ^ inverted,
      high: high ^ net.high[zero >> 1] ^ inverted,
      maskLow: maskLow & xLow,
      maskHigh: maskHigh & xHigh,
    },
    rest,
    most - 2 - (net.count - first),
    depth + 1,
    rng,
  )
  if (change < 0) return -1
  // AND of the input and the change: the one combination of both for which the gate is 1
  const gate = net.add(1 << ((split & 1 ? 0 : 1) | (change & 1 ? 0 : 2)), x, change >> 1)
  return 2 * net.add(0b0110, zero >> 1, gate) + (zero & 1)
}

/** A first circuit for a box. */
function start(box: readonly number[], rng: Random): Network {
  const net = new Network()
  for (const bit of shuffled([0, 1, 2, 3], rng)) {
    const at = build(net, truth(box, bit), inputs, 99, 0, rng)
    net.outputs[bit] = at >> 1
    net.inverted[bit] = (at & 1) === 1
  }
  return net.replaced()
}

/** The network with what only `gate` needs built anew; undefined if that takes more gates or is not worth it. */
function rebuilt(net: Network, gate: number, rng: Random): Network | undefined {
  const copy = net.copy()
  copy.wantInPlaceOf(gate)
  const { marks, size } = copy.coneOf(gate)
  if (size < 3 || size > LARGEST_PART) return undefined
  copy.hide(marks)
  const at = build(copy, copy.wanted, inputs, size, REBUILD_DEPTHS[pick(rng, REBUILD_DEPTHS.length)], rng)
  if (at < 0) return undefined
  return copy.replaced(gate, { fn: at & 1 ? 0b0101 : PASS, a: at >> 1, b: 0 })
}

/** The network with something else in the place of `gate`, or undefined if nothing was found this time. */
function changed(net: Network, gate: number, rng: Random): Network | undefined {
  net.wantInPlaceOf(gate)
  const same = net.same()
  if (same >= 0) return net.replaced(gate, { fn: same & 1 ? 0b0101 : PASS, a: same >> 1, b: 0 })
  if (rng() < TRIPLES) {
    const triple = net.triple(rng, 1)
    return triple && net.replaced(gate, triple)
  }
  const { marks, size } = net.coneOf(gate)
  const own = { fn: net.fn[gate], a: net.a[gate], b: net.b[gate] }
  const pair = net.pair(rng, size > 1 ? marks : undefined, own)
  return pair && net.replaced(gate, pair)
}

/** Changes `net` `steps` times; returns the smallest network seen. */
function walk(net: Network, steps: number, rng: Random): Network {
  let current = net
  for (let step = 0; step < steps; step++) {
    const gate = 6 + pick(rng, current.gates)
    const next = rng() < REBUILDS ? rebuilt(current, gate, rng) : changed(current, gate, rng)
    if (next !== undefined && next.count <= current.count) current = next
  }
  return current
}

/**
 * The best that comes of `runs` circuits: all walk, the better half goes on and walks twice as far, until one is
 * left.
 */
function search(box: readonly number[], runs: number, steps: number, seed: number, known?: Network): Network {
  let field = Array.from({ length: runs }, (_, run) => {
    const rng = random(seed * 7919 + run)
    return { rng, net: known ?? start(box, rng) }
  })
  for (;;) {
    for (const one of field) one.net = walk(one.net, steps, one.rng)
    field.sort((a, b) => a.net.count - b.net.count)
    console.error(`  ${steps} steps: ${field.map(({ net }) => net.gates).join(' ')}`)
    if (field.length === 1) return field[0].net
    field = field.slice(0, Math.ceil(field.length / 2))
    steps *= 2
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [, , boxes = '12345678', runs = '16', steps = '20000', seed = '1', improve = ''] = process.argv
  for (const digit of boxes) {
    const box = Number(digit) - 1
    const known = improve === 'improve' ? Network.of(circuits[box]) : undefined
    const best = search(sboxes[box], Number(runs), Number(steps), Number(seed), known)
    console.log(`S${digit}: ${best.gates} gates\n  ${best}`)
  }
}
