/** The generated files of DES: the key schedule, and the kernels for 128 blocks, 16 blocks and one message. */
import { desBytesFile } from './des-bytes.ts'
import { desKeysFile } from './des-keys.ts'
import { desSingleFile } from './des-single.ts'
import { desSlicedFile } from './des-sliced.ts'
import type { GeneratedFile } from './text.ts'

export function desFiles(): GeneratedFile[] {
  return [desKeysFile(), desSlicedFile(), desBytesFile(), desSingleFile()]
}
