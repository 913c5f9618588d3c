// The control socket: a Unix stream socket that only its owner may open (0600), one JSON object a line.
//
// Whoever holds it may do what an operator may, so it is guarded by the file mode; the caps here keep a broken
// or hostile client of the same user from costing memory, descriptors or time: length of a line, connections at
// once; time to finish a line and answers not taken (session.ts).

import { chmodSync, existsSync, lstatSync, mkdirSync, unlinkSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import type { Answer } from './exec.ts'
import { Session } from './session.ts'

/** Connections at once. */
export const MAX_CONNECTIONS = 32

export type ControlServer = {
  /** requests refused, by reason */
  refused: Map<string, number>
  close(): Promise<void>
}

/**
 * Listens at `path`; a stale socket file of a dead gateway is replaced. Throws a sentence when a living gateway
 * holds it, when the path is no socket, or when the directory may not be written.
 */
export async function startServer(
  path: string,
  command: (line: string) => Promise<Answer>,
): Promise<ControlServer> {
  await claim(path)
  const refused = new Map<string, number>()
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    new Session(socket, command, (reason) => refused.set(reason, (refused.get(reason) ?? 0) + 1))
  })
  server.maxConnections = MAX_CONNECTIONS
  server.on('drop', () => refused.set('connections', (refused.get('connections') ?? 0) + 1))
  await listen(server, path)
  return { refused, close: () => close(server, sockets, path) }
}

/** The mode is set while nobody can connect yet: the umask holds until chmod has run. */
async function listen(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const umask = process.umask(0o177)
  try {
    server.once('error', reject)
    server.listen(path, resolve)
  } finally {
    process.umask(umask)
  }
  await promise
  chmodSync(path, 0o600)
  server.on('error', () => {}) // EMFILE on accept: the next connection may do
}

async function claim(path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
  if (!existsSync(path)) return
  if (!lstatSync(path).isSocket())
    throw new Error(`${path} exists and is no socket: name another with --socket`)
  if (await answers(path))
    throw new Error(`another gateway runs at ${path}: stop it or name another with --socket`)
  unlinkSync(path)
}

function answers(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const probe = connect(path)
  probe.on('connect', () => resolve(true))
  probe.on('error', () => resolve(false))
  return promise.finally(() => probe.destroy())
}

async function close(server: Server, sockets: Set<Socket>, path: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  server.close(() => resolve())
  for (const socket of sockets) socket.destroy()
  await promise
  if (existsSync(path) && lstatSync(path).isSocket()) unlinkSync(path)
}
