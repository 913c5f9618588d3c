// Performs the reducer's effects on the ports. What comes of them (a key computed, a name resolved, an SA
// refused) goes back as an event.

import type { Config } from './config/model.ts'
import type { Effect, GatewayEvent } from './effects.ts'
import type { CryptoJobs, Files, Log, Resolver, Sockets } from './ports.ts'
import type { ChildInstall, ChildSaId } from './sa/contract.ts'
import { type Dataplane, messageOf } from './tunnel/dataplane.ts'
import { loadManualSas } from './tunnel/manual.ts'
import type { SpiAllocator } from './tunnel/spi.ts'

export type ExecutorPorts = {
  sockets: Sockets
  cryptoJobs: CryptoJobs
  resolver: Resolver
  files: Files
  log: Log
  clock: { now(): number }
}
export type ExecutorHooks = {
  config(): Config
  submit(event: GatewayEvent): void
  /** a Child SA came into the card */
  installed(): void
}

type Computed = Extract<Effect, { kind: 'compute' }>
type Outside = Extract<Effect, { kind: 'send' | 'keepalive' | 'compute' | 'resolve' | 'log' | 'drop' }>

export class Executor {
  /** IKE datagrams that changed nothing, by reason */
  readonly drops = new Map<string, bigint>()
  readonly #ports: ExecutorPorts
  readonly #dataplane: Dataplane
  readonly #spis: SpiAllocator
  readonly #hooks: ExecutorHooks

  constructor(ports: ExecutorPorts, dataplane: Dataplane, spis: SpiAllocator, hooks: ExecutorHooks) {
    this.#ports = ports
    this.#dataplane = dataplane
    this.#spis = spis
    this.#hooks = hooks
  }

  /** Throws only what `machine` throws: a device that cannot be made. */
  perform(effect: Effect) {
    switch (effect.kind) {
      case 'machine':
        return this.#dataplane.commit(effect.config)
      case 'members':
        return this.#guarded(effect.tunnel, () => this.#dataplane.commit(effect.config))
      case 'install':
        return this.#guarded(effect.child.tunnel, () => this.#install(effect.child))
      case 'load-manual':
        return this.#guarded(effect.tunnel, () => this.#loadManual(effect.tunnel))
      case 'end-points':
        return this.#guarded(effect.tunnel, () => this.#dataplane.setEndPoints(effect.tunnel, effect))
      case 'moved':
        return this.#guarded(effect.tunnel, () => this.#dataplane.moved(effect))
      case 'activate':
        return this.#dataplane.children.activate(effect.child)
      case 'remove':
        return this.#remove(effect.child)
      case 'inherit':
        return this.#dataplane.children.inherit(effect.from, effect.to)
      case 'unload-manual':
        return this.#dataplane.children.unloadManual(effect.tunnel)
      case 'carrier':
        return this.#guarded(effect.tunnel, () => this.#dataplane.carrier(effect.tunnel, effect.up))
      default:
        return this.#outside(effect)
    }
  }

  /** The effects of one event are performed. */
  settle() {
    try {
      this.#dataplane.settle()
    } catch (error) {
      this.#ports.log.log('error', `cannot lay out the routes: ${messageOf(error)}`, { reason: 'machine' })
    }
  }

  #outside(effect: Outside) {
    switch (effect.kind) {
      case 'send':
        return this.#ports.sockets.send(effect.datagram)
      case 'keepalive':
        return this.#ports.sockets.keepalive(effect.local, effect.remote)
      case 'compute':
        return this.#compute(effect)
      case 'resolve':
        return this.#resolve(effect.tunnel, effect.name)
      case 'log':
        return this.#ports.log.log(effect.level, effect.message, effect.fields)
      case 'drop':
        return void this.drops.set(effect.reason, (this.drops.get(effect.reason) ?? 0n) + 1n)
    }
  }

  /** A refusal of the card, or a key file that vanished, costs this tunnel and nothing else. */
  #guarded(tunnel: string, step: () => void) {
    try {
      step()
    } catch (error) {
      this.#hooks.submit({ kind: 'refused', tunnel, text: messageOf(error) })
    }
  }

  #install(child: ChildInstall) {
    this.#dataplane.install(child, this.#ports.clock.now())
    this.#hooks.installed()
  }

  #remove(child: ChildSaId) {
    const spi = this.#dataplane.children.inboundSpi(child)
    this.#dataplane.children.remove(child)
    if (spi !== undefined) this.#spis.release(spi)
  }

  #loadManual(name: string) {
    const config = this.#hooks.config()
    const tunnel = config.tunnels.get(name)
    if (tunnel === undefined) return
    const sas = loadManualSas(config, tunnel, this.#ports.files)
    this.#dataplane.loadManual(name, sas, this.#ports.clock.now())
  }

  #compute({ ikeSa, token, job }: Computed) {
    const failed = (error: unknown) => ({ kind: 'failed' as const, reason: messageOf(error) })
    this.#ports.cryptoJobs
      .run(job)
      .catch(failed)
      .then((result) => this.#hooks.submit({ kind: 'computed', ikeSa, token, result }))
  }

  #resolve(tunnel: string, name: string) {
    this.#ports.resolver
      .resolve(name)
      .catch(() => [])
      .then((addresses) => this.#hooks.submit({ kind: 'resolved', tunnel, addresses }))
  }
}
