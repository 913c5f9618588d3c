// Two texts line by line: what goes, what comes, in order, with one line of context around each change.

export type DiffLine = { sign: ' ' | '-' | '+'; text: string }

/** Beyond so many pairs of lines the changed part is shown as a whole. */
const MOST_PAIRS = 4_000_000

/** Empty when both are equal. Lines far from any change are left out. */
export function diffLines(before: readonly string[], after: readonly string[]): DiffLine[] {
  let start = 0
  while (start < before.length && start < after.length && before[start] === after[start]) start++
  let end = 0
  const least = Math.min(before.length, after.length) - start
  while (end < least && before[before.length - 1 - end] === after[after.length - 1 - end]) end++
  const middle = changed(before.slice(start, before.length - end), after.slice(start, after.length - end))
  const kept = (lines: readonly string[]): DiffLine[] => lines.map((text) => ({ sign: ' ', text }))
  return near([...kept(before.slice(0, start)), ...middle, ...kept(before.slice(before.length - end))])
}

/** The longest common subsequence stays. */
function changed(before: string[], after: string[]): DiffLine[] {
  const gone = before.map((text): DiffLine => ({ sign: '-', text }))
  const come = after.map((text): DiffLine => ({ sign: '+', text }))
  if (before.length * after.length > MOST_PAIRS) return [...gone, ...come]
  const common = commonLengths(before, after)
  const lines: DiffLine[] = []
  let [i, j] = [0, 0]
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) {
      lines.push({ sign: ' ', text: before[i++] })
      j++
    } else if (j === after.length || (i < before.length && common[i + 1][j] >= common[i][j + 1]))
      lines.push(gone[i++])
    else lines.push(come[j++])
  }
  return lines
}

/** [i][j]: length of the longest common subsequence of the two tails from i and j. */
function commonLengths(before: string[], after: string[]): Uint32Array[] {
  const rows = Array.from({ length: before.length + 1 }, () => new Uint32Array(after.length + 1))
  for (let i = before.length - 1; i >= 0; i--)
    for (let j = after.length - 1; j >= 0; j--)
      rows[i][j] = before[i] === after[j] ? rows[i + 1][j + 1] + 1 : Math.max(rows[i + 1][j], rows[i][j + 1])
  return rows
}

/** Changed lines, their neighbours, and the heads of the modes they stand in. */
function near(lines: DiffLine[]): DiffLine[] {
  const wanted = new Set<number>()
  for (const [index, { sign }] of lines.entries()) {
    if (sign === ' ') continue
    for (const each of [index - 1, index, index + 1, ...headsOf(lines, index)]) wanted.add(each)
  }
  return lines.filter((_, index) => wanted.has(index))
}

/** Lines above that are less indented, outwards. */
function headsOf(lines: DiffLine[], from: number): number[] {
  const heads: number[] = []
  let depth = indentOf(lines[from].text)
  for (let index = from - 1; index >= 0 && depth > 0; index--) {
    const indent = indentOf(lines[index].text)
    if (indent >= depth) continue
    heads.push(index)
    depth = indent
  }
  return heads
}

const indentOf = (text: string): number => text.length - text.trimStart().length
