// PKCS#12 files (RFC 7292): the one thing that node-forge is used for, and loaded only then. It opens the container;
// keys and certificates leave it as the bytes that were in the file, to be judged by control/pki and node:crypto.
//
// forge works on strings, so passphrase and key stand in memory that cannot be wiped until this process ends.

import { createPrivateKey, type KeyObject } from 'node:crypto'
import type { Bag, Pfx } from 'node-forge'
import { type Result, refuse } from '../pki/reasons.ts'
import type { Pkcs12 } from '../pki/store-write.ts'
import { equalBytes } from '../wire/bytes.ts'

type Forge = typeof import('node-forge').default

/** Key and certificates of a file. passphrase: UTF-8 without line end; empty where the file has none. */
export async function readPkcs12(
  content: Uint8Array,
  passphrase: Uint8Array,
  path: string,
): Promise<Result<Pkcs12>> {
  const { default: forge } = await import('node-forge')
  readNothing(forge)
  const opened = openContainer(forge, content, passphrase, path)
  if (!opened.ok) return opened
  const bags = opened.value.safeContents.flatMap(({ safeBags }) => safeBags)
  const { keyBag, pkcs8ShroudedKeyBag, certBag } = forge.pki.oids
  const keys = contentsOf(forge, bags, [keyBag, pkcs8ShroudedKeyBag])
  if (keys.length !== 1) return refuse('pkcs12-content', path, `${keys.length} private keys, not one`)
  const key = parseKey(keys[0])
  if (!key) return refuse('pkcs12-content', path, 'a private key of unknown kind')
  return { ok: true, value: { key, certificates: contentsOf(forge, bags, [certBag]) } }
}

/** forge keeps the bytes of what it cannot read. It shall read neither keys nor certificates: it would write others. */
function readNothing(forge: Forge): void {
  const refuseToRead = (): never => {
    throw new Error('read by node:crypto')
  }
  forge.pki.privateKeyFromAsn1 = refuseToRead
  forge.pki.certificateFromAsn1 = refuseToRead
}

/** forge tells a wrong passphrase from a broken file by its message alone. */
function openContainer(forge: Forge, content: Uint8Array, passphrase: Uint8Array, path: string): Result<Pfx> {
  try {
    const asn1 = forge.asn1.fromDer(Buffer.from(content).toString('latin1'))
    const value = forge.pkcs12.pkcs12FromAsn1(asn1, false, Buffer.from(passphrase).toString('utf8'))
    return { ok: true, value }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const isPassphrase = /password|decrypt/i.test(message)
    return refuse(isPassphrase ? 'pkcs12-passphrase' : 'pkcs12-content', path, message.split('\n')[0])
  }
}

/** DER in the bags of the types, each once. */
function contentsOf(forge: Forge, bags: Bag[], types: string[]): Uint8Array[] {
  const list = bags
    .filter(({ type, asn1 }) => types.includes(type) && asn1)
    .map(({ asn1 }) => new Uint8Array(Buffer.from(forge.asn1.toDer(asn1!).getBytes(), 'latin1')))
  return list.filter((each, index) => list.findIndex((other) => equalBytes(each, other)) === index)
}

function parseKey(pkcs8: Uint8Array): KeyObject | null {
  const key = Buffer.from(pkcs8.buffer, pkcs8.byteOffset, pkcs8.byteLength)
  try {
    return createPrivateKey({ key, format: 'der', type: 'pkcs8' })
  } catch {
    return null // OpenSSL says no in exceptions
  } finally {
    pkcs8.fill(0)
  }
}
