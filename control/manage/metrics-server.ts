// The HTTP socket of `management > metrics ADDR port INT`: read only, without secrets, and bounded: few connections,
// short headers, no bodies. Where the address cannot be bound (yet), it is tried again.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Endpoint } from '../ports.ts'
import type { Page } from './health.ts'

const MAX_CONNECTIONS = 16
const MAX_HEADER_BYTES = 8 * 1024
const HEADERS_MS = 5_000
const REQUEST_MS = 10_000
const RETRY_MS = 5_000

export type MetricsServer = {
  /** listens there from now on; null: nowhere */
  set(endpoint: Endpoint | null): void
  close(): Promise<void>
}

/** `pageFor` answers a path; `said` hears in one sentence that the address could be bound, or not. */
export function createMetricsServer(
  pageFor: (path: string) => Page | null,
  said: (level: 'info' | 'warning', message: string) => void,
): MetricsServer {
  return new Listener(pageFor, said)
}

class Listener implements MetricsServer {
  readonly #pageFor: (path: string) => Page | null
  readonly #said: (level: 'info' | 'warning', message: string) => void
  #endpoint: Endpoint | null = null
  #server: Server | null = null
  #retry: NodeJS.Timeout | null = null
  #complained = false

  constructor(
    pageFor: (path: string) => Page | null,
    said: (level: 'info' | 'warning', message: string) => void,
  ) {
    this.#pageFor = pageFor
    this.#said = said
  }

  set(endpoint: Endpoint | null) {
    if (endpoint?.address === this.#endpoint?.address && endpoint?.port === this.#endpoint?.port) return
    this.#endpoint = endpoint
    this.#complained = false
    void this.#stop().then(() => this.#start())
  }

  async close(): Promise<void> {
    this.#endpoint = null
    await this.#stop()
  }

  #start() {
    if (this.#endpoint === null || this.#server !== null) return
    const { address, port } = this.#endpoint
    const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, (request, response) =>
      this.#answer(request, response),
    )
    Object.assign(server, { headersTimeout: HEADERS_MS, requestTimeout: REQUEST_MS })
    server.maxConnections = MAX_CONNECTIONS
    server.on('error', (error) => this.#failed(server, error))
    server.listen(port, address, () =>
      this.#said('info', `metrics at http://${host(address)}:${port}/metrics`),
    )
    this.#server = server
  }

  /** Said once: the address may belong to a device or tunnel that comes later. */
  #failed(server: Server, error: Error) {
    if (server !== this.#server || server.listening) return
    this.#server = null
    if (!this.#complained) this.#said('warning', `metrics cannot be served: ${error.message}; trying again`)
    this.#complained = true
    this.#retry = setTimeout(() => this.#start(), RETRY_MS).unref()
  }

  async #stop(): Promise<void> {
    if (this.#retry !== null) clearTimeout(this.#retry)
    const server = this.#server
    this.#server = null
    if (server === null) return
    const { promise, resolve } = Promise.withResolvers<void>()
    server.close(() => resolve())
    server.closeAllConnections()
    await promise
  }

  #answer(request: IncomingMessage, response: ServerResponse) {
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    const page = isRead ? this.#pageFor(pathOf(request)) : METHOD
    const { status, type, body } = page ?? NOT_FOUND
    response.writeHead(status, {
      'Content-Type': type,
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      ...(isRead ? {} : { Allow: 'GET, HEAD', Connection: 'close' }),
    })
    response.end(request.method === 'HEAD' ? undefined : body)
  }
}

const TEXT = 'text/plain; charset=utf-8'
const NOT_FOUND: Page = {
  status: 404,
  type: TEXT,
  body: 'there are /metrics, /healthz and /readyz\n',
}
const METHOD: Page = { status: 405, type: TEXT, body: 'this can only be read\n' }

/** The path without its query; what follows is never looked at. */
function pathOf({ url }: IncomingMessage): string {
  return (url ?? '').split('?', 1)[0]
}

function host(address: string): string {
  return address.includes(':') ? `[${address}]` : address
}
