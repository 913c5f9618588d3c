// Alarms: a fault that lasts longer than the hold-down raises one, the end of the fault clears it. Sans-IO: conditions
// and time in, what changed out. Ids count from 1 and are never used again; what was cleared stays in a short history.

export type AlarmKind = 'tunnel' | 'cert-expiry' | 'no-cert' | 'asp'

/** A fault as it is now; equal `key`s are the same fault. `cause` is a sentence. */
export type Condition = {
  key: string
  kind: AlarmKind
  tunnel: string | null
  remoteIdType: string | null
  remoteId: string | null
  cause: string
  /** not held down: it has been waited for already (DPD), or will not go away by itself */
  atOnce: boolean
}

/** `since`, `cleared`: wall clock, ms. */
export type Alarm = Omit<Condition, 'key' | 'atOnce'> & { id: number; since: number; cleared: number | null }
export type AlarmChange = { alarm: Alarm; raised: boolean }

/** `hold`: ms for which a fault must last. */
export type Moment = { now: number; wall: number; hold: number }

const HISTORY = 100

/** `dueAt`: monotonic ms from which the fault is an alarm. dismissed: the operator took it off the list. */
type Fault = { dueAt: number; alarm: Alarm | null; dismissed: boolean }

export class Alarms {
  readonly #faults = new Map<string, Fault>()
  #history: Alarm[] = []
  #nextId = 1

  /** Takes all faults that there are now; returns the alarms that this raised or cleared. */
  update(conditions: readonly Condition[], moment: Moment): AlarmChange[] {
    const changes: AlarmChange[] = []
    const present = new Set(conditions.map(({ key }) => key))
    for (const [key, fault] of this.#faults) {
      if (present.has(key)) continue
      this.#faults.delete(key)
      if (fault.alarm !== null) changes.push({ alarm: this.#end(fault.alarm, moment.wall), raised: false })
    }
    for (const condition of conditions) {
      const alarm = this.#see(condition, moment)
      if (alarm !== null) changes.push({ alarm, raised: true })
    }
    return changes
  }

  /** When the next fault has lasted long enough, monotonic ms; Infinity when none waits. */
  deadline(): number {
    let earliest = Number.POSITIVE_INFINITY
    for (const { alarm, dismissed, dueAt } of this.#faults.values())
      if (alarm === null && !dismissed) earliest = Math.min(earliest, dueAt)
    return earliest
  }

  active(): Alarm[] {
    const alarms = [...this.#faults.values()].flatMap(({ alarm }) => (alarm === null ? [] : [alarm]))
    return alarms.sort((a, b) => a.id - b.id)
  }

  /** What has ended, oldest first. */
  history(): Alarm[] {
    return [...this.#history]
  }

  /** The operator has seen it: off the list until the fault has gone and comes again. False: no such alarm. */
  dismiss(id: number, wall: number): boolean {
    for (const fault of this.#faults.values()) {
      if (fault.alarm?.id !== id) continue
      this.#end(fault.alarm, wall)
      Object.assign(fault, { alarm: null, dismissed: true })
      return true
    }
    return false
  }

  #see({ key, atOnce, ...what }: Condition, { now, wall, hold }: Moment): Alarm | null {
    const fault = this.#faults.get(key) ?? { dueAt: now + hold, alarm: null, dismissed: false }
    this.#faults.set(key, fault)
    if (atOnce) fault.dueAt = Math.min(fault.dueAt, now)
    if (fault.alarm !== null) {
      Object.assign(fault.alarm, what) // the cause may have become another one
      return null
    }
    if (fault.dismissed || now < fault.dueAt) return null
    fault.alarm = { ...what, id: this.#nextId++, since: wall, cleared: null }
    return fault.alarm
  }

  #end(alarm: Alarm, wall: number): Alarm {
    const ended = { ...alarm, cleared: wall }
    this.#history = [...this.#history, ended].slice(-HISTORY)
    return ended
  }
}
