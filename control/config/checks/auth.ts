// `auth`, `cert-expiry` and the gates of keys: what a policy proves itself with is there, private and strong enough.

import type { CertificateFacts, PkiFacts } from '../certificates.ts'
import { LEAST_PSK } from '../gates.ts'
import type { Config, IkePolicy, SecretSource } from '../model.ts'
import { secretBytes } from '../secrets.ts'
import { judgeGated } from './gates.ts'
import { type CheckContext, lineOf, whyUnreadable } from './report.ts'

const DAY = 86_400_000
const LEAST_RSA = 1024
const STRONG_RSA = 2048

export function checkAuth(context: CheckContext) {
  const { config } = context
  for (const policy of config.ikePolicies.values()) {
    checkPresent(context, policy)
    checkPsks(context, policy)
  }
  checkNamedFiles(context)
  checkCertificates(context)
  checkPrivateFile(context)
}

/** Each side that proves itself with X needs an X. */
function checkPresent({ error }: CheckContext, policy: IkePolicy) {
  const refuse = (statement: string, why: string) =>
    error(lineOf(policy, statement), 'auth', `ike policy ${policy.name}: ${why}`)
  for (const side of ['local', 'remote'] as const) {
    const auth = side === 'local' ? policy.localAuth : policy.remoteAuth
    if (auth === 'pre-shared-key' && policy.psk[side] === undefined)
      refuse(
        `${side}-auth`,
        `${side}-auth is pre-shared-key, but there is no key; add pre-shared-key file PATH`,
      )
  }
  if (policy.localAuth !== 'pre-shared-key' && policy.identity === undefined)
    refuse(
      'local-auth',
      `local-auth is ${policy.localAuth}, but there is no certificate of ours; add identity NAME`,
    )
  if (policy.remoteAuth !== 'pre-shared-key' && policy.trust === undefined)
    refuse(
      'remote-auth',
      `remote-auth is ${policy.remoteAuth}, but there is no CA to judge the peer by; add trust NAME`,
    )
}

function checkPsks(context: CheckContext, policy: IkePolicy) {
  const judged = new Set<number>()
  for (const side of ['local', 'remote'] as const) {
    const source = policy.psk[side]
    const line = lineOf(policy, `pre-shared-key ${side}`)
    if (source === undefined || judged.has(line)) continue
    judged.add(line)
    judgePsk(context, policy, source, line)
  }
}

function judgePsk(context: CheckContext, policy: IkePolicy, source: SecretSource, line: number) {
  const where = `ike policy ${policy.name}`
  const length = pskLength(context, source, line, where)
  if (length === null) return
  if (length === 0) return context.error(line, 'never', `${where}: the pre-shared key is empty`)
  if (length >= LEAST_PSK) return
  const item = `a pre-shared key under ${LEAST_PSK} bytes`
  judgeGated(context, { line, where, gate: 'legacy', item, better: '32 random bytes' })
}

function pskLength(
  { files, error }: CheckContext,
  source: SecretSource,
  line: number,
  where: string,
): number | null {
  try {
    const secret = secretBytes(source, files)
    const length = secret.length
    secret.fill(0)
    return length
  } catch (thrown) {
    const path = source.kind === 'file' ? source.path : undefined
    error(line, 'auth', `${where}: pre-shared key: ${whyUnreadable(files, path, thrown)}`)
    return null
  }
}

/** Files that `pki` statements name are there, and private keys are private. */
function checkNamedFiles({ config, files, error }: CheckContext) {
  const missing = (line: number, what: string, path: string) => {
    if (!files.exists(path)) error(line, 'auth', `${what}: no file ${path}`)
  }
  for (const [name, { path, line }] of config.pki.trust) missing(line, `pki trust ${name}`, path)
  for (const [name, { path, line }] of config.pki.crl) missing(line, `pki crl ${name}`, path)
  for (const [name, { key, certificate, line }] of config.pki.identity) {
    missing(line, `pki identity ${name}`, certificate)
    try {
      files.readSecret(key).fill(0)
    } catch (thrown) {
      error(line, 'auth', `pki identity ${name}: private key: ${whyUnreadable(files, key, thrown)}`)
    }
  }
}

