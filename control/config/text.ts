// A line of configuration text as words: comments gone, strings unescaped.

/** One word; `quoted` words are never keywords. `column` counts from 1, in characters. */
export type Word = { text: string; quoted: boolean; column: number }
export type Line = { number: number; words: Word[] }
/** Words of a line, or a sentence saying why it has none. The sentence never repeats the line: it may hold a secret. */
export type SplitLine = { ok: true; words: Word[] } | { ok: false; message: string }

const ESCAPABLE = new Set(['"', '\\'])

/** Splits a line at blanks; `!` at the start of a word begins a comment; `"..."` is one word with `\"` and `\\`. */
export function splitLine(text: string): SplitLine {
  if (hasControlCharacter(text)) return refuse('a control character; write plain text')
  const words: Word[] = []
  let at = 0
  while (at < text.length) {
    if (isBlank(text[at])) at++
    else if (text[at] === '!') break
    else {
      const taken = text[at] === '"' ? takeString(text, at) : takeBare(text, at)
      if (!taken.ok) return taken
      words.push(taken.word)
      at = taken.next
    }
  }
  return { ok: true, words }
}

type Taken = { ok: true; word: Word; next: number } | { ok: false; message: string }

/** A bare `!` inside a word could mean a comment or a password's character, so it must be made plain. */
function takeBare(text: string, from: number): Taken {
  let end = from
  while (end < text.length && !isBlank(text[end])) {
    if (text[end] === '"')
      return refuse(`a quote inside the word at column ${from + 1}; quote the whole word`)
    if (text[end] === '!')
      return refuse(
        `"!" inside the word at column ${from + 1}; quote the word, or put a blank before a comment`,
      )
    end++
  }
  return { ok: true, word: { text: text.slice(from, end), quoted: false, column: from + 1 }, next: end }
}

function takeString(text: string, from: number): Taken {
  let value = ''
  for (let at = from + 1; at < text.length; at++) {
    if (text[at] === '"') return endString(text, from, at, value)
    if (text[at] !== '\\') value += text[at]
    else if (ESCAPABLE.has(text[++at])) value += text[at]
    else
      return refuse(
        `the string at column ${from + 1} has a backslash before neither " nor \\; write \\\\ for one`,
      )
  }
  return refuse(`the string at column ${from + 1} has no closing quote`)
}

function endString(text: string, from: number, quote: number, value: string): Taken {
  const next = quote + 1
  if (next < text.length && !isBlank(text[next]))
    return refuse(`a blank must follow the string at column ${from + 1}`)
  return { ok: true, word: { text: value, quoted: true, column: from + 1 }, next }
}

function refuse(message: string): { ok: false; message: string } {
  return { ok: false, message }
}

function isBlank(character: string): boolean {
  return character === ' ' || character === '\t'
}

function hasControlCharacter(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if ((code < 32 && code !== 9) || code === 127) return true
  }
  return false
}
