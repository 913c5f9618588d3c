/**
 * wycheproof/aes_cbc_pkcs5_test.json through the AES-CBC kernels. The PKCS #5 padding of these vectors is not
 * that of ESP; it is added and judged here, around the kernel.
 */
import type { CipherMessage } from '../kernel-jobs.ts'
import { compared, kernelBench } from './kernel-cases.ts'
import type { VectorKind, VectorResult } from './kind.ts'
import { hexBytes } from './rsp.ts'

type Test = { tcId: number; key: string; iv: string; msg: string; ct: string; result: string }
type WycheproofFile = { testGroups: { tests: Test[] }[] }

const BLOCK = 16

/** AES-CBC with PKCS #5 padding. */
export const wycheproofCbc: VectorKind = {
  name: 'wycheproof-aes-cbc',
  matches: (path, content) => path.endsWith('.json') && /"algorithm": ?"AES-CBC-PKCS5"/.test(content),
  run: (_path, content) =>
    (JSON.parse(content) as WycheproofFile).testGroups.flatMap(({ tests }) => tests.map(runTest)),
}

/** Valid: both directions must hold. Invalid: decryption must end in a refusal. */
function runTest(test: Test): VectorResult {
  const id = `tcId ${test.tcId}`
  const [key, iv, plain, ciphertext] = [test.key, test.iv, test.msg, test.ct].map(hexBytes)
  const opened = open({ key, iv, data: ciphertext })
  if (test.result !== 'valid') {
    if (opened === undefined) return { id, outcome: 'passed' }
    return { id, outcome: 'failed', note: 'an invalid ciphertext was accepted' }
  }
  if (opened === undefined) return { id, outcome: 'failed', note: 'a valid ciphertext was refused' }
  const decrypted = compared(id, opened, plain)
  if (decrypted.outcome === 'failed') return decrypted
  return compared(id, once('encrypt', { key, iv, data: pad(plain) }), ciphertext)
}

/** The plaintext without its padding, or undefined if the ciphertext or its padding is malformed. */
function open(message: CipherMessage): Uint8Array | undefined {
  if (message.data.length === 0 || message.data.length % BLOCK !== 0) return undefined
  const padded = once('decrypt', message)
  const count = padded[padded.length - 1]
  if (count < 1 || count > BLOCK) return undefined
  if (padded.subarray(-count).some((byte) => byte !== count)) return undefined
  return padded.subarray(0, -count)
}

/** PKCS #5 padding to whole blocks (RFC 8018 §6.1.1 with 16-byte blocks). */
function pad(plain: Uint8Array): Uint8Array {
  const count = BLOCK - (plain.length % BLOCK)
  const padded = new Uint8Array(plain.length + count).fill(count)
  padded.set(plain)
  return padded
}

/** One message through a kernel. */
function once(direction: 'encrypt' | 'decrypt', message: CipherMessage): Uint8Array {
  const bench = kernelBench()
  bench.clear()
  return bench.cipher(direction, [message])[0]
}
