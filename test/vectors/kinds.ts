/** The kinds of vector files in the order in which they are asked. Every new `kind-*.ts` adds its line here. */
import type { VectorKind } from './kind.ts'

/** All kinds; the first whose `matches` accepts a file runs it. */
export const vectorKinds: readonly VectorKind[] = []
