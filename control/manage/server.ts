// The control socket: a Unix stream socket that only its owner may open (0600), one JSON object a line.
//
// Whoever holds it may do what an operator may, so it is guarded by the file mode; the caps here keep a broken
// or hostile client of the same user from costing memory, descriptors or time: length of a line, connections at
// once, time to finish a line, commands under way per connection.

import { chmodSync, existsSync, lstatSync, mkdirSync, unlinkSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import type { Answer } from './exec.ts'
import { LONGEST_REQUEST, readRequest, writeAnswer } from './protocol.ts'

/** Caps. Times in ms. */
export const MAX_CONNECTIONS = 32
const IDLE_MS = 60_000
const MAX_UNDER_WAY = 4
const MAX_UNSENT = 16 * 1024 * 1024

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
    serve(socket, command, (reason) => refused.set(reason, (refused.get(reason) ?? 0) + 1))
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

/** Lines in, answers out, in the order of the answers; a line too long ends the connection. */
function serve(socket: Socket, command: (line: string) => Promise<Answer>, refuse: (reason: string) => void) {
  let rest: Buffer = Buffer.alloc(0)
  let underWay = 0
  socket.on('error', () => {})
  const timer = setTimeout(() => end('timeout', 'no complete line within 60 s'), IDLE_MS)
  timer.unref()
  socket.on('close', () => clearTimeout(timer))

  const answer = (text: string) => {
    if (socket.writableLength > MAX_UNSENT) socket.destroy()
    else if (socket.writable) socket.write(text)
  }
  const end = (reason: string, message: string) => {
    refuse(reason)
    answer(writeAnswer(null, { ok: false, error: { code: reason, message } }))
    socket.destroySoon()
  }
  const run = async (line: string) => {
    const read = readRequest(line)
    if (!read.ok) {
      refuse('malformed')
      return answer(writeAnswer(null, { ok: false, error: { code: 'usage', message: read.message } }))
    }
    underWay += 1
    if (underWay >= MAX_UNDER_WAY) socket.pause()
    const result = await command(read.request.command)
    answer(writeAnswer(read.request.id, result))
    underWay -= 1
    if (underWay < MAX_UNDER_WAY) socket.resume()
  }

  socket.on('data', (chunk: Buffer) => {
    timer.refresh()
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    for (let at = rest.indexOf(10); at >= 0; at = rest.indexOf(10)) {
      const line = rest.subarray(0, at)
      rest = rest.subarray(at + 1)
      if (line.length > LONGEST_REQUEST) return end('too-long', `a line has at most ${LONGEST_REQUEST} bytes`)
      if (line.length > 0) void run(line.toString('utf8'))
    }
    if (rest.length > LONGEST_REQUEST) end('too-long', `a line has at most ${LONGEST_REQUEST} bytes`)
  })
}
