/**
 * Circuits with 6 inputs and 4 outputs as the search (des-search.ts) works on them: every signal with its
 * truth table over the 64 inputs, in two 32-bit words.
 *
 * Signals 0 to 5 are the inputs, most significant first; the rest are gates, operands before users. A gate is
 * any function of two signals, four bits: bit (a + 2 b) is the result for the values a and b. Outputs may be
 * inverted.
 *
 * Most questions are asked about what is wanted: a value of which only some bits matter, kept as the inputs
 * for which it must be 1 (on) and 0 (off). Signals that are hidden take no part in the answers.
 */
import { type DesGate, functions, gateOf } from './des-gates.ts'

/** The next random number in [0, 1). */
export type Random = () => number
/** A gate by its operands' signals. */
export type Gate = { fn: number; a: number; b: number }
/** What stands in for a gate: a gate on two signals, or on a signal and a new gate. */
export type Replacement = Gate & { inner?: Gate }
/** A value, and the inputs for which it matters. */
export type Wanted = { low: number; high: number; maskLow: number; maskHigh: number }

/** Functions that only pass their first operand on, as it is or inverted. */
export const PASS = 0b1010
export const INVERT = 0b0101
const XOR = 0b0110

/** Most signals of a network. */
const LIMIT = 192

/** Truth table of input i: bit x is bit 5 - i of x. */
const inputTables = Array.from({ length: 6 }, (_, i) => {
  const words: [number, number] = [0, 0]
  for (let x = 0; x < 64; x++) words[x >> 5] |= ((x >> (5 - i)) & 1) << (x & 31)
  return words
})

/** The function with its first or second operand inverted. */
const invertA = (fn: number): number => ((fn & 5) << 1) | ((fn & 10) >> 1)
const invertB = (fn: number): number => ((fn & 3) << 2) | ((fn & 12) >> 2)

/** 32 values of a function. */
function apply(fn: number, a: number, b: number): number {
  const [f0, f1, f2, f3] = [-(fn & 1), -((fn >> 1) & 1), -((fn >> 2) & 1), -((fn >> 3) & 1)]
  return (f0 & ~(a | b)) | (f1 & a & ~b) | (f2 & b & ~a) | (f3 & a & b)
}

// working store of single calls
const flippedLow = new Int32Array(LIMIT)
const flippedHigh = new Int32Array(LIMIT)
const uses = new Uint8Array(LIMIT)
const cone = new Uint8Array(LIMIT)
const pairList = new Int32Array(LIMIT * LIMIT)

export class Network {
  count = 6
  readonly fn = new Uint8Array(LIMIT)
  readonly a = new Uint8Array(LIMIT)
  readonly b = new Uint8Array(LIMIT)
  readonly low = new Int32Array(LIMIT)
  readonly high = new Int32Array(LIMIT)
  /** The signals of the outputs, most significant first. */
  readonly outputs = [0, 0, 0, 0]
  readonly inverted = [false, false, false, false]
  private readonly hidden = new Uint8Array(LIMIT)
  private onLow = 0
  private onHigh = 0
  private offLow = 0
  private offHigh = 0

  constructor() {
    inputTables.forEach(([low, high], i) => {
      this.low[i] = low
      this.high[i] = high
    })
  }

  /** The network of a circuit as it is stored. */
  static of(circuit: readonly DesGate[]): Network {
    const net = new Network()
    const signals = new Map(Array.from({ length: 6 }, (_, i) => [`x${i}`, i]))
    for (const { name, op, a, b } of circuit) {
      signals.set(name, net.add(functions[op], signals.get(a)!, signals.get(b)!))
    }
    for (let i = 0; i < 4; i++) net.outputs[i] = signals.get(`s${i}`)!
    return net
  }

  /** Number of gates. */
  get gates(): number {
    return this.count - 6
  }

  /** Appends a gate and returns its signal. */
  add(fn: number, a: number, b: number): number {
    const s = this.count++
    this.fn[s] = fn
    this.a[s] = a
    this.b[s] = b
    this.low[s] = apply(fn, this.low[a], this.low[b])
    this.high[s] = apply(fn, this.high[a], this.high[b])
    this.hidden[s] = 0
    return s
  }

  /** Sets what is wanted. */
  want({ low, high, maskLow, maskHigh }: Wanted): void {
    this.onLow = low & maskLow
    this.onHigh = high & maskHigh
    this.offLow = ~low & maskLow
    this.offHigh = ~high & maskHigh
  }

  /** What is wanted now. */
  get wanted(): Wanted {
    const { onLow, onHigh, offLow, offHigh } = this
    return { low: onLow, high: onHigh, maskLow: onLow | offLow, maskHigh: onHigh | offHigh }
  }

