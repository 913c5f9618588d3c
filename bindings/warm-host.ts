// The warm-up as the main thread sees it: a thread of its own, so that no packet waits for it.
//
// Optimised code belongs to the compiled module, and all threads of the process share that: what the warm-up thread
// makes the engine optimise on its private memory runs in the ASPs' instances from the next call on.

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

export class WarmUp {
  readonly #worker: Worker
  readonly #ended: Promise<unknown>

  constructor(module: WebAssembly.Module) {
    this.#worker = new Worker(new URL('./warm-worker.ts', import.meta.url), {
      workerData: module,
      name: 'warm-up',
    })
    this.#worker.unref()
    this.#ended = once(this.#worker, 'exit').catch((error: unknown) => {
      throw new Error(
        `the card failed its self-test: ${String(error)}; do: try ASEGATE_VECTORS=128 or ASEGATE_CARD=plain`,
      )
    })
    this.#ended.catch(() => {})
  }

  /**
   * Resolves when it has ended. Throws when the card's code computes something else than node:crypto, or when that is
   * not known after `limit` ms: nothing wrong may be sent.
   */
  async within(limit: number): Promise<void> {
    const { promise: late, reject } = Promise.withResolvers<never>()
    const sentence = `the self-test of the card did not end within ${limit} ms; do: look what else uses this machine`
    const timer = setTimeout(() => reject(new Error(sentence)), limit)
    await Promise.race([this.#ended, late]).finally(() => clearTimeout(timer))
  }

  /** Gives up what is left of it. */
  async stop(): Promise<void> {
    await this.#worker.terminate()
    await this.#ended.catch(() => {})
  }
}
