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
    this.#ended = once(this.#worker, 'exit').catch((error: unknown) =>
      process.emitWarning(`the card was not warmed up, its first bursts will be slow: ${String(error)}`),
    )
  }

  /** Resolves when it has ended, however; after `limit` ms it goes on beside the packets. */
  async within(limit: number): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, limit)
    await Promise.race([this.#ended, late])
    clearTimeout(timer)
  }

  /** Gives up what is left of it. */
  async stop(): Promise<void> {
    await this.#worker.terminate()
    await this.#ended
  }
}
