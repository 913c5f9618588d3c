// The other end of the control socket: one command, one answer.

import { connect } from 'node:net'
import type { Answer } from './exec.ts'
import { LONGEST_ANSWER, readAnswer } from './protocol.ts'

/** No gateway at the socket: exit code 4. */
export class NoGatewayError extends Error {}

/** Sends one command line. Rejects with NoGatewayError when nobody listens, with a sentence when the answer does not come. */
export function ask(path: string, command: string, timeoutMs = 30_000): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const socket = connect(path)
  const chunks: Buffer[] = []
  let size = 0
  socket.setTimeout(timeoutMs, () => reject(new Error(`the gateway at ${path} does not answer`)))
  socket.on('error', (error: NodeJS.ErrnoException) => reject(connectFailure(path, error)))
  socket.on('connect', () => socket.write(`${JSON.stringify({ id: 1, command })}\n`))
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    size += chunk.length
    if (size > LONGEST_ANSWER) reject(new Error('the answer is too long'))
    else if (chunk.at(-1) === 10) resolve(readAnswer(Buffer.concat(chunks).toString('utf8')))
  })
  socket.on('close', () =>
    reject(new Error(`the gateway at ${path} closed the connection without an answer`)),
  )
  return promise.finally(() => socket.destroy())
}

const ABSENT = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTSOCK', 'ENOTDIR'])

function connectFailure(path: string, error: NodeJS.ErrnoException): Error {
  if (ABSENT.has(error.code ?? ''))
    return new NoGatewayError(
      `no gateway at ${path}: start one with asegate run, or name its socket with --socket`,
    )
  if (error.code === 'EACCES')
    return new NoGatewayError(`${path} may be opened by its owner only: run as the user of the gateway`)
  return new Error(`cannot talk to the gateway at ${path}: ${error.message}`)
}
