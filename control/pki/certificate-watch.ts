// The certificates that a running gateway uses, as its alarms and metrics see them: what expires, and what is not
// there. Files are read again from time to time, so that an import is noticed without a reload.

import type { CertificateFacts, PkiFacts } from '../config/certificates.ts'
import type { Config } from '../config/model.ts'
import type { AlarmKind } from '../tunnel/alarms.ts'

/** How often the store is read, ms. */
export const LOOK_MS = 60_000
const DAY = 86_400_000

/** One identity or trust that an IKE policy names. facts: own certificate first; a string: why there is none. */
export type UsedCertificate = {
  use: 'identity' | 'trust'
  name: string
  facts: CertificateFacts[] | string
}

export type CertificateFault = { key: string; kind: AlarmKind; cause: string }

export class CertificateWatch {
  readonly #pki: PkiFacts
  #used: UsedCertificate[] = []
  #config: Config | null = null
  #lookAt = Number.NEGATIVE_INFINITY

  constructor(pki: PkiFacts) {
    this.#pki = pki
  }

  /** What the configuration uses; read again when it changed or some time has passed. */
  used(config: Config, now: number): UsedCertificate[] {
    if (config === this.#config && now < this.#lookAt) return this.#used
    this.#config = config
    this.#lookAt = now + LOOK_MS
    this.#used = (['identity', 'trust'] as const).flatMap((use) =>
      namesOf(config, use).map((name) => ({ use, name, facts: this.#pki[use](config.pki, name) })),
    )
    return this.#used
  }

  faults(config: Config, now: number, wall: number): CertificateFault[] {
    return this.used(config, now).flatMap((used) => faultsOf(used, config.pki.expiryWarningDays * DAY, wall))
  }
}

/** Each name once. A policy names an identity even where it does not sign with it: then it does not count. */
function namesOf(config: Config, use: 'identity' | 'trust'): string[] {
  const used = [...config.ikePolicies.values()].flatMap((policy) => {
    const auth = use === 'identity' ? policy.localAuth : policy.remoteAuth
    const name = policy[use]
    return name === undefined || auth === 'pre-shared-key' ? [] : [name]
  })
  return [...new Set(used)]
}

function faultsOf({ use, name, facts }: UsedCertificate, warning: number, wall: number): CertificateFault[] {
  const who = `${use} ${name}`
  if (typeof facts === 'string' || facts.length === 0) {
    const why = typeof facts === 'string' ? facts : 'no certificate can be read'
    return [{ key: `no-cert ${who}`, kind: 'no-cert', cause: `${who}: ${why}` }]
  }
  return facts.flatMap((each) => faultOf(who, each, warning, wall))
}

function faultOf(who: string, facts: CertificateFacts, warning: number, wall: number): CertificateFault[] {
  const { subject, notBefore, notAfter } = facts
  const says = (kind: AlarmKind, what: string) => [
    { key: `${kind} ${who} ${subject}`, kind, cause: `${who}: the certificate ${subject} ${what}; ${DO}` },
  ]
  if (wall > notAfter) return says('no-cert', `has expired on ${day(notAfter)}`)
  if (wall < notBefore) return says('no-cert', `is not valid before ${day(notBefore)}`)
  return notAfter - wall < warning ? says('cert-expiry', `expires on ${day(notAfter)}`) : []
}

const DO = 'import a new one and commit the configuration again'
const day = (time: number) => new Date(time).toISOString().slice(0, 10)