/** What the store says about the identities and CAs that policies use. */
function checkCertificates(context: CheckContext) {
  const { config, environment, error } = context
  const { pki } = environment
  if (pki === undefined) return
  for (const kind of ['identity', 'trust'] as const) {
    for (const { line, name, where } of usedNames(config, kind)) {
      const facts = pki[kind](config.pki, name)
      if (typeof facts === 'string') error(line, 'auth', `${where}: ${facts}`)
      else for (const each of facts) judgeCertificate(context, each, line, `${where}: ${kind} ${name}`)
    }
  }
  checkCrls(context, pki)
}

/** Every CRL is read for every peer, so one that is unusable concerns them all. */
function checkCrls({ config, error }: CheckContext, pki: PkiFacts) {
  const fault = usedNames(config, 'trust').length === 0 ? null : pki.crlFault(config.pki)
  if (fault === null) return
  const lines = [...config.pki.crl.values()].map(({ line }) => line)
  error(lines[0] ?? usedNames(config, 'trust')[0].line, 'auth', fault)
}

function usedNames(config: Config, kind: 'identity' | 'trust') {
  return [...config.ikePolicies.values()].flatMap((policy) => {
    const name = policy[kind]
    return name === undefined
      ? []
      : [{ name, line: lineOf(policy, kind), where: `ike policy ${policy.name}` }]
  })
}

function judgeCertificate(context: CheckContext, facts: CertificateFacts, line: number, where: string) {
  const { rsaBits, signatureHash } = facts
  if (rsaBits !== null && rsaBits < LEAST_RSA)
    context.error(line, 'never', `${where}: an RSA key of ${rsaBits} bits is broken; make one of 3072`)
  else if (rsaBits !== null && rsaBits < STRONG_RSA)
    judgeGated(context, {
      line,
      where,
      gate: 'legacy',
      item: `an RSA key of ${rsaBits} bits`,
      better: '3072 bits',
    })
  if (signatureHash === 'md5')
    context.error(
      line,
      'never',
      `${where}: the certificate is signed with MD5; let the CA sign it with SHA-256`,
    )
  if (signatureHash === 'sha1')
    judgeGated(context, {
      line,
      where,
      gate: 'legacy',
      item: 'a certificate signed with SHA-1',
      better: 'SHA-256',
    })
  judgeExpiry(context, facts, line, where)
}

function judgeExpiry(
  { config, environment, warn }: CheckContext,
  { notAfter, subject }: CertificateFacts,
  line: number,
  where: string,
) {
  if (environment.wall === undefined) return
  const days = Math.floor((notAfter - environment.wall) / DAY)
  if (days >= config.pki.expiryWarningDays) return
  const when = notAfter <= environment.wall ? 'has expired' : `expires in ${days} days`
  warn(
    line,
    'cert-expiry',
    `${where}: the certificate ${JSON.stringify(subject)} ${when} (${new Date(notAfter).toISOString()}); request a new one`,
  )
}

/** A file with a secret in it is itself a secret file. */
function checkPrivateFile(context: CheckContext) {
  const line = firstInlineSecret(context.config)
  if (line === null) return
  const why = privacyFault(context)
  if (why !== null)
    context.error(
      line,
      'auth',
      `the configuration holds a secret in clear here, so its file must be private: ${why}`,
    )
}

function privacyFault({ config, files, environment }: CheckContext): string | null {
  if (environment.privateFile !== undefined)
    return environment.privateFile ? null : 'owner root or the user of the process, mode 0600 or 0640'
  try {
    files.readSecret(config.file).fill(0)
    return null
  } catch (thrown) {
    return whyUnreadable(files, config.file, thrown)
  }
}

function firstInlineSecret(config: Config): number | null {
  const policies = [...config.ikePolicies.values()].flatMap((policy) => [
    { source: policy.psk.local, line: lineOf(policy, 'pre-shared-key local') },
    { source: policy.psk.remote, line: lineOf(policy, 'pre-shared-key remote') },
    { source: policy.ppk?.key, line: lineOf(policy, 'ppk') },
  ])
  const sas = [...config.ipsecSas.values()].flatMap((set) =>
    set.sas.flatMap(({ line, encryption, authentication }) => [
      { source: encryption?.key, line },
      { source: authentication?.key, line },
    ]),
  )
  const inline = [...policies, ...sas].filter(({ source }) => source !== undefined && source.kind !== 'file')
  return inline.length === 0 ? null : Math.min(...inline.map(({ line }) => line))
}
