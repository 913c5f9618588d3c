/** The generated files of DES: the key schedule, and the kernels for 256, 128 and 16 blocks and one message. */
import { desBytesFile } from './des-bytes.ts'
import { desKeysFile } from './des-keys.ts'
import { desSingleFile } from './des-single.ts'
import { desSlicedFiles } from './des-sliced.ts'
import type { GeneratedFile } from './text.ts'

export function desFiles(): GeneratedFile[] {
  return [desKeysFile(), ...desSlicedFiles(), desBytesFile(), desSingleFile()]
}