  /** Wants what may stand for `gate`: its value where an output shows it. Hides it and all that depends on it. */
  wantInPlaceOf(gate: number): void {
    const { hidden, a, b, fn, low, high } = this
    hidden.fill(0, 0, this.count)
    hidden[gate] = 1
    flippedLow[gate] = ~low[gate]
    flippedHigh[gate] = ~high[gate]
    for (let s = gate + 1; s < this.count; s++) {
      const [p, q] = [a[s], b[s]]
      if ((hidden[p] | hidden[q]) === 0) continue
      hidden[s] = 1
      flippedLow[s] = apply(fn[s], hidden[p] ? flippedLow[p] : low[p], hidden[q] ? flippedLow[q] : low[q])
      flippedHigh[s] = apply(
        fn[s],
        hidden[p] ? flippedHigh[p] : high[p],
        hidden[q] ? flippedHigh[q] : high[q],
      )
    }
    let [maskLow, maskHigh] = [0, 0]
    for (const s of this.outputs) {
      if (!hidden[s]) continue
      maskLow |= flippedLow[s] ^ low[s]
      maskHigh |= flippedHigh[s] ^ high[s]
    }
    this.want({ low: low[gate], high: high[gate], maskLow, maskHigh })
  }

  /** A signal that is what is wanted, or its opposite: twice the signal, plus 1 if it is the opposite; -1 if none. */
  same(): number {
    const { low, high, onLow, onHigh, offLow, offHigh } = this
    for (let s = 0; s < this.count; s++) {
      if (this.hidden[s]) continue
      if (((low[s] & offLow) | (~low[s] & onLow) | (high[s] & offHigh) | (~high[s] & onHigh)) === 0)
        return 2 * s
      if (((low[s] & onLow) | (~low[s] & offLow) | (high[s] & onHigh) | (~high[s] & offHigh)) === 0)
        return 2 * s + 1
    }
    return -1
  }

  /**
   * The first signal from `from` on that makes, together with the values of `other`, a gate that gives what is
   * wanted; -1 if there is none. No inputs that the two cannot tell apart may need different results.
   */
  private partner(other: number, from: number): number {
    const [otherLow, otherHigh] = [this.low[other], this.high[other]]
    const [on1l, on1h] = [otherLow & this.onLow, otherHigh & this.onHigh]
    const [off1l, off1h] = [otherLow & this.offLow, otherHigh & this.offHigh]
    const [on0l, on0h] = [this.onLow ^ on1l, this.onHigh ^ on1h]
    const [off0l, off0h] = [this.offLow ^ off1l, this.offHigh ^ off1h]
    for (let s = from; s < this.count; s++) {
      const l = this.low[s]
      const h = this.high[s]
      if (((l & on1l) | (h & on1h)) !== 0 && ((l & off1l) | (h & off1h)) !== 0) continue
      if (((l & on0l) | (h & on0h)) !== 0 && ((l & off0l) | (h & off0h)) !== 0) continue
      if (((~l & on1l) | (~h & on1h)) !== 0 && ((~l & off1l) | (~h & off1h)) !== 0) continue
      if (((~l & on0l) | (~h & on0h)) !== 0 && ((~l & off0l) | (~h & off0h)) !== 0) continue
      if (!this.hidden[s]) return s
    }
    return -1
  }

  /** The function of signals `a` and `b` that is what is wanted, as in `free` where it does not matter; -1 if none. */
  private fit(a: number, b: number, free: number): number {
    let fn = 0
    for (let k = 0; k < 4; k++) {
      const low = (k & 1 ? this.low[a] : ~this.low[a]) & (k & 2 ? this.low[b] : ~this.low[b])
      const high = (k & 1 ? this.high[a] : ~this.high[a]) & (k & 2 ? this.high[b] : ~this.high[b])
      const on = ((low & this.onLow) | (high & this.onHigh)) !== 0
      const off = ((low & this.offLow) | (high & this.offHigh)) !== 0
      if (on && off) return -1
      if (on || (!off && (free >> k) & 1)) fn |= 1 << k
    }
    return fn
  }

  /**
   * One of the gates on two signals that give what is wanted, or undefined. With `avoid` none that reads a
   * marked signal, as long as there are others, and never a gate on the operands of `instead`.
   */
  pair(rng: Random, avoid?: Uint8Array, instead?: Gate): Gate | undefined {
    let n = 0
    for (let a = 0; a < this.count; a++) {
      if (this.hidden[a]) continue
      for (let b = this.partner(a, a + 1); b >= 0; b = this.partner(a, b + 1)) pairList[n++] = a | (b << 8)
    }
    if (n === 0) return undefined
    let kept = 0
    if (avoid !== undefined) {
      for (let i = 0; i < n; i++) {
        const pair = pairList[i]
        if (!avoid[pair & 255] && !avoid[pair >> 8]) pairList[kept++] = pair
      }
    }
    const pair = pairList[Math.floor(rng() * (kept > 0 ? kept : n))]
    const [a, b] = [pair & 255, pair >> 8]
    if (instead !== undefined && Math.min(instead.a, instead.b) === a && Math.max(instead.a, instead.b) === b)
      return undefined
    return { fn: this.fit(a, b, Math.floor(rng() * 16)), a, b }
  }

