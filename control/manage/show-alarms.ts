// `show alarms [history]` and `clear alarm INT`.

import type { Values } from '../config/match.ts'
import type { Gateway } from '../gateway.ts'
import type { Alarm } from '../tunnel/alarms.ts'
import { CommandError } from './error.ts'

export function showAlarms(gateway: Gateway, values: Values) {
  const { alarms } = gateway.alarms
  return (values.has('history') ? alarms.history() : alarms.active()).map(alarmRow)
}

/** Times are ISO 8601; `cleared` is null while the fault is there. */
function alarmRow({ id, kind, tunnel, remoteIdType, remoteId, cause, since, cleared }: Alarm) {
  const ended = cleared === null ? null : new Date(cleared).toISOString()
  return {
    ...{ id, kind, tunnel, remoteIdType, remoteId, cause },
    since: new Date(since).toISOString(),
    cleared: ended,
  }
}

export function clearAlarm(gateway: Gateway, values: Values) {
  const id = values.int('id')
  if (!gateway.alarms.alarms.dismiss(id, gateway.ports.clock.wall()))
    throw new CommandError('not-found', `there is no alarm ${id}; see show alarms`)
  return { cleared: [`alarm ${id}`] }
}
