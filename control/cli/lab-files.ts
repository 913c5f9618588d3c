// The files of the lab's gateways: configuration, secrets and certificates, each gateway's in a directory of its own.
//
// They lie in a memory file system or in memory; file names are relative to the configuration.

import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { storePaths } from '../pki/store.ts'
import { makeLabCertificates } from './lab-certificates.ts'
import type { Emit } from './lab-events.ts'
import type { LabPlan } from './lab-plan.ts'

export const CONFIG_FILE = 'gateway.conf'

/** Content by file name, by gateway. */
export type LabFiles = Map<string, Map<string, string>>

/** Makes keys, certificates and secrets anew and writes the configurations around them. */
export async function makeFiles(plan: LabPlan, emit: Emit): Promise<LabFiles> {
  const files: LabFiles = new Map()
  for (const { name, config } of plan.gateways) files.set(name, new Map([[CONFIG_FILE, config]]))
  addSecrets(plan, files, emit)
  await addCertificates(plan, files, emit)
  return files
}

/** Writes one gateway's files below a directory, readable by their owner only; returns the configuration's path. */
export function writeFiles(directory: string, files: Map<string, string>): string {
  for (const [name, content] of files) {
    const path = join(directory, name)
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    writeFileSync(path, content, { mode: 0o600 })
  }
  return join(directory, CONFIG_FILE)
}

/** Hexadecimal text: a preshared key of that many random bits, or a key of exactly that many bytes. */
function addSecrets(plan: LabPlan, files: LabFiles, emit: Emit): void {
  for (const { file, bytes, of } of plan.secrets) {
    const secret = randomBytes(bytes).toString('hex')
    for (const gateway of of) files.get(gateway)!.set(file, secret)
    emit({ kind: 'step', title: 'secret', text: `${file}: ${bytes * 8} random bits for ${of.join(' and ')}` })
  }
}

async function addCertificates(plan: LabPlan, files: LabFiles, emit: Emit): Promise<void> {
  const wanted = plan.gateways.filter((gateway) => gateway.certificate !== null)
  if (wanted.length === 0) return
  const made = await makeLabCertificates(wanted.map(({ name, certificate }) => ({ name, ...certificate! })))
  emit({ kind: 'step', title: 'CA', text: made.authority.text })
  for (const { name, privateKey, certificate, text } of made.issued) {
    const own = files.get(name)!
    own.set(storePaths('pki', name).privateKey, privateKey)
    own.set(storePaths('pki', name).certificate, certificate)
    own.set(storePaths('pki', 'provider-ca').trust, made.authority.certificate)
    emit({ kind: 'step', title: name, text })
  }
}
