/**
 * Circuits of the DES S-boxes as data: six inputs x0..x5, four outputs s0..s3, index 0 the most significant.
 *
 * A gate is one line `name = a op b` with op `&`, `|`, `^` or `&~` (AND with the second operand inverted). All
 * of these give 0 for two zeros, so with x = 0 every value is 0, and the outputs are S(x) ^ S(0). That is no
 * loss: `shifted` makes of it a circuit with the same number of gates for S(x ^ c) ^ S(c), any c.
 */

export type DesOp = '&' | '|' | '^' | '&~'
export type DesGate = { name: string; op: DesOp; a: string; b: string }

/** The result of a gate for values a + 2 b = 0, 1, 2, 3, as bits 0 to 3. */
export const functions: Readonly<Record<DesOp, number>> = {
  '&': 0b1000,
  '|': 0b1110,
  '^': 0b0110,
  '&~': 0b0010,
}

/** Reads gates; blank lines are skipped. Throws on anything else, a name defined twice or used too early. */
export function parseDesCircuit(text: string): DesGate[] {
  const known = new Set(Array.from({ length: 6 }, (_, i) => `x${i}`))
  return text
    .split(/[\n;]/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => {
      const match = /^(\w+) = (\w+) (&~|[&|^]) (\w+)$/.exec(line)
      if (!match) throw new Error(`not a gate: ${line}`)
      const [, name, a, op, b] = match
      if (known.has(name) || !known.has(a) || !known.has(b)) throw new Error(`out of order: ${line}`)
      known.add(name)
      return { name, op: op as DesOp, a, b }
    })
}

/** The four output bits for the input bits `x`, both most significant first. */
export function evaluateDes(circuit: readonly DesGate[], x: number): number {
  const values = new Map<string, number>()
  for (let i = 0; i < 6; i++) values.set(`x${i}`, (x >> (5 - i)) & 1)
  for (const { name, op, a, b } of circuit) {
    values.set(name, (functions[op] >> (values.get(a)! + 2 * values.get(b)!)) & 1)
  }
  return [0, 1, 2, 3].reduce((out, i) => out | (values.get(`s${i}`)! << (3 - i)), 0)
}

/** The circuit for inputs that arrive as x ^ c: the same gates, each value inverted where it is 1 for x = c. */
export function shifted(circuit: readonly DesGate[], c: number): DesGate[] {
  const ones = new Map<string, number>()
  for (let i = 0; i < 6; i++) ones.set(`x${i}`, (c >> (5 - i)) & 1)
  return circuit.map(({ name, op, a, b }) => {
    const inverted = ones.get(a)! + 2 * ones.get(b)!
    const value = (functions[op] >> inverted) & 1
    ones.set(name, value)
    let fn = 0
    for (let k = 0; k < 4; k++) fn |= (((functions[op] >> (k ^ inverted)) & 1) ^ value) << k
    return { name, ...gateOf(fn, a, b) }
  })
}

/** The gate with function `fn`, which gives 0 for two zeros and needs both operands. */
export function gateOf(fn: number, a: string, b: string): Omit<DesGate, 'name'> {
  if (fn === 0b0100) return { op: '&~', a: b, b: a }
  const op = (Object.keys(functions) as DesOp[]).find((candidate) => functions[candidate] === fn)
  if (op === undefined) throw new Error(`no such gate: ${fn}`)
  return { op, a, b }
}
