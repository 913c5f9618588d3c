// The outermost mode: all of the language hangs below it.

import type { Config } from '../model.ts'
import { contextHead, contextMode, interfaceMode } from './context.ts'
import { ikePolicyHead, ikePolicyMode, ikeProposalHead, ikeProposalMode } from './ike.ts'
import {
  ipsecPolicyHead,
  ipsecPolicyMode,
  ipsecProposalHead,
  ipsecProposalMode,
  ipsecSaHead,
  ipsecSaMode,
} from './ipsec.ts'
import { defineMode, type Mode, modeGrammar, type Target } from './mode.ts'
import { accessListHead, accessListMode, qosPolicyHead, qosPolicyMode } from './qos.ts'
import {
  aspGroupHead,
  aspGroupMode,
  aspPoolHead,
  aspPoolMode,
  globalStatements,
  managementHead,
  managementMode,
  serviceHead,
  serviceMode,
} from './system.ts'
import { tunnelHead, tunnelMode } from './tunnel.ts'

export const globalMode = defineMode<Config>('configuration', [
  ...globalStatements,
  contextHead,
  accessListHead,
  ikeProposalHead,
  ikePolicyHead,
  ipsecProposalHead,
  ipsecPolicyHead,
  ipsecSaHead,
  qosPolicyHead,
  tunnelHead,
  aspPoolHead,
  aspGroupHead,
  serviceHead,
  managementHead,
])

/** A mode as text: its name and the grammar of its statements, one a line. */
export type ModeText = { name: string; statements: string[] }

/** Every mode of the language, outermost first: for documentation, and to say where a misplaced line belongs. */
export const LANGUAGE: readonly ModeText[] = [
  textOf(globalMode),
  textOf(contextMode),
  textOf(interfaceMode),
  textOf(accessListMode),
  textOf(ikeProposalMode),
  textOf(ikePolicyMode),
  textOf(ipsecProposalMode),
  textOf(ipsecPolicyMode),
  textOf(ipsecSaMode),
  textOf(qosPolicyMode),
  textOf(tunnelMode),
  textOf(aspPoolMode),
  textOf(aspGroupMode),
  textOf(serviceMode),
  textOf(managementMode),
]

function textOf<T extends Target>(mode: Mode<T>): ModeText {
  return { name: mode.name, statements: modeGrammar(mode) }
}
