// Negotiation of suites, RFC 7296 §2.7 and §3.3: what we offer, what we choose, and why not.
//
// One suite of the configuration is one proposal on the wire. The responder chooses by its own order of
// preference; every refusal names, for each proposal of the peer, the transforms that kept it out.

import type { ChildSuite, IkeSuite, TransformDifference } from '../sa/contract.ts'
import { equalBytes } from './bytes.ts'
import {
  additionalTransforms,
  cipherTransform,
  describeTransform,
  dhTransform,
  esnTransform,
  type HashName,
  integrityTransform,
  isAdditional,
  isAead,
  prfTransform,
  transformFault,
  transformTypeName,
} from './transforms.ts'
import type { Proposal, Transform } from './types.ts'
import { ProtocolId, TransformType } from './types.ts'

/**
 * Why one proposal of the peer was not chosen: its text, the transforms of our nearest suite that it lacks as text, and
 * the same as data. nearest: null when the proposal is none for this SA at all, or nothing is allowed.
 */
export type ProposalRefusal = {
  number: number
  offered: string
  mismatch: string[]
  nearest: string | null
  differs: TransformDifference[]
}
export type Choice<Suite> =
  | { ok: true; suite: Suite; proposal: Proposal }
  | { ok: false; refusal: ProposalRefusal[] }

/** Which transforms a suite puts on the wire, one of each type. */
type Wanted = Transform[]

function authenticationOf(suite: { integrity: string | null }): Wanted {
  return suite.integrity === null || suite.integrity === 'none'
    ? []
    : [integrityTransform(suite.integrity as HashName)]
}

function ikeTransforms(suite: IkeSuite): Wanted {
  const integrity = isAead(suite.encryption) ? [] : authenticationOf(suite)
  return [
    cipherTransform(suite.encryption),
    prfTransform(suite.prf as HashName),
    ...integrity,
    dhTransform(suite.dhGroup),
    ...additionalTransforms(suite.additionalKe),
  ]
}

function childTransforms(suite: ChildSuite, withDh: boolean): Wanted {
  const integrity = isAead(suite.cipher) ? [] : authenticationOf(suite)
  const exchanges =
    withDh && suite.dhGroup !== null
      ? [dhTransform(suite.dhGroup), ...additionalTransforms(suite.additionalKe)]
      : []
  return [cipherTransform(suite.cipher), ...integrity, ...exchanges, esnTransform(suite.esn)]
}

function encodeSuites(lists: Wanted[], protocol: number, spi: Uint8Array): Proposal[] {
  return lists.map((transforms, index) => ({ number: index + 1, protocol, spi, transforms }))
}

/** SA payload of an IKE SA. spi: empty in IKE_SA_INIT, our 8-byte new SPI when rekeying (§3.3.1). */
export function encodeIkeProposals(suites: IkeSuite[], spi: Uint8Array): Proposal[] {
  return encodeSuites(suites.map(ikeTransforms), ProtocolId.IKE, spi)
}

/** SA payload of a Child SA (ESP). spi: our 4-byte inbound SPI. withDh: CREATE_CHILD_SA; false in IKE_AUTH (§1.2). */
export function encodeChildProposals(suites: ChildSuite[], spi: Uint8Array, withDh: boolean): Proposal[] {
  return encodeSuites(
    suites.map((suite) => childTransforms(suite, withDh)),
    ProtocolId.ESP,
    spi,
  )
}

/** 4-byte SPI of a Child SA, network order. */
export function spiBytes(spi: number): Uint8Array {
  return Uint8Array.of(spi >>> 24, spi >>> 16, spi >>> 8, spi)
}

const knownTypes = new Set<number>(Object.values(TransformType))
const sameTransform = (a: Transform, b: Transform): boolean =>
  a.type === b.type && a.id === b.id && a.keyLength === b.keyLength

/** NONE (0) of these types says that the type may be left out (§3.3.2, RFC 9370 §2.2.1). */
const isOptional = (type: number): boolean =>
  type === TransformType.INTEG || type === TransformType.DH || isAdditional(type)
const isNone = (transform: Transform): boolean => transform.id === 0 && isOptional(transform.type)

/** Transforms of a proposal by type; IKE_AUTH ignores key exchanges, which have no place there (§1.2, RFC 9370 §2.2.3). */
function byType(proposal: Proposal, ignored: Set<number>): Map<number, Transform[]> {
  const types = new Map<number, Transform[]>()
  for (const transform of proposal.transforms) {
    if (ignored.has(transform.type)) continue
    types.set(transform.type, [...(types.get(transform.type) ?? []), transform])
  }
  return types
}

