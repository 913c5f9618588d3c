/**
 * Boolean circuits as data: a text of gates, its evaluation, and its translation into straight-line code.
 *
 * A gate is one line `name = a ^ b` or `name = a & b`; inputs are x0..x7, outputs s0..s7, index 0 the most
 * significant bit of a byte. A name is defined once and only read afterwards.
 */

/** One gate: `name = a op b`. */
export type Gate = { name: string; op: '^' | '&'; a: string; b: string }

/** How a gate is written for one machine word. */
export type GateWriter = (gate: Gate, a: string, b: string) => string

/** Reads gate lines; blank lines are skipped. Throws on anything else, a name defined twice or used too early. */
export function parseCircuit(text: string): Gate[] {
  const known = new Set(Array.from({ length: 8 }, (_, i) => `x${i}`))
  return text
    .split(/[\n;]/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => {
      const match = /^(\w+) = (\w+) ([&^]) (\w+)$/.exec(line)
      if (!match) throw new Error(`not a gate: ${line}`)
      const [, name, a, op, b] = match
      if (known.has(name) || !known.has(a) || !known.has(b)) throw new Error(`out of order: ${line}`)
      known.add(name)
      return { name, op: op as '^' | '&', a, b }
    })
}

/** The same gates in the order of `names`; throws if that is not all of them, operands first. */
export function reorder(circuit: readonly Gate[], names: string): Gate[] {
  const byName = new Map(circuit.map((gate) => [gate.name, gate]))
  const ordered = names.trim().split(/\s+/)
  if (ordered.length !== circuit.length) throw new Error('an order must name every gate once')
  return parseCircuit(
    ordered
      .map((name) => {
        const gate = byName.get(name)
        if (!gate) throw new Error(`no such gate: ${name}`)
        return `${name} = ${gate.a} ${gate.op} ${gate.b}`
      })
      .join('\n'),
  )
}

/** The output byte of a circuit for one input byte. */
export function evaluate(circuit: readonly Gate[], byte: number): number {
  const bits = new Map<string, number>()
  for (let i = 0; i < 8; i++) bits.set(`x${i}`, (byte >> (7 - i)) & 1)
  for (const { name, op, a, b } of circuit) {
    const [u, v] = [bits.get(a)!, bits.get(b)!]
    bits.set(name, op === '&' ? u & v : u ^ v)
  }
  let out = 0
  for (let i = 0; i < 8; i++) out |= bits.get(`s${i}`)! << (7 - i)
  return out
}

/** Gates on v128 values. */
export const v128Gates: GateWriter = (gate, a, b) =>
  `const ${gate.name} = v128.${gate.op === '&' ? 'and' : 'xor'}(${a}, ${b})`

/** Gates on u32 values. */
export const u32Gates: GateWriter = (gate, a, b) => `const ${gate.name} = ${a} ${gate.op} ${b}`

/**
 * The lines of a circuit. `inputs[i]` is the expression for bit i, 0 the least significant; returns the names
 * that hold the output bits, also least significant first. `suffix` keeps the names of two copies apart.
 */
export function writeCircuit(
  circuit: readonly Gate[],
  inputs: readonly string[],
  suffix: string,
  write: GateWriter,
): { lines: string[]; outputs: string[] } {
  const nameOf = (name: string): string => (/^x\d$/.test(name) ? inputs[7 - Number(name[1])] : name + suffix)
  const lines = circuit.map((gate) =>
    write({ ...gate, name: nameOf(gate.name) }, nameOf(gate.a), nameOf(gate.b)),
  )
  return { lines, outputs: Array.from({ length: 8 }, (_, i) => nameOf(`s${7 - i}`)) }
}
