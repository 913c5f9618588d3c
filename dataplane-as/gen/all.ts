/**
 * All generated kernels. The build calls `generateAll`; a test compares the committed files with
 * `generatedFiles`.
 *
 *   node dataplane-as/gen/all.ts     writes what is not current
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { aesFiles } from './aes.ts'
import { aesCtrFiles } from './aes-ctr.ts'
import { aesWideFiles } from './aes-wide.ts'
import { chachaFiles } from './chacha.ts'
import { chachaWideFiles } from './chacha-wide.ts'
import { desFiles } from './des.ts'
import { ghashFiles } from './ghash.ts'
import { hashConstantFiles } from './hash-constants.ts'
import { hashOneFiles } from './hash-one.ts'
import { md5Files } from './md5.ts'
import { polyFiles } from './poly1305.ts'
import { sha1Files } from './sha1.ts'
import { sha2Files } from './sha2.ts'
import type { GeneratedFile } from './text.ts'

/** Where the generated files stand. */
export const generatedFolder = fileURLToPath(new URL('../crypto/generated/', import.meta.url))

/** Every generated file with the text it must have. */
export function generatedFiles(): GeneratedFile[] {
  return [
    ...aesFiles(),
    ...aesCtrFiles(),
    ...aesWideFiles(),
    ...chachaFiles(),
    ...chachaWideFiles(),
    ...desFiles(),
    ...ghashFiles(),
    ...hashConstantFiles(),
    ...hashOneFiles(),
    ...md5Files(),
    ...polyFiles(),
    ...sha1Files(),
    ...sha2Files(),
  ]
}

/** Writes the generated files that are missing or not current; returns their names. */
export function generateAll(): string[] {
  mkdirSync(generatedFolder, { recursive: true })
  const stale = generatedFiles().filter(({ name, text }) => readText(generatedFolder + name) !== text)
  for (const { name, text } of stale) writeFileSync(generatedFolder + name, text)
  return stale.map(({ name }) => name)
}

/** The text of a file, or undefined where there is none. */
function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(generateAll().join('\n'))
