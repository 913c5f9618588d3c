// `integrity`: a proposal protects both secrecy and integrity, in the parts that its cipher needs; and an additional key
// exchange follows another one.

import type { EspCipher } from '../../ports.ts'
import type { IkeProposal, IpsecProposal } from '../model.ts'
import { isAead } from '../suites.ts'
import { type CheckContext, lineOf } from './report.ts'

type Complaint = { statement: string; why: string }

export function checkProposals(context: CheckContext) {
  const { config, error } = context
  checkKeyExchanges(context)
  for (const proposal of config.ikeProposals.values()) {
    for (const { statement, why } of ikeComplaints(proposal))
      error(lineOf(proposal, statement), 'integrity', `ike proposal ${proposal.name} ${why}`)
  }
  for (const proposal of config.ipsecProposals.values()) {
    for (const { statement, why } of ipsecComplaints(proposal))
      error(lineOf(proposal, statement), 'integrity', `ipsec proposal ${proposal.name} ${why}`)
  }
}

/** RFC 9370 §2.2.4: they follow the key exchange of CREATE_CHILD_SA. */
function checkKeyExchanges({ config, error }: CheckContext) {
  for (const { name, lines, line, pfs, additionalKe } of config.ipsecPolicies.values()) {
    if (pfs !== undefined) continue
    for (const kem of additionalKe)
      error(
        lines[`additional-ke ${kem}`] ?? line,
        'integrity',
        `ipsec policy ${name} has additional-ke ${kem} without perfect-forward-secrecy; add perfect-forward-secrecy dh-group 31`,
      )
  }
}

function ikeComplaints(proposal: IkeProposal): Complaint[] {
  const { encryption, authentication, prf, dhGroup } = proposal
  const complaints: Complaint[] = []
  const complain = (statement: string, why: string) => complaints.push({ statement, why })
  if (encryption === undefined) complain('', 'has no encryption; add encryption aes-256')
  if (encryption === 'null')
    complain('encryption', 'has encryption null, and IKE always encrypts; write aes-256')
  if (authentication === 'none')
    complain('authentication', 'has authentication none, and IKE always authenticates; write sha256')
  if (prf === 'none') complain('prf', 'has prf none, and IKE derives its keys with it; write sha256')
  if (dhGroup === undefined) complain('', 'has no dh-group; add dh-group 14')
  if (encryption !== undefined && encryption !== 'null')
    complaints.push(...cipherComplaints(encryption, proposal))
  return complaints
}

function cipherComplaints(cipher: EspCipher, { authentication, prf }: IkeProposal): Complaint[] {
  if (!isAead(cipher)) {
    const why = `has ${cipher} without authentication; add authentication sha256`
    return authentication === undefined ? [{ statement: 'encryption', why }] : []
  }
  const complaints: Complaint[] = []
  if (authentication !== undefined && authentication !== 'none')
    complaints.push({
      statement: 'authentication',
      why: `has ${cipher}, which authenticates by itself; delete authentication and name prf ${authentication}`,
    })
  if (prf === undefined)
    complaints.push({ statement: 'encryption', why: `has ${cipher} and no prf; add prf sha256` })
  return complaints
}

function ipsecComplaints(proposal: IpsecProposal): Complaint[] {
  const { espEncryption: cipher, espAuthentication: hash, ahAuthentication: ah } = proposal
  if (ah === 'none')
    return [
      {
        statement: 'ah authentication',
        why: 'has ah authentication none, and AH does nothing else; write sha256',
      },
    ]
  if (cipher === undefined && hash === undefined)
    return ah === undefined
      ? [{ statement: '', why: 'is empty; add esp encryption aes-256 and esp authentication sha256' }]
      : []
  if (cipher === undefined)
    return [
      {
        statement: 'esp authentication',
        why: 'has no esp encryption; add esp encryption aes-256, or null to authenticate only',
      },
    ]
  if (isAead(cipher) && hash !== undefined && hash !== 'none')
    return [
      {
        statement: 'esp authentication',
        why: `has ${cipher}, which authenticates by itself; delete esp authentication`,
      },
    ]
  if (!isAead(cipher) && hash === undefined)
    return [
      {
        statement: 'esp encryption',
        why: `has ${cipher} without esp authentication; add esp authentication sha256`,
      },
    ]
  return []
}
