/** x509/chains.json: certificate paths, identities, CRLs, malformed DER. Policy cases run under both policies. */
import type { Identity } from '../../control/config/model.ts'
import { readDerObjects } from '../../control/pki/pem.ts'
import { type ChainInput, validateChain } from '../../control/pki/validate.ts'
import { sameVerdict } from './compare.ts'
import type { VectorKind, VectorResult } from './kind.ts'

type ChainCase = {
  name: string
  expect: string
  trust_anchors: string[]
  presented?: string[]
  presented_der_base64?: string[]
  peer_id: string
  crls: string[]
  check_time: string
}

function derOf(pem: string): Uint8Array {
  const objects = readDerObjects(new TextEncoder().encode(pem), ['CERTIFICATE', 'X509 CRL'])
  if (objects?.length !== 1) throw new Error('not one PEM object')
  return objects[0]
}

function identityOf(text: string): Identity {
  const [kind, value] = [text.slice(0, text.indexOf(':')), text.slice(text.indexOf(':') + 1)]
  if (kind !== 'fqdn' && kind !== 'dn') throw new Error(`unknown identity ${text}`)
  return { kind, value }
}

function inputOf(one: ChainCase): ChainInput {
  const raw = (one.presented_der_base64 ?? []).map((text) => new Uint8Array(Buffer.from(text, 'base64')))
  const [leaf, ...intermediates] = [...(one.presented ?? []).map(derOf), ...raw]
  return {
    leaf,
    intermediates,
    trust: one.trust_anchors.map((pem) => ({ name: 'root', der: derOf(pem) })),
    crls: one.crls.map(derOf),
    now: Date.parse(one.check_time),
    allowSha1: false,
    identity: identityOf(one.peer_id),
  }
}

type Variant = { label: string; change: Partial<ChainInput>; accept: boolean }

/** What each wording of `expect` means for us, by policy. The EKU policy is RFC 4945: an IPsec usage must be named. */
function variantsOf(expect: string): Variant[] {
  const plain = (accept: boolean): Variant[] => [{ label: '', change: {}, accept }]
  if (expect === 'accept') return plain(true)
  if (expect === 'reject unless legacy flag') {
    return [
      ...plain(false),
      { label: ' with legacy-crypto permit', change: { allowSha1: true }, accept: true },
    ]
  }
  if (expect.startsWith('policy: as if no CRL')) {
    return [...plain(true), { label: ' with strict revocation', change: { strictCrl: true }, accept: false }]
  }
  if (expect.startsWith('reject') || expect === 'policy') return plain(false)
  throw new Error(`unknown expectation ${expect}`)
}

function runVariant(one: ChainCase, { label, change, accept }: Variant): VectorResult[] {
  const input = { ...inputOf(one), ...change }
  const result = validateChain(input)
  const started = performance.now()
  validateChain(input) // the second time, so that the first call's compilation is not what is measured
  const spent = performance.now() - started
  const verdict = sameVerdict(one.name + label, accept, result.ok, result.ok ? undefined : result.sentence)
  return /under 50 ms/.test(one.expect)
    ? [verdict, sameVerdict(`${one.name}: under 50 ms`, true, spent < 50)]
    : [verdict]
}

export const x509Chains: VectorKind = {
  name: 'x509-chains',
  matches: (path, content) => path.endsWith('.json') && /"trust_anchors":/.test(content),
  run: (_path, content) =>
    (JSON.parse(content) as { tests: ChainCase[] }).tests.flatMap((one) =>
      variantsOf(one.expect).flatMap((variant) => runVariant(one, variant)),
    ),
}
