// `ipsec access-list` and `ipsec qos-policy`: what is permitted inside a tunnel, and with which priority.

import { lined } from '../defaults.ts'
import type { AccessList, Config, QosPolicy } from '../model.ts'
import { defineMode, enter, head, reopen, statement } from './mode.ts'
import { protocolOf, selectorOf } from './rules.ts'
import { putSequenced, sequenceKey } from './sequence.ts'

export const accessListMode = defineMode<AccessList>('ipsec access-list', [
  statement<AccessList>({
    pattern:
      'seq sequence=INT{0..4294967295} action=(permit|discard) protocol=<proto> local=<selector> remote=<selector> [class class=NAME]',
    key: sequenceKey,
    apply: (list, values, site) =>
      putSequenced(list.rules, {
        line: site.line,
        sequence: values.int('sequence'),
        action: values.text('action') as 'permit' | 'discard',
        protocol: protocolOf(values, 'protocol'),
        local: selectorOf(values, 'local'),
        remote: selectorOf(values, 'remote'),
        ...(values.has('class') ? { class: values.text('class') } : {}),
      }),
  }),
])

export const qosPolicyMode = defineMode<QosPolicy>('ipsec qos-policy', [
  statement<QosPolicy>({
    pattern:
      'class name=NAME priority priority=INT{0..7} [match dscp match=LIST{0..63}] [mark dscp mark=INT{0..63}]',
    key: (values) => `class ${values.text('name')}`,
    apply: (policy, values, site) => {
      const name = values.text('name')
      const entry = {
        name,
        line: site.line,
        priority: values.int('priority'),
        ...(values.has('match') ? { matchDscp: values.list('match') } : {}),
        ...(values.has('mark') ? { markDscp: values.int('mark') } : {}),
      }
      policy.classes = [...policy.classes.filter((each) => each.name !== name), entry]
    },
  }),
])

export const accessListHead = head<Config>({
  pattern: 'ipsec access-list name=NAME',
  open: (config, values, site) => {
    const name = values.text('name')
    return enter(
      accessListMode,
      reopen(config.accessLists, name, () => ({ ...lined(name, site.line), rules: [] })),
    )
  },
})

export const qosPolicyHead = head<Config>({
  pattern: 'ipsec qos-policy name=NAME',
  open: (config, values, site) => {
    const name = values.text('name')
    return enter(
      qosPolicyMode,
      reopen(config.qosPolicies, name, () => ({ ...lined(name, site.line), classes: [] })),
    )
  },
})
