/** The kinds of vector files in the order in which they are asked. Every new `kind-*.ts` adds its line here. */
import type { VectorKind } from './kind.ts'
import { nistGcm, nistGcmExamples, wycheproofAead } from './kind-aead.ts'
import { ahGenerated } from './kind-ah.ts'
import { nistHmac, rfcHmac, wycheproofHmac } from './kind-hmac.ts'
import { ikev2Exchange, modpDh, modpDhInvalid } from './kind-ike.ts'
import { ikev1NotBuilt, nistIkev2Kdf } from './kind-ike-kdf.ts'
import { nistAesCbc, nistAesExamples } from './kind-nist-aes.ts'
import { nistDes, nistDesExamples } from './kind-nist-des.ts'
import { espGenerated, espNegative, replayDecisions, rfcPackets } from './kind-packets.ts'
import { nistEcdh, nistRsa, wycheproofEcdh, wycheproofRsa, wycheproofX25519 } from './kind-public-key.ts'
import { wycheproofCbc } from './kind-wycheproof-cbc.ts'
import { x509Chains } from './kind-x509.ts'

/** Kinds whose cases run on the card or its kernels. */
export const computedByCard: ReadonlySet<VectorKind> = new Set([
  nistAesCbc,
  nistAesExamples,
  nistDes,
  nistDesExamples,
  wycheproofCbc,
  rfcHmac,
  nistHmac,
  wycheproofHmac,
  wycheproofAead,
  nistGcm,
  nistGcmExamples,
  ahGenerated,
  espGenerated,
  espNegative,
  replayDecisions,
  rfcPackets,
])

/** All kinds; the first whose `matches` accepts a file runs it. */
export const vectorKinds: readonly VectorKind[] = [
  nistAesCbc,
  nistAesExamples,
  nistDes,
  nistDesExamples,
  wycheproofCbc,
  rfcHmac,
  nistHmac,
  wycheproofHmac,
  wycheproofAead,
  nistGcm,
  nistGcmExamples,
  modpDh,
  modpDhInvalid,
  ikev2Exchange,
  nistIkev2Kdf,
  nistEcdh,
  nistRsa,
  wycheproofX25519,
  wycheproofEcdh,
  wycheproofRsa,
  x509Chains,
  ikev1NotBuilt,
  ahGenerated,
  espGenerated,
  espNegative,
  replayDecisions,
  rfcPackets,
]