/** What keeps `wanted` from being chosen out of one proposal; empty when it fits (§3.3.6: one of each offered type). */
function differences(offered: Map<number, Transform[]>, wanted: Wanted): TransformDifference[] {
  const found: TransformDifference[] = []
  const add = (type: number, transforms: Transform[], allowed: Transform[]) =>
    found.push({
      type: transformTypeName(type),
      offered: transforms.map(describeTransform),
      allowed: allowed.map(describeTransform),
    })
  for (const want of wanted) {
    const transforms = offered.get(want.type) ?? []
    const isThere = transforms.some((each) => transformFault(each) === null && sameTransform(each, want))
    if (!isThere) add(want.type, transforms, [want])
  }
  for (const [type, transforms] of offered) {
    const isWanted = wanted.some((want) => want.type === type)
    if (!knownTypes.has(type) || !(isWanted || transforms.some(isNone))) add(type, transforms, [])
  }
  return found
}

function differenceText({ type, allowed }: TransformDifference): string {
  if (allowed.length > 0) return `${type} ${allowed.join(' ')}`
  return type.startsWith('transform type') ? `${type} not understood` : `${type} offered, none allowed`
}

function mismatches(offered: Map<number, Transform[]>, wanted: Wanted): string[] {
  return differences(offered, wanted).map(differenceText)
}

/** First line of a refusal when protocol or SPI size already rule the proposal out. */
function formFault(proposal: Proposal, protocol: number, spiLength: number): string | null {
  if (proposal.protocol !== protocol) return `protocol ${proposal.protocol}`
  if (proposal.spi.length !== spiLength) return `SPI of ${proposal.spi.length} bytes`
  if (spiLength === 4 && proposal.spi.subarray(0, 3).every((byte) => byte === 0)) return 'SPI below 256'
  return null
}

type Rules<Suite> = {
  protocol: number
  spiLength: number
  ignored: Set<number>
  wanted: (suite: Suite) => Wanted
}

function refusalOf<Suite>(proposal: Proposal, allowed: Suite[], rules: Rules<Suite>): ProposalRefusal {
  const offered = describeProposal(proposal)
  const { number } = proposal
  const form = formFault(proposal, rules.protocol, rules.spiLength)
  if (form) return { number, offered, mismatch: [form], nearest: null, differs: [] }
  const types = byType(proposal, rules.ignored)
  const near = allowed
    .map((suite) => ({ wanted: rules.wanted(suite), differs: differences(types, rules.wanted(suite)) }))
    .reduce<NearSuite | null>(
      (best, each) => (best === null || each.differs.length < best.differs.length ? each : best),
      null,
    )
  if (!near) return { number, offered, mismatch: ['nothing allowed'], nearest: null, differs: [] }
  const nearest = describeProposal({ ...proposal, transforms: near.wanted })
  return { number, offered, mismatch: near.differs.map(differenceText), nearest, differs: near.differs }
}

type NearSuite = { wanted: Wanted; differs: TransformDifference[] }

function choose<Suite>(offered: Proposal[], allowed: Suite[], rules: Rules<Suite>): Choice<Suite> {
  const fitting = offered.filter((each) => formFault(each, rules.protocol, rules.spiLength) === null)
  const tables = fitting.map((proposal) => ({ proposal, types: byType(proposal, rules.ignored) }))
  for (const suite of allowed) {
    const wanted = rules.wanted(suite)
    const hit = tables.find((each) => mismatches(each.types, wanted).length === 0)
    if (hit)
      return { ok: true, suite, proposal: { ...hit.proposal, transforms: answerTo(hit.types, wanted) } }
  }
  return { ok: false, refusal: offered.slice(0, 16).map((each) => refusalOf(each, allowed, rules)) }
}

/** What we chose, and NONE for each additional key exchange that we do without (RFC 9370 §2.2.1, appendix A). */
function answerTo(offered: Map<number, Transform[]>, wanted: Wanted): Transform[] {
  const without = [...offered.keys()].filter(
    (type) => isAdditional(type) && !wanted.some((want) => want.type === type),
  )
  return [...wanted, ...without.map((type) => ({ type, id: 0 }))]
}

const noTypes = new Set<number>()
const keyExchangeTypes = new Set<number>(
  Object.values(TransformType).filter((type) => type === TransformType.DH || isAdditional(type)),
)

function ikeRules(spiLength: 0 | 8): Rules<IkeSuite> {
  return { protocol: ProtocolId.IKE, spiLength, ignored: noTypes, wanted: ikeTransforms }
}

