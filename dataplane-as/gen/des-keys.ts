/**
 * Writes the key schedule of DES (FIPS 46-3) as plain shifts and masks: no table, no branch on key bits.
 *
 * A round key is 8 bytes, one for each S-box, with its six bits in the order of des-lanes.ts.
 */
import { inputBit } from './des-lanes.ts'
import { PC1, PC2, rotations } from './des-tables.ts'
import { type GeneratedFile, header, Lines } from './text.ts'

/** Bits `from` to `from` + 27 of PC1 as the expression of a word, the first of them bit 27. */
function permutedChoice1(from: number): string[] {
  return PC1.slice(from, from + 28).map((bit, i) => {
    // bit 1 of the standard is the most significant of the first byte: bit 7 of the little-endian word
    const place = 8 * ((bit - 1) >> 3) + 7 - ((bit - 1) & 7)
    const value = `<u32>(key >> ${place}) & 1`
    return i === 27 ? `(${value})` : `((${value}) << ${27 - i})`
  })
}

/** The key byte of an S-box from C and D. */
function keyByte(box: number): string {
  const bits = [0, 1, 2, 3, 4, 5].map((input) => {
    const at = PC2[6 * box + input] - 1
    const [half, place] = at < 28 ? ['c', 27 - at] : ['d', 55 - at]
    const value = `((${half} >> ${place}) & 1)`
    const to = inputBit(box, input)
    return to === 0 ? value : `(${value} << ${to})`
  })
  return bits.join(' | ')
}

/** A mask with bit r set where round r rotates by one place and not by two. */
const singles = rotations.reduce((mask, places, r) => {
  return places - (r === 0 ? 0 : rotations[r - 1]) === 1 ? mask | (1 << r) : mask
}, 0)

/** The file. */
export function desKeysFile(): GeneratedFile {
  const lines = new Lines()
  lines.add(
    '/** C and D rotated to the left by `by` places of their 28. */',
    'function turned(half: u32, by: u32): u32 {',
    '  return ((half << by) | (half >> (28 - by))) & 0xfffffff',
    '}',
    '',
    '/**',
    ' * Writes the 16 round keys, 8 bytes each, of the 8 bytes at `from`; the first goes to `to`, each next one `step`',
    ' * bytes on. The parity bits are not read.',
    ' */',
  )
  lines.block('export function desRoundKeys(from: usize, to: usize, step: isize): void {', '}', () => {
    lines.add('const key = load<u64>(from)')
    for (const [half, first] of [
      ['c', 0],
      ['d', 28],
    ] as const) {
      const bits = permutedChoice1(first)
      lines.add(`let ${half}: u32 = ${bits.slice(0, 7).join(' | ')}`)
      for (let i = 7; i < 28; i += 7) lines.add(`${half} |= ${bits.slice(i, i + 7).join(' | ')}`)
    }
    lines.block('for (let round: u32 = 0; round < 16; round++) {', '}', () => {
      lines.add(`const by: u32 = 2 - ((${singles} >> round) & 1)`, 'c = turned(c, by)', 'd = turned(d, by)')
      for (let box = 0; box < 8; box++) lines.add(`store<u8>(to, <u8>(${keyByte(box)}), ${box})`)
      lines.add('to += step')
    })
  })
  return {
    name: 'des-keys.ts',
    text: `${header('des-keys.ts', ['The key schedule of DES.']).join('\n')}\n${lines}`,
  }
}
