// One connection of the control socket: lines in, answers out, one command at a time and in order.

import type { Socket } from 'node:net'
import type { Answer } from './exec.ts'
import { LONGEST_REQUEST, readRequest, writeAnswer } from './protocol.ts'

/** A connection that finishes no line within this time is closed, ms. */
const IDLE_MS = 60_000
/** Answers that the client does not take, bytes. */
const MAX_UNSENT = 16 * 1024 * 1024
const NEWLINE = 10

export class Session {
  readonly #socket: Socket
  readonly #command: (line: string) => Promise<Answer>
  readonly #refuse: (reason: string) => void
  readonly #timer: NodeJS.Timeout
  #rest: Buffer = Buffer.alloc(0)
  #working = false

  constructor(socket: Socket, command: (line: string) => Promise<Answer>, refuse: (reason: string) => void) {
    this.#socket = socket
    this.#command = command
    this.#refuse = refuse
    this.#timer = setTimeout(() => this.#end('timeout', 'no complete line within 60 s'), IDLE_MS).unref()
    socket.on('close', () => clearTimeout(this.#timer))
    socket.on('error', () => {}) // the client left: close follows
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
  }

  #receive(chunk: Buffer) {
    this.#timer.refresh()
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    if (!this.#working) void this.#work()
  }

  /** Nothing more is read while a command runs: what waits is bounded by the socket's buffer. */
  async #work() {
    this.#working = true
    this.#socket.pause()
    for (let line = this.#nextLine(); line !== null; line = this.#nextLine()) await this.#answer(line)
    this.#working = false
    this.#socket.resume()
  }

  /** The next complete line, null when there is none; a line that is too long ends the connection. */
  #nextLine(): string | null {
    const at = this.#rest.indexOf(NEWLINE)
    if ((at < 0 ? this.#rest.length : at) > LONGEST_REQUEST) {
      this.#end('too-long', `a line has at most ${LONGEST_REQUEST} bytes`)
      return null
    }
    if (at < 0) return null
    const line = this.#rest.toString('utf8', 0, at)
    this.#rest = this.#rest.subarray(at + 1)
    return line
  }

  async #answer(line: string) {
    if (line.trim() === '') return
    const read = readRequest(line)
    if (read.ok) return this.#write(writeAnswer(read.request.id, await this.#command(read.request.command)))
    this.#refuse('malformed')
    this.#write(writeAnswer(null, { ok: false, error: { code: 'usage', message: read.message } }))
  }

  #write(text: string) {
    if (this.#socket.writableLength > MAX_UNSENT) this.#socket.destroy()
    else if (this.#socket.writable) this.#socket.write(text)
  }

  #end(reason: string, message: string) {
    this.#refuse(reason)
    this.#rest = Buffer.alloc(0)
    this.#socket.removeAllListeners('data')
    this.#write(writeAnswer(null, { ok: false, error: { code: reason, message } }))
    this.#socket.destroySoon()
  }
}
