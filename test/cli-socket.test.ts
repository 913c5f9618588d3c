// The control socket against clients that mean harm or make mistakes, and its client against servers that do.

import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { ask, NoGatewayError } from '../control/manage/client.ts'
import { LONGEST_REQUEST, readRequest } from '../control/manage/protocol.ts'
import { MAX_CONNECTIONS, startServer } from '../control/manage/server.ts'

const FOLDER = mkdtempSync(join(tmpdir(), 'asegate-socket-'))
after(() => rmSync(FOLDER, { recursive: true, force: true }))
let count = 0
const freshPath = () => join(FOLDER, `${++count}.sock`)
const echo = async (line: string) => ({ ok: true as const, data: line })

async function serving(run: (path: string, refused: Map<string, number>) => Promise<void>, command = echo) {
  const path = freshPath()
  const server = await startServer(path, command)
  try {
    await run(path, server.refused)
  } finally {
    await server.close()
  }
  assert.ok(!existsSync(path), 'the socket file is gone')
}

/** Sends raw bytes, resolves with everything that came until the server closed or `lines` lines were there. */
function raw(path: string, bytes: string | Buffer, lines = Number.POSITIVE_INFINITY): Promise<string[]> {
  const { promise, resolve } = Promise.withResolvers<string[]>()
  const socket: Socket = connect(path, () => socket.write(bytes))
  let text = ''
  const done = () => resolve(text.split('\n').filter((line) => line !== ''))
  socket.on('data', (chunk) => {
    text += chunk
    if (text.split('\n').length > lines) socket.destroy()
  })
  socket.on('error', () => {})
  socket.on('close', done)
  return promise
}

describe('the control socket (security M1)', () => {
  test('belongs to its owner alone', () =>
    serving(async (path) => assert.equal(statSync(path).mode & 0o777, 0o600)))

  test('answers with the id of the request', () =>
    serving(async (path) => {
      const [line] = await raw(path, '{"id":"x1","command":"show ike sa"}\n', 1)
      assert.deepEqual(JSON.parse(line), { id: 'x1', ok: true, data: 'show ike sa' })
      assert.deepEqual(await ask(path, 'show asp'), { ok: true, data: 'show asp' })
    }))

  test('answers many lines of one connection, and lines in pieces', () =>
    serving(async (path) => {
      const line = (id: number) => `{"id":${id},"command":"c"}\n`
      const many = Array.from({ length: 50 }, (_, id) => line(id)).join('')
      const answers = (await raw(path, many, 50)).map((text) => JSON.parse(text).id)
      assert.deepEqual(
        answers.sort((a, b) => a - b),
        Array.from({ length: 50 }, (_, id) => id),
      )
    }))

  test('refuses a line that is too long without keeping it', () =>
    serving(async (path, refused) => {
      const before = process.memoryUsage().rss
      const [line] = await raw(path, Buffer.alloc(32 * 1024 * 1024, 97))
      assert.equal(JSON.parse(line).error.code, 'too-long')
      assert.equal(refused.get('too-long'), 1)
      assert.ok(process.memoryUsage().rss - before < 100 * 1024 * 1024)
    }))

  test('refuses what is no request and goes on', () =>
    serving(async (path, refused) => {
      const bad = ['{', '[]', 'null', '7', '{"id":1}', '{"command":["show"]}', '{"command":null}']
      const answers = await raw(path, `${bad.join('\n')}\n{"id":9,"command":"after"}\n`, 8)
      const parsed = answers.map((line) => JSON.parse(line))
      assert.equal(parsed.filter(({ ok }) => !ok).length, 7)
      assert.equal(parsed.find(({ id }) => id === 9).data, 'after')
      assert.equal(refused.get('malformed'), 7)
    }))

  test('__proto__ and constructor are only text', () =>
    serving(async (path) => {
      const hostile =
        '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"id":1,"command":"x"}\n'
      await raw(path, hostile, 1)
      assert.equal(({} as Record<string, unknown>).polluted, undefined)
      assert.equal(readRequest('{"__proto__":{"command":"show asp"}}').ok, false)
      assert.equal(readRequest(`{"id":${'9'.repeat(400)},"command":"c"}`).ok, true)
    }))

  test('survives half a line and a client that leaves', () =>
    serving(async (path) => {
      const socket = connect(path)
      socket.write('{"id":1,"comm')
      await new Promise((resolve) => setTimeout(resolve, 20))
      socket.destroy()
      assert.deepEqual(await ask(path, 'still here'), { ok: true, data: 'still here' })
    }))

  test('holds a bounded number of connections', () =>
    serving(async (path, refused) => {
      const open = await Promise.all(Array.from({ length: MAX_CONNECTIONS }, () => opened(path)))
      assert.deepEqual(await raw(path, '{"command":"x"}\n', 1), [])
      assert.ok((refused.get('connections') ?? 0) >= 1)
      for (const socket of open) socket.destroy()
      const again = () =>
        ask(path, 'room again').then(
          ({ ok }) => ok,
          () => false,
        )
      for (const end = Date.now() + 30_000; !(await again()); ) assert.ok(Date.now() < end, 'no room again')
    }))

  test('a command that fails is an answer', () =>
    serving(
      async (path) => assert.equal((await ask(path, 'x')).ok, false),
      async () => ({ ok: false, error: { code: 'failed', message: 'no' } }) as never,
    ))

  test('is not taken from a living gateway, but from a dead one', async () => {
    const path = freshPath()
    const first = await startServer(path, echo)
    await assert.rejects(startServer(path, echo), /another gateway runs at/)
    await first.close()
    const stale = createServer().listen(path)
    await new Promise((resolve) => stale.once('listening', resolve))
    ;(stale as unknown as { _handle: { unref(): void } })._handle.unref()
    stale.close()
    writeFileSync(join(FOLDER, 'plain'), 'a file')
    await assert.rejects(startServer(join(FOLDER, 'plain'), echo), /is no socket/)
  })
})

function opened(path: string): Promise<Socket> {
  const { promise, resolve } = Promise.withResolvers<Socket>()
  const socket = connect(path, () => resolve(socket))
  socket.on('error', () => {})
  return promise
}

describe('its client', () => {
  test('nobody there, a plain file, no permission: no gateway', async () => {
    await assert.rejects(ask(join(FOLDER, 'nothing.sock'), 'x'), NoGatewayError)
    const plain = join(FOLDER, 'plain.sock')
    writeFileSync(plain, '')
    chmodSync(plain, 0o600)
    await assert.rejects(ask(plain, 'x'), NoGatewayError)
  })

  const replying = async (reply: (socket: Socket) => void, run: (path: string) => Promise<void>) => {
    const path = freshPath()
    const server = createServer((socket) => {
      socket.on('error', () => {})
      reply(socket)
    })
    await new Promise<void>((resolve) => server.listen(path, resolve))
    await run(path)
    server.close()
  }

  test('an answer that is no JSON, no answer, silence', async () => {
    await replying(
      (socket) => socket.write('nonsense\n'),
      async (path) => {
        const answer = await ask(path, 'x')
        assert.equal(answer.ok, false)
      },
    )
    await replying(
      (socket) => socket.end(),
      async (path) => {
        await assert.rejects(ask(path, 'x'), /without an answer/)
      },
    )
    await replying(
      () => {},
      async (path) => {
        await assert.rejects(ask(path, 'x', 100), /does not answer/)
      },
    )
  })

  test('a request never exceeds what the server takes', () => {
    assert.ok(JSON.stringify({ id: 1, command: 'x'.repeat(4000) }).length < LONGEST_REQUEST)
  })
})
