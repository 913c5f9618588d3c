/**
 * Finds short XOR programs for the linear parts of the inverse AES S-box.
 *
 *   node dataplane-as/gen/linear-search.ts [SECONDS] [SEED]
 *
 * S(x) = A·inv(x) + 0x63, and the forward circuit computes S(x) + 0x63 = B·F(U·x) with a linear top U, the
 * non-linear middle F and a linear bottom B. Inversion in GF(2^8) is its own inverse, hence
 * S⁻¹(y) = inv(z) = A⁻¹·B·F(U·z) with z = A⁻¹·(y + 0x63): the same middle between the top U·A⁻¹ and the
 * bottom A⁻¹·B. What remains is to compute these two matrices with few XORs.
 *
 * The search is greedy: it keeps, for every vector, the number of known forms whose sum it is, and adds the
 * sum of two known forms that lowers the distances of all wanted forms most; ties are broken by the flatter
 * or the rougher distances, or by chance, and the best of many seeded runs is printed as gate lines for
 * aes-sbox.ts.
 */
import { forwardSbox } from './aes-sbox.ts'
import { random } from './random.ts'

/** One wanted form: its name and its coordinates, bit i standing for input i. */
type Form = { name: string; vector: number }

/** Adds base vector `v`: a sum uses it at most once, so one pass makes the distances exact. */
function addBase(distance: Uint8Array, v: number): void {
  for (let x = 0; x < distance.length; x++) {
    const y = x ^ v
    if (y < x) continue
    const [dx, dy] = [distance[x], distance[y]]
    distance[x] = Math.min(dx, dy + 1)
    distance[y] = Math.min(dy, dx + 1)
  }
}

/** One greedy run: the list of index pairs whose sums are added, or undefined if it needs `limit` or more. */
function greedy(inputs: number, wanted: number[], limit: number, rng: () => number): number[][] | undefined {
  const distance = new Uint8Array(1 << inputs).fill(100)
  distance[0] = 0
  const base: number[] = []
  const push = (v: number) => {
    base.push(v)
    addBase(distance, v)
  }
  for (let i = 0; i < inputs; i++) push(1 << i)
  const steps: number[][] = []
  const taste = rng() < 0.5 ? 1 : -1
  for (
    let open = wanted.filter((w) => distance[w] > 1);
    open.length > 0;
    open = open.filter((w) => distance[w] > 1)
  ) {
    if (steps.length + open.length >= limit) return undefined
    let best = Number.POSITIVE_INFINITY
    let pair: number[] = []
    for (let i = 0; i < base.length; i++) {
      for (let j = 0; j < i; j++) {
        const v = base[i] ^ base[j]
        if (distance[v] < 2) continue
        let score = distance[v] === 2 && open.includes(v) ? -0.5 : 0
        for (const w of open) {
          const d = Math.min(distance[w], distance[w ^ v] + 1)
          score += d - (taste * d * d) / 500
        }
        score += rng() * 0.4
        if (score < best) [best, pair] = [score, [i, j]]
      }
    }
    steps.push(pair)
    push(base[pair[0]] ^ base[pair[1]])
  }
  return steps
}

/** Gate lines of a found program: inputs and wanted forms under their names, others as `prefix`N. */
function program(inputNames: string[], wanted: Form[], steps: number[][], prefix: string): string {
  const vectors = inputNames.map((_, i) => 1 << i)
  const known = [...inputNames]
  const lines = steps.map(([i, j], n) => {
    const vector = vectors[i] ^ vectors[j]
    vectors.push(vector)
    known.push(wanted.find((form) => form.vector === vector)?.name ?? `${prefix}${n}`)
    return `${known[known.length - 1]} = ${known[i]} ^ ${known[j]}`
  })
  const free = wanted.filter((form) => vectors.indexOf(form.vector) < inputNames.length)
  return `${lines.join('; ')}\n  free: ${free.map((f) => `${f.name} is ${inputNames[vectors.indexOf(f.vector)]}`)}`
}

/** Repeats `greedy` for `seconds` and prints the best program. */
function search(
  title: string,
  inputNames: string[],
  wanted: Form[],
  prefix: string,
  seconds: number,
  seed: number,
) {
  const rng = random(seed)
  const end = performance.now() + seconds * 1000
  let limit = 1000
  let best: number[][] = []
  let runs = 0
  for (; performance.now() < end; runs++) {
    const steps = greedy(
      inputNames.length,
      wanted.map((form) => form.vector),
      limit,
      rng,
    )
    if (!steps) continue
    limit = steps.length
    best = steps
  }
  console.log(
    `${title}: ${best.length} XORs, best of ${runs} runs\n  ${program(inputNames, wanted, best, prefix)}`,
  )
}

/** The forms of the linear gates of a circuit over `inputNames`; the gates may stop at non-linear ones. */
function formsOver(inputNames: string[]): Map<string, number> {
  const forms = new Map(inputNames.map((name, i) => [name, 1 << i] as const))
  for (const { name, op, a, b } of forwardSbox) {
    if (op === '^' && forms.has(a) && forms.has(b)) forms.set(name, forms.get(a)! ^ forms.get(b)!)
  }
  return forms
}

/** A⁻¹ of FIPS 197 §5.3.2 on a byte (without the constant): bit i is the sum of bits i+2, i+5, i+7 mod 8. */
function inverseAffine(byte: number): number {
  let out = 0
  for (let i = 0; i < 8; i++) {
    out |= (((byte >> ((i + 2) % 8)) ^ (byte >> ((i + 5) % 8)) ^ (byte >> ((i + 7) % 8))) & 1) << i
  }
  return out
}

const bits = Array.from({ length: 8 }, (_, i) => `x${i}`)
const products = Array.from({ length: 18 }, (_, i) => `z${i}`)
const seconds = Number(process.argv[2] ?? 20)
const seed = Number(process.argv[3] ?? 1)

/** `form`·A⁻¹: coordinate i of the result is `form` applied to A⁻¹ of the unit vector i (x0 = bit 7). */
function composeTop(form: number): number {
  let out = 0
  for (let i = 0; i < 8; i++) {
    const image = inverseAffine(1 << (7 - i))
    let parity = 0
    for (let k = 0; k < 8; k++) parity ^= (form >> k) & (image >> (7 - k)) & 1
    out |= parity << i
  }
  return out
}

const top = formsOver(bits)
const wantedTop = ['x7', ...Array.from({ length: 21 }, (_, i) => `y${i + 1}`)].map((name) => ({
  name: name === 'x7' ? 'y0' : name,
  vector: composeTop(top.get(name)!),
}))
search('inverse top', bits, wantedTop, 'a', seconds, seed)

const bottom = formsOver(products)
const forwardRows = Array.from({ length: 8 }, (_, i) => bottom.get(`s${7 - i}`)!)
search(
  'forward bottom',
  products,
  forwardRows.map((vector, i) => ({ name: `s${7 - i}`, vector })),
  'b',
  seconds,
  seed,
)

const inverseRows = Array.from({ length: 8 }, (_, i) => ({
  name: `s${7 - i}`,
  vector: forwardRows[(i + 2) % 8] ^ forwardRows[(i + 5) % 8] ^ forwardRows[(i + 7) % 8],
}))
search('inverse bottom', products, inverseRows, 'b', seconds, seed)
