// Writes a file as a whole or not at all, readable for its owner alone.

import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'

const { O_CREAT, O_EXCL, O_WRONLY, O_NOFOLLOW, O_RDONLY, O_DIRECTORY } = constants
const FILE_MODE = 0o600
const DIRECTORY_MODE = 0o700
const STICKY = 0o1000
const OTHERS_WRITE = 0o002

/**
 * Temporary file in the same directory, fsync, then rename over `path`, or with `exclusive` a link, which fails where
 * something is. The directory is synced last: after a crash there is the old content or the new one.
 */
export function writeWhole(path: string, content: Uint8Array, exclusive: boolean): void {
  const directory = dirname(path)
  mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE })
  refuseOpenDirectory(directory)
  const temporary = join(directory, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`)
  writeNew(temporary, content)
  try {
    place(temporary, path, exclusive)
  } catch (error) {
    unlinkSync(temporary)
    throw error
  }
  syncDirectory(directory)
}

/** Removes a file for good: the directory is synced. */
export function removeFile(path: string): void {
  unlinkSync(path)
  syncDirectory(dirname(path))
}

function place(temporary: string, path: string, exclusive: boolean): void {
  if (exclusive) {
    linkSync(temporary, path)
    unlinkSync(temporary)
  } else renameSync(temporary, path)
}

/** Where anybody may write, anybody may exchange what we wrote; the sticky bit prevents it (/tmp). */
function refuseOpenDirectory(directory: string): void {
  const { mode } = statSync(directory)
  if ((mode & OTHERS_WRITE) === 0 || (mode & STICKY) !== 0) return
  throw new Error(`every user may write in the directory ${directory} (chmod o-w ${directory})`)
}

function writeNew(path: string, content: Uint8Array): void {
  const fd = openSync(path, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, FILE_MODE)
  try {
    fchmodSync(fd, FILE_MODE)
    for (let at = 0; at < content.length; ) at += writeSync(fd, content, at)
    fsyncSync(fd)
  } catch (error) {
    unlinkSync(path)
    throw error
  } finally {
    closeSync(fd)
  }
}

function syncDirectory(directory: string): void {
  const fd = openSync(directory, O_RDONLY | O_DIRECTORY)
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
