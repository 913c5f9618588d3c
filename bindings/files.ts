// Files of the configuration, and the one rule for secrets: nobody else may read or change them.

import { closeSync, constants, existsSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs'
import type { StoreFiles } from '../control/ports.ts'
import { removeFile, writeWhole } from './write-file.ts'

const FORBIDDEN_MODE = 0o137 // write or execute by the group, anything by others
const OPEN_MODE = constants.O_RDONLY | constants.O_NONBLOCK // a FIFO in the place of a file must not hang us
const LARGEST = 16 * 1024 * 1024

export class SystemFiles implements StoreFiles {
  read(path: string): Uint8Array {
    const fd = openSync(path, OPEN_MODE)
    try {
      return readAll(fd, path)
    } finally {
      closeSync(fd)
    }
  }

  /** The check and the read use one descriptor: the file cannot be exchanged between them. */
  readSecret(path: string): Uint8Array {
    const fd = openSync(path, OPEN_MODE)
    try {
      refuseOpenSecret(fd, path)
      return readAll(fd, path)
    } finally {
      closeSync(fd)
    }
  }

  list(directory: string): string[] {
    return readdirSync(directory).sort()
  }

  exists(path: string): boolean {
    return existsSync(path)
  }

  write(path: string, content: Uint8Array): void {
    writeWhole(path, content, false)
  }

  create(path: string, content: Uint8Array): void {
    writeWhole(path, content, true)
  }

  remove(path: string): void {
    removeFile(path)
  }
}

function refuseOpenSecret(fd: number, path: string): void {
  const { uid, mode } = fstatSync(fd)
  const self = process.getuid?.() ?? 0
  if (uid !== 0 && uid !== self)
    throw new Error(
      `${path} belongs to user ${uid}: a secret must belong to root or to user ${self} (chown root ${path})`,
    )
  if ((mode & FORBIDDEN_MODE) !== 0)
    throw new Error(
      `${path} has mode ${(mode & 0o7777).toString(8).padStart(4, '0')}: a secret allows 0600 or 0640 (chmod 600 ${path})`,
    )
}

/** Reads into a buffer of its own, never Node's pool: the content may be a key. */
function readAll(fd: number, path: string): Uint8Array {
  const stat = fstatSync(fd)
  if (!stat.isFile()) throw new Error(`${path} is not a regular file`)
  if (stat.size > LARGEST) throw new Error(`${path} has ${stat.size} bytes: at most ${LARGEST} are read`)
  const bytes = new Uint8Array(stat.size)
  let length = 0
  while (length < bytes.length) {
    const count = readSync(fd, bytes, length, bytes.length - length, length)
    if (count === 0) break
    length += count
  }
  if (length === bytes.length) return bytes
  const short = bytes.slice(0, length)
  bytes.fill(0)
  return short
}
