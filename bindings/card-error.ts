// A refusal of the card or its driver: says what was asked, what is possible, what to do.

import {
  ERROR_ARGUMENT,
  ERROR_ASP,
  ERROR_FIELD,
  ERROR_INDEX,
  ERROR_MEMORY,
  ERROR_OPCODE,
  ERROR_SELECTOR,
  ERROR_SPI,
  ERROR_STATE,
  ERROR_SUITE,
  ERROR_VERSION,
} from '../dataplane-as/abi.ts'

/** Thrown by every call of the Card port that is refused; the state of the card is unchanged. */
export class CardError extends Error {
  override readonly name = 'CardError'
}

const SENTENCES = new Map<number, string>([
  [ERROR_OPCODE, 'the command is unknown or not built'],
  [ERROR_INDEX, 'an index lies outside its table'],
  [ERROR_STATE, 'the record is not in the state the command needs'],
  [ERROR_FIELD, 'a field holds a value outside its range'],
  [ERROR_SUITE, 'the cipher, the integrity algorithm or a key length is not built'],
  [ERROR_SPI, 'the SPI is reserved or in use'],
  [ERROR_ASP, 'it belongs to another ASP'],
  [ERROR_SELECTOR, 'a traffic selector is malformed'],
  [ERROR_VERSION, 'the ABI versions differ; run "npm run build"'],
  [ERROR_MEMORY, 'the memory is too small for these tables; raise memoryBytes'],
  [ERROR_ARGUMENT, 'an argument is out of range'],
])

/** The sentence of an ERROR_* number. */
export function errorSentence(error: number): string {
  return SENTENCES.get(error) ?? `error ${error}`
}
