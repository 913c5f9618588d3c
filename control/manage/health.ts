// What a supervisor may ask over HTTP: /metrics, /healthz, /readyz. Answers only; the socket is metrics-server.ts.

import type { Gateway } from '../gateway.ts'
import { CONTENT_TYPE, exposition } from './exposition.ts'
import { gatewayMetrics } from './metrics.ts'
import { compatMetrics } from './metrics-compat.ts'

export type Page = { status: number; type: string; body: string }

const TEXT = 'text/plain; charset=utf-8'

/** The page for a path; null: there is none. */
export function pageFor(gateway: Gateway | null, path: string): Page | null {
  if (path === '/healthz') return { status: 200, type: TEXT, body: 'ok\n' }
  if (path === '/readyz') return readiness(gateway)
  if (path !== '/metrics') return null
  if (gateway === null) return { status: 503, type: TEXT, body: 'starting\n' }
  const body = exposition([...gatewayMetrics(gateway), ...compatMetrics(gateway)])
  return { status: 200, type: CONTENT_TYPE, body }
}

/** Ready: a configuration is committed and packets can be worked on. A peer that is away does not count. */
function readiness(gateway: Gateway | null): Page {
  if (gateway === null || gateway.startedAt === null) return { status: 503, type: TEXT, body: 'starting\n' }
  const isUp = gateway.ports.card.asps().some(({ state }) => state === 'up')
  return isUp
    ? { status: 200, type: TEXT, body: 'ready\n' }
    : { status: 503, type: TEXT, body: 'no ASP is up\n' }
}
