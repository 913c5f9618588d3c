// The door of this room: text in, a judged configuration out. The same for start, check, reload and commit.

import { checkAhNat, checkAsps } from './checks/asp.ts'
import { checkAuth } from './checks/auth.ts'
import { checkDevices } from './checks/devices.ts'
import { checkGates } from './checks/gates.ts'
import { checkManual } from './checks/manual.ts'
import { checkNames } from './checks/names.ts'
import { checkProposals } from './checks/proposals.ts'
import type { Check, CheckEnvironment, CheckFiles } from './checks/report.ts'
import { checkRoutes } from './checks/routes.ts'
import { checkSelectors } from './checks/selectors.ts'
import { checkTunnels } from './checks/tunnels.ts'
import { checkUnbuilt } from './checks/unbuilt.ts'
import { checkVersions } from './checks/versions.ts'
import type { CheckResult, Config, Finding } from './model.ts'
import { parseConfig } from './parse.ts'

export type { CertificateFacts, PkiFacts } from './certificates.ts'
export type { CheckEnvironment, CheckFiles } from './checks/report.ts'

const CHECKS: readonly Check[] = [
  checkNames,
  checkUnbuilt,
  checkDevices,
  checkTunnels,
  checkRoutes,
  checkProposals,
  checkVersions,
  checkGates,
  checkManual,
  checkAuth,
  checkSelectors,
  checkAsps,
  checkAhNat,
]

/**
 * Parses and checks a configuration. `file` is its path, for messages and for paths relative to it; `text` its
 * content. Never throws: any error in the result refuses the whole configuration. Findings are in line order and
 * never hold a secret. Secrets are read to judge them and wiped again.
 */
export function loadConfig(
  file: string,
  text: string,
  files: CheckFiles,
  environment: CheckEnvironment = {},
): CheckResult {
  const parsed = parseConfig(file, text)
  const judged = checkConfig(parsed.config, files, environment)
  return {
    config: parsed.config,
    errors: inOrder([...parsed.errors, ...judged.errors]),
    warnings: inOrder([...parsed.warnings, ...judged.warnings]),
  }
}

/** The checks alone, on a configuration that is already data. */
export function checkConfig(
  config: Config,
  files: CheckFiles,
  environment: CheckEnvironment = {},
): CheckResult {
  const errors: Finding[] = []
  const warnings: Finding[] = []
  const error = (line: number, code: string, message: string) => void errors.push({ line, code, message })
  const warn = (line: number, code: string, message: string) => void warnings.push({ line, code, message })
  for (const check of CHECKS) check({ config, files, environment, error, warn })
  return { config, errors: inOrder(errors), warnings: inOrder(warnings) }
}

/** `FILE:LINE: error CODE: text`. */
export function formatFinding(file: string, finding: Finding, severity: 'error' | 'warning'): string {
  return `${file}:${finding.line}: ${severity} ${finding.code}: ${finding.message}`
}

function inOrder(findings: Finding[]): Finding[] {
  const seen = new Set<string>()
  const fresh = findings.filter((finding) => {
    const key = JSON.stringify(finding)
    return !seen.has(key) && seen.add(key)
  })
  return fresh.sort((a, b) => a.line - b.line)
}
