// What happened, counted since the start: for metrics. Counters only rise; labels are few and bounded (tunnels of the
// configuration, reasons, gated items), and the same before and after a rekey.

/** Labels of one count, by name. */
export type Labels = Readonly<Record<string, string>>
export type Count = { labels: Labels; value: number }

/** Counters of the control plane; `_total` and the prefix are added where they are shown. */
export type TallyName =
  | 'ike_sa_setups'
  | 'ike_sa_rekeys'
  | 'child_sa_setups'
  | 'child_sa_rekeys'
  | 'sa_ends'
  | 'negotiation_failures'
  | 'tunnel_ups'
  | 'gated_sa_setups'
  | 'public_key_jobs'

export class Tally {
  readonly #counts = new Map<TallyName, Map<string, Count>>()

  add(name: TallyName, labels: Labels) {
    const counts = this.#counts.get(name) ?? new Map<string, Count>()
    this.#counts.set(name, counts)
    const key = JSON.stringify(labels)
    const count = counts.get(key) ?? { labels, value: 0 }
    count.value += 1
    counts.set(key, count)
  }

  of(name: TallyName): Count[] {
    return [...(this.#counts.get(name)?.values() ?? [])]
  }

  /** A tunnel that is no longer configured takes its counts along. */
  forget(tunnel: string) {
    for (const counts of this.#counts.values())
      for (const [key, { labels }] of counts) if (labels.tunnel === tunnel) counts.delete(key)
  }
}