function childRules(withDh: boolean): Rules<ChildSuite> {
  return {
    protocol: ProtocolId.ESP,
    spiLength: 4,
    ignored: withDh ? noTypes : keyExchangeTypes,
    wanted: (suite) => childTransforms(suite, withDh),
  }
}

/**
 * Responder: the first suite of `allowed` (our order of preference) that some offered proposal contains.
 * `proposal` has the peer's number and SPI and exactly one transform of each type: answer with it, our SPI put in.
 * spiLength: 0 in IKE_SA_INIT, 8 when rekeying.
 */
export function chooseIkeProposal(
  offered: Proposal[],
  allowed: IkeSuite[],
  spiLength: 0 | 8 = 0,
): Choice<IkeSuite> {
  return choose(offered, allowed, ikeRules(spiLength))
}

/** As chooseIkeProposal for ESP. withDh false (IKE_AUTH): DH transforms are ignored on both sides. */
export function chooseChildProposal(
  offered: Proposal[],
  allowed: ChildSuite[],
  withDh: boolean,
): Choice<ChildSuite> {
  return choose(offered, allowed, childRules(withDh))
}

/** Initiator: the answer must be one proposal, with the number of one of ours and that one's transforms (§2.7, §3.3). */
function accept<Suite>(answer: Proposal[], ours: Suite[], rules: Rules<Suite>): Choice<Suite> {
  const [proposal] = answer
  const suite = proposal && ours[proposal.number - 1]
  const refuse = (mismatch: string[], differs: TransformDifference[] = []): Choice<Suite> => ({
    ok: false,
    refusal: answer.slice(0, 16).map((each) => ({
      number: each.number,
      offered: describeProposal(each),
      mismatch,
      nearest: suite ? describeProposal({ ...each, transforms: rules.wanted(suite) }) : null,
      differs,
    })),
  })
  if (answer.length !== 1) return refuse([`${answer.length} proposals in an answer`])
  if (!suite) return refuse([`proposal number ${proposal.number} was not offered`])
  const form = formFault(proposal, rules.protocol, rules.spiLength)
  if (form) return refuse([form])
  const types = byType(proposal, noTypes)
  const double = [...types.values()].some((list) => list.length !== 1)
  if (double) return refuse(['several transforms of one type'])
  const differs = differences(types, rules.wanted(suite))
  return differs.length > 0 ? refuse(differs.map(differenceText), differs) : { ok: true, suite, proposal }
}

/** Checks the responder's IKE answer against the suites that encodeIkeProposals was given, in the same order. */
export function acceptIkeAnswer(
  answer: Proposal[],
  ours: IkeSuite[],
  spiLength: 0 | 8 = 0,
): Choice<IkeSuite> {
  return accept(answer, ours, ikeRules(spiLength))
}

/** Checks the responder's ESP answer against the suites that encodeChildProposals was given, with the same withDh. */
export function acceptChildAnswer(
  answer: Proposal[],
  ours: ChildSuite[],
  withDh: boolean,
): Choice<ChildSuite> {
  return accept(answer, ours, childRules(withDh))
}

const protocolNames: Record<number, string> = { 1: 'ike', 2: 'ah', 3: 'esp' }

/** One line: `esp: aes-256 | aes-128, sha256, no-esn`; alternatives of one type are joined by `|`. At most 400 characters. */
export function describeProposal(proposal: Proposal): string {
  const types = [...byType(proposal, noTypes).values()]
  const text = types.map((list) => list.map(describeTransform).join(' | ')).join(', ')
  const line = `${protocolNames[proposal.protocol] ?? `protocol ${proposal.protocol}`}: ${text || 'no transform'}`
  return line.length > 400 ? `${line.slice(0, 397)}...` : line
}

/** The same line for a suite of ours, for the `allowed` side of a report. */
export function describeIkeSuite(suite: IkeSuite): string {
  return describeProposal({
    number: 1,
    protocol: ProtocolId.IKE,
    spi: new Uint8Array(0),
    transforms: ikeTransforms(suite),
  })
}

export function describeChildSuite(suite: ChildSuite): string {
  const transforms = childTransforms(suite, true)
  return describeProposal({ number: 1, protocol: ProtocolId.ESP, spi: new Uint8Array(4), transforms })
}

/** True when two proposals are the same offer: a second IKE_SA_INIT must repeat the first one's (§2.6, §1.2). */
export function sameProposal(a: Proposal, b: Proposal): boolean {
  return (
    a.number === b.number &&
    a.protocol === b.protocol &&
    equalBytes(a.spi, b.spi) &&
    a.transforms.length === b.transforms.length &&
    a.transforms.every((transform, index) => sameTransform(transform, b.transforms[index]))
  )
}
