// A file over TCP between two network namespaces: two processes, and what arrived compared with what was sent.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export type TransferEnds = { from: string; to: string }

const LIMIT = 15000 // ms

const RECEIVER = `const [, host] = process.argv
const hash = require('node:crypto').createHash('sha256')
const server = require('node:net').createServer((socket) => {
  socket.on('data', (data) => hash.update(data))
  socket.on('end', () => { console.log(hash.digest('hex')); socket.end(); server.close() })
})
server.listen(7000, host, () => console.log('listening'))`

const SENDER = `const [, host, localAddress, bytes] = process.argv
const data = require('node:crypto').randomBytes(Number(bytes))
console.log(require('node:crypto').createHash('sha256').update(data).digest('hex'))
require('node:net').connect({ host, port: 7000, localAddress }).end(data).resume()`

/**
 * Sends `bytes` random bytes from an address in the namespace of process `from` to one in that of `to`. Whether they
 * arrived, all and unchanged; false after 15 seconds.
 */
export async function transfer(
  from: number,
  to: number,
  ends: TransferEnds,
  bytes: number,
): Promise<boolean> {
  const receiver = start(to, RECEIVER, [ends.to])
  const arrived = linesOf(receiver)
  assert.equal((await arrived.next()).value, 'listening')
  const sender = start(from, SENDER, [ends.to, ends.from, String(bytes)])
  const end = () => {
    for (const child of [sender, receiver]) child.kill('SIGKILL')
  }
  const late = setTimeout(end, LIMIT)
  const [sent, received] = await Promise.all([linesOf(sender).next(), arrived.next()])
  clearTimeout(late)
  end() // the tunnel may go before TCP has said good-bye, and they would wait for it for minutes
  return typeof sent.value === 'string' && sent.value === received.value
}

function start(namespace: number, script: string, args: string[]): ChildProcess {
  const command = ['--target', String(namespace), '--net', process.execPath, '-e', script, ...args]
  return spawn('nsenter', command, { stdio: ['ignore', 'pipe', 'inherit'] })
}

const linesOf = (child: ChildProcess) => createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