  /**
   * A gate that gives what is wanted on signal `w` and on a gate on two signals, or undefined. Where w is 0 the
   * result is constant, or where it is 1, or else it is w ^ the inner gate.
   */
  private tripleWith(w: number, rng: Random): Replacement | undefined {
    const wanted = this.wanted
    const { onLow, onHigh, offLow, offHigh } = this
    const [wl, wh] = [this.low[w], this.high[w]]
    for (let side = 0; side < 2; side++) {
      const [l, h] = side === 0 ? [~wl, ~wh] : [wl, wh]
      const on = ((onLow & l) | (onHigh & h)) !== 0
      const off = ((offLow & l) | (offHigh & h)) !== 0
      if (on && off) continue
      this.want({ ...wanted, maskLow: wanted.maskLow & ~l, maskHigh: wanted.maskHigh & ~h })
      const inner = this.pair(rng)
      this.want(wanted)
      if (inner !== undefined)
        return { fn: (side === 0 ? 0b1000 : 0b0100) | (on ? 0b0101 << side : 0), a: w, b: -1, inner }
    }
    this.want({ ...wanted, low: wanted.low ^ wl, high: wanted.high ^ wh })
    const inner = this.pair(rng)
    this.want(wanted)
    return inner && { fn: XOR, a: w, b: -1, inner }
  }

  /** A gate that gives what is wanted on a signal and on a new gate; `tries` signals are tried. */
  triple(rng: Random, tries: number): Replacement | undefined {
    const first = Math.floor(rng() * this.count)
    for (let i = 0; i < Math.min(tries, this.count); i++) {
      const w = (first + i) % this.count
      const found = this.hidden[w] ? undefined : this.tripleWith(w, rng)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** Marks `gate` and the gates that only it needs, directly or through each other. */
  coneOf(gate: number): { marks: Uint8Array; size: number } {
    uses.fill(0, 0, this.count)
    cone.fill(0, 0, this.count)
    for (let s = 6; s < this.count; s++) {
      uses[this.a[s]]++
      uses[this.b[s]]++
    }
    for (const s of this.outputs) uses[s]++
    cone[gate] = 1
    let size = 1
    for (let s = gate; s >= 6; s--) {
      if (!cone[s]) continue
      for (const operand of [this.a[s], this.b[s]]) {
        if (--uses[operand] > 0 || operand < 6) continue
        cone[operand] = 1
        size++
      }
    }
    return { marks: cone, size }
  }

  /** Hides signals. */
  hide(marks: Uint8Array): void {
    for (let s = 0; s < this.count; s++) this.hidden[s] |= marks[s]
  }

  /** The same network, to be added to. */
  copy(): Network {
    const copy = new Network()
    for (let s = 6; s < this.count; s++) copy.add(this.fn[s], this.a[s], this.b[s])
    copy.hidden.set(this.hidden)
    this.outputs.forEach((s, i) => {
      copy.outputs[i] = s
      copy.inverted[i] = this.inverted[i]
    })
    return copy
  }

  /** The network with `gate` replaced, sorted and without gates that nobody reads or that only pass on. */
  replaced(gate = -1, by?: Replacement): Network {
    const next = new Network()
    const place = new Int16Array(LIMIT).fill(-1)
    for (let i = 0; i < 6; i++) place[i] = 2 * i
    const visit = (s: number): number => {
      if (place[s] >= 0) return place[s]
      const { fn, a, b, inner } =
        s === gate ? by! : { fn: this.fn[s], a: this.a[s], b: this.b[s], inner: undefined }
      const p = visit(a)
      const q = inner === undefined ? visit(b) : next.simplest(inner.fn, visit(inner.a), visit(inner.b))
      place[s] = next.simplest(fn, p, q)
      return place[s]
    }
    this.outputs.forEach((s, i) => {
      const at = visit(s)
      next.outputs[i] = at >> 1
      next.inverted[i] = this.inverted[i] !== ((at & 1) === 1)
    })
    return next
  }

  /** A gate on two signals or their opposites, or the one of them that it only passes on; coded as in `same`. */
  private simplest(fn: number, p: number, q: number): number {
    if (p & 1) fn = invertA(fn)
    if (q & 1) fn = invertB(fn)
    const [a, b] = [p >> 1, q >> 1]
    if (fn === PASS || fn === INVERT) return 2 * a + (fn === PASS ? 0 : 1)
    if (fn === 0b1100 || fn === 0b0011) return 2 * b + (fn === 0b1100 ? 0 : 1)
    return 2 * this.add(fn, a, b)
  }

  /** The circuit as it is stored: see des-gates.ts. */
  toString(): string {
    const value = (s: number): number => this.low[s] & 1
    const nameOf = (s: number): string => {
      const output = this.outputs.indexOf(s)
      return s < 6 ? `x${s}` : output < 0 ? `t${s - 6}` : `s${output}`
    }
    return Array.from({ length: this.gates }, (_, i) => {
      const s = i + 6
      const inverted = value(this.a[s]) + 2 * value(this.b[s])
      let fn = 0
      for (let k = 0; k < 4; k++) fn |= (((this.fn[s] >> (k ^ inverted)) & 1) ^ value(s)) << k
      const { op, a, b } = gateOf(fn, nameOf(this.a[s]), nameOf(this.b[s]))
      return `${nameOf(s)} = ${a} ${op} ${b}`
    }).join('; ')
  }
}
