// What the card tells, as events of the gateway; an ASP that ended or works again moves its tunnels here.

import type { GatewayEvent } from './effects.ts'
import { createLimiter } from './manage/log.ts'
import type { Card, CardEvent, Clock, Log } from './ports.ts'
import { type Dataplane, messageOf } from './tunnel/dataplane.ts'

export type CardEventHooks = {
  submit(event: GatewayEvent): void
  /** an ASP changed: the alarms look again */
  changed(): void
}

export class CardEvents {
  readonly #ports: { card: Card; clock: Pick<Clock, 'now'>; log: Log }
  readonly #dataplane: Dataplane
  readonly #hooks: CardEventHooks
  readonly #limit: ReturnType<typeof createLimiter>
  readonly #failedAsps = new Set<number>()

  constructor(
    ports: { card: Card; clock: Pick<Clock, 'now'>; log: Log },
    dataplane: Dataplane,
    hooks: CardEventHooks,
  ) {
    this.#ports = ports
    this.#dataplane = dataplane
    this.#hooks = hooks
    this.#limit = createLimiter(() => ports.clock.now())
  }

  take(event: CardEvent) {
    switch (event.kind) {
      case 'acquire':
        return this.#ofTunnel(event.tunnel, (tunnel) => this.#hooks.submit({ kind: 'acquire', tunnel }))
      case 'sa-soft':
      case 'sequence-near-wrap':
      case 'sa-hard':
        return this.#saEvent(event)
      case 'asp-failed':
        return this.#aspFailed(event.asp, event.reason)
      case 'ready':
        return this.#aspReady(event.asp)
      case 'unknown-spi':
        return this.#unknownSpi(event)
      case 'path-mtu':
        return this.#ofTunnel(event.tunnel, (tunnel) => this.#dataplane.pathMtu(tunnel, event.mtu))
      // the card says where an authentic packet came from; whether the peer is followed there is the engine's to say
      case 'peer-address':
        return this.#ofTunnel(event.tunnel, (tunnel) =>
          this.#hooks.submit({ kind: 'peer-address', tunnel, remote: event.remote }),
        )
    }
  }

  #ofTunnel(ref: number, step: (tunnel: string) => void) {
    const tunnel = this.#dataplane.nameOf(ref)
    if (tunnel !== undefined) step(tunnel)
  }

  #saEvent(event: Extract<CardEvent, { sa: number }>) {
    const entry = this.#dataplane.children.byRef(event.sa)
    if (entry === undefined) return
    if (event.kind === 'sa-hard')
      this.#hooks.submit({ kind: 'sa-expired', tunnel: entry.tunnel, child: entry.child })
    else if (entry.child !== null) this.#hooks.submit({ kind: 'rekey', child: entry.child })
  }

  #aspFailed(asp: number, reason: string) {
    const { card, log } = this.#ports
    this.#failedAsps.add(asp)
    log.log('error', `ASP ${asp} failed: ${reason}`, { reason: 'no-asp', asp })
    for (const tunnel of this.#dataplane.tunnelsOf(asp))
      this.#hooks.submit({ kind: 'asp', tunnel, up: false })
    const ended = card.asps().every((status) => status.asp !== asp || status.state === 'down')
    if (ended) this.#takeOver(asp, false)
    this.#hooks.changed()
  }

  /** Features S4, S5: the tunnels of a dead ASP go on elsewhere, with new SAs; manual ones are loaded again. */
  #takeOver(asp: number, works: boolean) {
    const { log } = this.#ports
    try {
      for (const tunnel of this.#dataplane.aspChanged(asp, works)) {
        const to = this.#dataplane.slot(tunnel)?.asp
        log.log('warning', `tunnel moved to ASP ${to}`, { tunnel, reason: 'take-over', asp: to })
        this.#hooks.submit({ kind: 'asp', tunnel, up: true })
      }
    } catch (error) {
      log.log('error', `cannot move the tunnels of ASP ${asp}: ${messageOf(error)}`, { reason: 'no-asp' })
    }
  }

  #aspReady(asp: number) {
    if (this.#failedAsps.delete(asp)) {
      this.#ports.log.log('info', `ASP ${asp} works again`, { asp })
      this.#takeOver(asp, true)
    }
    for (const tunnel of this.#dataplane.tunnelsOf(asp)) this.#hooks.submit({ kind: 'asp', tunnel, up: true })
  }

  #unknownSpi({ spi, source }: Extract<CardEvent, { kind: 'unknown-spi' }>) {
    const { pass, held } = this.#limit('unknown-spi')
    const fields = { reason: 'unknown-spi', source: source.address, spi, ...(held > 0 ? { held } : {}) }
    if (pass) this.#ports.log.log('info', 'packet with an SPI that no SA has', fields)
  }
}
