/** The kinds of vector files in the order in which they are asked. Every new `kind-*.ts` adds its line here. */
import type { VectorKind } from './kind.ts'
import { nistHmac, rfcHmac, wycheproofHmac } from './kind-hmac.ts'
import { nistAesCbc, nistAesExamples } from './kind-nist-aes.ts'
import { notBuilt } from './kind-not-built.ts'
import { wycheproofCbc } from './kind-wycheproof-cbc.ts'

/** All kinds; the first whose `matches` accepts a file runs it. `notBuilt` stands last. */
export const vectorKinds: readonly VectorKind[] = [
  nistAesCbc,
  nistAesExamples,
  wycheproofCbc,
  rfcHmac,
  nistHmac,
  wycheproofHmac,
  notBuilt,
]
