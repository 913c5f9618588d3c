// Why a negotiation ended as it did: a Report is data, and this file turns it into words, once.
//
// One report reads the same in the log line, in `show tunnel ipsec NAME detail` and in JSON: what failed,
// what the peer offered, what we allow, which values differ, what to do.

import type { Endpoint } from './ports.ts'
import type { Reason, Report } from './sa/contract.ts'

/** What each tunnel reason means and what the operator can do about it. */
export const REASONS: Record<Reason, { meaning: string; advice: string }> = {
  'no-route': {
    meaning: 'the host has no route to the peer',
    advice: 'add a route to the remote end point; the tunnel is tried again by itself',
  },
  'recursive-route': {
    meaning: 'the route to the peer leads into the tunnel itself',
    advice: 'add a more specific route to the remote end point outside the tunnel',
  },
  'no-asp': {
    meaning: 'no ASP of the tunnel’s group is up, or the card refused the SA',
    advice: 'see show asp and the log',
  },
  'not-bound': {
    meaning: 'the circuit tunnel has no interface',
    advice: 'add bind interface NAME CONTEXT',
  },
  'no-answer': {
    meaning: 'the peer does not answer',
    advice: 'check its address, that it runs, and that UDP 500 and 4500 pass both ways',
  },
  'no-proposal': {
    meaning: 'both ends share no proposal',
    advice: 'make one proposal equal at both ends',
  },
  'auth-failed': {
    meaning: 'authentication failed',
    advice: 'compare pre-shared keys or certificates, and the identities of both ends',
  },
  'ts-unacceptable': {
    meaning: 'the traffic selectors share nothing',
    advice: 'make traffic-selector local and remote mirror the peer’s',
  },
  'no-certificate': {
    meaning: 'no usable certificate',
    advice: 'check identity, trust and validity dates',
  },
  'peer-dead': { meaning: 'the peer stopped answering', advice: 'the tunnel is tried again by itself' },
  expired: { meaning: 'the SA reached its hard lifetime', advice: 'the tunnel is tried again by itself' },
  cleared: { meaning: 'cleared by the operator', advice: 'a new negotiation follows' },
  shutdown: { meaning: 'shut down by configuration or stop', advice: 'remove shutdown to start it' },
  'peer-deleted': { meaning: 'the peer deleted the SA', advice: 'see the peer’s log' },
}

const IPV6 = /:/

/** `198.51.100.1:500`, `[2001:db8::1]:500`; without port when it is 0. */
export function renderEndpoint(end: Endpoint): string {
  if (end.port === 0) return end.address
  return IPV6.test(end.address) ? `[${end.address}]:${end.port}` : `${end.address}:${end.port}`
}

/** `0xc0ffee01`, eight digits. */
export function hexSpi(spi: number): string {
  return `0x${(spi >>> 0).toString(16).padStart(8, '0')}`
}

/** The report as one sentence chain on one line; strings are not yet escaped (the log does that). */
export function renderReport(report: Report): string {
  const parts = [report.text]
  if (report.peer) parts.push(`peer ${renderEndpoint(report.peer)}`)
  parts.push(...renderDifference(report))
  if (report.advice) parts.push(`do: ${report.advice}`)
  return parts.join('; ')
}

/** `offered …`, `allowed …`; and where the sentence does not explain it already, the values that differ. */
function renderDifference(report: Report): string[] {
  const offered = report.offered ?? []
  const allowed = report.allowed ?? []
  const parts: string[] = []
  if (report.offered) parts.push(`peer offered ${listOrNone(offered)}`)
  if (report.allowed) parts.push(`allowed here ${listOrNone(allowed)}`)
  const differing = report.explanation === undefined ? differingFields(offered, allowed) : []
  if (differing.length > 0) parts.push(`differs in ${differing.join(', ')}`)
  return parts
}

function listOrNone(items: string[]): string {
  return items.length === 0 ? 'nothing' : items.join(' | ')
}

/**
 * Words of the closest pair of proposals that do not match: `aes-128 sha1 group 2` against
 * `aes-128 sha1 group 14` gives `2 ≠ 14`. Empty when a list is empty or the shapes do not compare.
 */
export function differingFields(offered: string[], allowed: string[]): string[] {
  let best: string[] | null = null
  for (const offer of offered.map(words)) {
    for (const ours of allowed.map(words)) {
      if (offer.length !== ours.length) continue
      const differing = offer.flatMap((word, i) => (word === ours[i] ? [] : [`${word} ≠ ${ours[i]}`]))
      if (best === null || differing.length < best.length) best = differing
    }
  }
  return best ?? []
}

function words(proposal: string): string[] {
  return proposal.split(/[\s,/]+/).filter((word) => word !== '')
}

/** The report for JSON and `detail`: no undefined members, the line rendered along. */
export function reportData(report: Report): Record<string, unknown> {
  return {
    level: report.level,
    code: report.code,
    text: report.text,
    offered: report.offered ?? [],
    allowed: report.allowed ?? [],
    differs: differingFields(report.offered ?? [], report.allowed ?? []),
    peer: report.peer === undefined ? null : renderEndpoint(report.peer),
    explanation: report.explanation ?? null,
    advice: report.advice ?? null,
    line: renderReport(report),
  }
}
