// Entry of an ASP's worker thread: its own instance of the card on the shared memory, its loop until told to stop.
//
// The thread never returns to its event loop while it works. It is told to stop by a control word and woken
// by its eventfd (terminate() alone would wait for a blocking system call); what it has to say it posts.

import { parentPort, workerData } from 'node:worker_threads'
import { AspLoop } from './asp-loop.ts'
import { ASP_BUSY, ASP_STOP, type AspReport, type AspStart } from './asp-worker.ts'
import { monotonic } from './clock.ts'
import { LinuxAspIo } from './linux/asp-io.ts'

function report(message: AspReport): void {
  parentPort?.postMessage(message)
}

function run({ module, memory, asp, loan, words }: AspStart): void {
  let io: LinuxAspIo | null = null
  const loop = new AspLoop(
    module,
    memory,
    asp,
    monotonic(),
    (view) => {
      io = new LinuxAspIo(view, loan, (tunnel) => report({ kind: 'too-big', tunnel }))
      return io
    },
    (failure) => report({ kind: 'failed', failure }),
  )
  turn(loop, io!, words)
  Atomics.store(words, ASP_BUSY, 0)
  report({ kind: 'stopped' })
}

function turn(loop: AspLoop, io: LinuxAspIo, words: Int32Array): void {
  let goesOn = true
  while (goesOn && Atomics.load(words, ASP_STOP) === 0) {
    io.wait(loop.idleTime(monotonic()))
    Atomics.store(words, ASP_BUSY, 1)
    goesOn = loop.step(monotonic())
    Atomics.store(words, ASP_BUSY, 0)
  }
}

run(workerData as AspStart)
