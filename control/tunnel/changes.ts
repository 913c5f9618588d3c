// What a commit would do to the running gateway: the plan of `check --plan`, and which tunnels keep their SAs.
//
// A tunnel also changes when a file it names has another content: fingerprints of those files are kept.

import { createHash } from 'node:crypto'
import { diffConfigs, filesOf, planFindings, type TunnelChange } from '../config/diff.ts'
import type { Config, Finding } from '../config/model.ts'
import type { Files } from '../ports.ts'
import { aspCount } from './asp.ts'

export type Plan = { changes: TunnelChange[]; findings: Finding[]; refused: Finding[] }
export type ReloadResult = { ok: true; plan: Finding[] } | { ok: false; errors: Finding[] }

export class Changes {
  readonly #files: Files
  #prints: ReadonlyMap<string, string>

  constructor(files: Files, config: Config) {
    this.#files = files
    this.#prints = this.#fingerprints(config)
  }

  /** Compares; `refused` names what only a restart can change. */
  plan(before: Config, after: Config): Plan {
    const prints = this.#fingerprints(after)
    const changes = diffConfigs(before, after, (path) => prints.get(path) !== this.#prints.get(path))
    return { changes, findings: planFindings(changes), refused: needsRestart(before, after) }
  }

  /** The configuration took effect: its files are the known ones now. */
  committed(config: Config) {
    this.#prints = this.#fingerprints(config)
  }

  #fingerprints(config: Config): Map<string, string> {
    const paths = [...config.tunnels.values()].flatMap((tunnel) => filesOf(config, tunnel))
    return new Map([...new Set(paths)].map((path) => [path, this.#fingerprint(path)]))
  }

  #fingerprint(path: string): string {
    try {
      const content = this.#files.read(path)
      const print = createHash('sha256').update(content).digest('hex')
      content.fill(0)
      return print
    } catch {
      return 'unreadable' // the checks say why
    }
  }
}

/** Names of the tunnels that go on untouched. */
export function keptTunnels(changes: TunnelChange[]): Set<string> {
  return new Set(changes.flatMap(({ action, tunnel }) => (action === 'keep' ? [tunnel] : [])))
}

/** Sockets and ASPs are made once, when the gateway starts. */
function needsRestart(before: Config, after: Config): Finding[] {
  const ports = before.ikePort !== after.ikePort || before.natTPort !== after.natTPort
  const asps = aspCount(after) > aspCount(before)
  const refuse = (line: number, what: string): Finding => ({
    line,
    code: 'restart',
    message: `${what} takes effect only when the gateway starts: restart it`,
  })
  return [
    ...(ports ? [refuse(after.lines['ike port'] ?? 0, 'ike port')] : []),
    ...(asps ? [refuse([...after.aspPools.values()][0]?.line ?? 0, 'a larger number of ASPs')] : []),
  ]
}
