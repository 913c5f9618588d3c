// The accepted peers of on-demand tunnels: admission, the networks they bring, and their end.
//
//   (nothing) -> member     admit     proven, and the template has room
//   member -> up            as any tunnel, with the routes to its networks
//   member -> gone          left      its last IKE SA ended, or its template did
//
// The same identity coming again is the same member: its new SAs take over from those it had.

import { prefixContains } from '../address.ts'
import type { Config } from '../config/model.ts'
import type { Effect } from '../effects.ts'
import { REASONS, renderEndpoint } from '../explain.ts'
import type { Action, Admission, Applicant, ChildInstall, Engine, IkeSaId } from '../sa/contract.ts'
import { wipeKeys } from './children.ts'
import type { Lifecycle } from './lifecycle.ts'
import {
  DEFAULT_MAX_TUNNELS,
  freeNumber,
  type Member,
  machineConfig,
  memberTunnel,
  networksOf,
  sameIdentity,
} from './on-demand.ts'
import { enter, newTunnel, type Tunnel } from './record.ts'

export type MemberHooks = {
  tunnels(): Map<string, Tunnel>
  emit(effect: Effect): void
  run(actions: Action[], now: number): void
}

export class Members {
  readonly #engine: Engine
  readonly #life: Lifecycle
  readonly #hooks: MemberHooks
  #together = false

  constructor(engine: Engine, life: Lifecycle, hooks: MemberHooks) {
    this.#engine = engine
    this.#life = life
    this.#hooks = hooks
  }

  /** Members of a template, or of all. */
  of(template?: string): Tunnel[] {
    return [...this.#hooks.tunnels().values()].filter(
      ({ member }) => member !== null && (template === undefined || member.template === template),
    )
  }

  /** The configuration that the machine is laid out for. */
  machine(): Config {
    const members = this.of().map((tunnel) => [tunnel.config.name, tunnel.member as Member] as const)
    return members.length === 0 && !this.#hasTemplates()
      ? this.#life.config
      : machineConfig(this.#life.config, new Map(members))
  }

  #hasTemplates(): boolean {
    return [...this.#life.config.tunnels.values()].some(({ kind }) => kind === 'on-demand')
  }

  // ---- (nothing) -> member

  /** An authenticated peer of a template: the tunnel it gets, or why it gets none. */
  admit(template: string, applicant: Applicant, now: number): Admission {
    const owner = this.#hooks.tunnels().get(template)
    if (owner === undefined || owner.config.shutdown || !this.#life.peers.has(template))
      return this.#refuse(template, applicant, 'the tunnel is not in service', 'see show tunnel ipsec')
    const members = this.of(template)
    const known = members.find(({ member }) => sameIdentity((member as Member).identity, applicant.identity))
    const limit = owner.config.maxTunnels ?? DEFAULT_MAX_TUNNELS
    if (known === undefined && members.length >= limit)
      return this.#refuse(template, applicant, `all its ${limit} tunnels are in use`, FULL_ADVICE)
    const tunnel = known ?? this.#adopt(owner, members, applicant, now)
    const member = Object.assign(tunnel.member as Member, {
      local: applicant.local,
      remote: applicant.remote,
    })
    tunnel.local = applicant.local.address
    tunnel.remote = applicant.remote.address
    return { ok: true, peer: this.#life.memberPeer(tunnel, member) }
  }

  #refuse(template: string, { identity, remote }: Applicant, why: string, advice: string): Admission {
    const text = `${identity.kind} ${identity.value} is refused by on-demand tunnel ${template}: ${why}`
    return {
      ok: false,
      report: { tunnel: template, level: 'warning', code: 'max-tunnels', text, advice, peer: remote },
    }
  }

  #adopt(owner: Tunnel, members: Tunnel[], applicant: Applicant, now: number): Tunnel {
    const template = owner.config.name
    const number = freeNumber(members.map(({ member }) => member as Member))
    const member: Member = { template, number, ...applicant, networks: [], ikeSas: new Set() }
    const tunnel = newTunnel(memberTunnel(owner.config, member), now)
    tunnel.member = member
    enter(tunnel, 'idle', now)
    this.#hooks.tunnels().set(tunnel.config.name, tunnel)
    this.#life.log('info', `peer accepted: ${applicant.identity.kind} ${applicant.identity.value}`, {
      tunnel: tunnel.config.name,
      template,
      remote: renderEndpoint(applicant.remote),
    })
    return tunnel
  }

  // ---- its networks

  /** Before its first SA, and when its networks change, the machine gets device and routes. False: nothing may be installed. */
  prepare(tunnel: Tunnel, child: ChildInstall, now: number): boolean {
    const member = tunnel.member as Member
    const networks = networksOf(child.remoteSelectors)
    const around = networks.find((prefix) => prefixContains(prefix, child.remote.address))
    if (around !== undefined) return this.#refuseCircle(tunnel, child, around, now)
    const isNew = member.networks.length === 0
    if (!isNew && networks.join() === member.networks.join()) return true
    member.networks = networks
    this.#layOut(tunnel.config.name)
    this.#life.log('info', `networks of the peer: ${networks.join(' ')}`, { tunnel: tunnel.config.name })
    return true
  }

  /** The outer packets to the peer would be routed into its own tunnel. */
  #refuseCircle(tunnel: Tunnel, child: ChildInstall, prefix: string, now: number): boolean {
    const { name } = tunnel.config
    const text = `the peer asks for ${prefix}, which holds its own end point ${child.remote.address}`
    const advice = 'limit the remote side of traffic-selector to the networks behind the peers'
    this.#life.reported([tunnel], { tunnel: name, level: 'error', code: 'recursive-route', text, advice })
    wipeKeys(child)
    this.#hooks.run(this.#engine.clear(name, 'recursive-route', now), now)
    return false
  }

  /** Runs a step in which many members may go, whose caller lays the machine out afterwards, or not at all. */
  together(step: () => void) {
    this.#together = true
    step()
    this.#together = false
  }

  #layOut(tunnel: string) {
    if (!this.#together) this.#hooks.emit({ kind: 'members', tunnel, config: this.machine() })
  }

  // ---- member -> gone

  ikeUp(tunnel: Tunnel, ikeSa: IkeSaId) {
    tunnel.member?.ikeSas.add(ikeSa)
  }

  inherited(tunnel: Tunnel, from: IkeSaId, to: IkeSaId) {
    if (tunnel.member?.ikeSas.delete(from)) tunnel.member.ikeSas.add(to)
  }

  ikeDown(tunnel: Tunnel, ikeSa: IkeSaId, now: number) {
    tunnel.member?.ikeSas.delete(ikeSa)
    if (tunnel.member?.ikeSas.size === 0) this.left(tunnel, now)
  }

  /** Its tunnel, device and routes go; the machine follows at once. */
  left(tunnel: Tunnel, now: number) {
    const { name } = tunnel.config
    if (!this.#hooks.tunnels().delete(name)) return
    this.#hooks.run(this.#engine.removePeer(name, now), now)
    this.#life.log(
      'info',
      `peer left: ${tunnel.reason === null ? 'its SAs ended' : REASONS[tunnel.reason].meaning}`,
      {
        tunnel: name,
        ...(tunnel.reason === null ? {} : { reason: tunnel.reason }),
      },
    )
    if ((tunnel.member as Member).networks.length > 0) this.#layOut(name)
  }
}

const FULL_ADVICE = 'raise max-tunnels (1,024 at most), or clear a tunnel that is not needed'
