// Words in messages: how an operator's word is shown, and which valid word is the nearest.

const SHOWN = 40

/** A word between quotes, shortened, with everything outside printable ASCII escaped. */
export function shown(word: string): string {
  const cut = word.length > SHOWN ? `${word.slice(0, SHOWN)}...` : word
  const plain = cut.replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return `"${plain}"`
}

/** The candidate that the word most likely stands for: the only one it begins, else the nearest by edits; or null. */
export function nearestWord(word: string, candidates: readonly string[]): string | null {
  const lower = word.toLowerCase()
  const begun = candidates.filter((candidate) => lower.length > 1 && candidate.startsWith(lower))
  if (begun.length === 1) return begun[0]
  let best: string | null = null
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - lower.length) >= bestDistance) continue
    const distance = editDistance(lower, candidate)
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance]
  }
  return best
}

/** Insertions, deletions, replacements and swaps of neighbours that turn one word into the other. */
export function editDistance(from: string, to: string): number {
  let before: number[] = []
  let row = Array.from({ length: to.length + 1 }, (_, at) => at)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const change = row[j - 1] + (from[i - 1] === to[j - 1] ? 0 : 1)
      next[j] = Math.min(change, row[j] + 1, next[j - 1] + 1)
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      if (swapped) next[j] = Math.min(next[j], before[j - 2] + 1)
    }
    ;[before, row] = [row, next]
  }
  return row[to.length]
}
