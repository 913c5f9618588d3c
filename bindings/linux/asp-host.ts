// One ASP seen from the main thread: its worker, its epoll set, its eventfd, the devices lent to it.

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { AspFailure } from '../asp-loop.ts'
import { ASP_BUSY, ASP_STOP, ASP_WORDS, type AspReport, type AspStart } from '../asp-worker.ts'
import { Arena } from './arena.ts'
import { type AspLoan, READY_DEVICE, READY_SOURCE, READY_WAKE } from './asp-io.ts'
import * as C from './constants.ts'
import { createEvent, signalEvent } from './eventfd.ts'
import { must } from './failure.ts'
import { close, epollControl, epollCreate } from './syscalls.ts'

/** a turn takes microseconds; a thread that needs longer than this is not running any more */
const TURN_LIMIT = 500
const STOP_LIMIT = 2000

export type AspHostOptions = {
  asp: number
  module: WebAssembly.Module
  memory: WebAssembly.Memory
  /** size of the card's device table */
  devices: number
  loan: Pick<AspLoan, 'sources' | 'ipv4' | 'ipv6'>
  failed: (failure: AspFailure) => void
  /** datagrams of this tunnel are larger than its path carries */
  tooBig: (tunnel: number) => void
}

export class AspHost {
  readonly asp: number
  readonly wake: number
  readonly #epoll: number
  readonly #words = new Int32Array(new SharedArrayBuffer(ASP_WORDS * 4))
  readonly #deviceMap: Int32Array
  readonly #options: AspHostOptions
  readonly #arena = new Arena(4096)
  #worker: Worker | null = null
  #exited: Promise<unknown> = Promise.resolve()

  constructor(options: AspHostOptions) {
    this.asp = options.asp
    this.#options = options
    this.wake = createEvent()
    this.#epoll = must(epollCreate(C.O_CLOEXEC), 'epoll_create1')
    this.#deviceMap = new Int32Array(new SharedArrayBuffer(options.devices * 4)).fill(-1)
    this.#watch(this.wake, READY_WAKE)
    for (const [index, source] of options.loan.sources.entries()) this.#watch(source.fd, READY_SOURCE | index)
  }

  #watch(fd: number, tag: number): void {
    this.#arena.setInt(0, C.EPOLLIN)
    this.#arena.setInt(C.EPOLL_DATA_OFFSET, tag)
    this.#arena.setInt(C.EPOLL_DATA_OFFSET + 4, 0)
    must(
      epollControl(this.#epoll, C.EPOLL_CTL_ADD, fd, this.#arena.address(0)),
      `cannot watch descriptor ${fd}`,
    )
  }

  /** Starts the thread; it announces itself through the card's event ring. wakeUps: eventfds, 0 control, n ASP n. */
  start(wakeUps: number[]): void {
    const { module, memory, asp, loan, failed, tooBig } = this.#options
    const full: AspLoan = {
      ...loan,
      epoll: this.#epoll,
      wake: this.wake,
      wakeUps,
      deviceMap: this.#deviceMap,
    }
    const workerData: AspStart = { module, memory, asp, loan: full, words: this.#words }
    const worker = new Worker(new URL('../asp.ts', import.meta.url), { workerData, name: `asp ${asp}` })
    worker.on('message', (report: AspReport) => {
      if (report.kind === 'failed') failed(report.failure)
      else if (report.kind === 'too-big') tooBig(report.tunnel)
    })
    worker.on('error', (error) => failed({ asp, reason: String(error), ended: true }))
    worker.on('exit', () => {
      if (Atomics.load(this.#words, ASP_STOP) === 0)
        failed({ asp, reason: 'its thread has ended', ended: true })
    })
    this.#exited = once(worker, 'exit').catch(() => undefined)
    this.#worker = worker
  }

  /** The ASP reads this queue and writes the device's packets to it. */
  attachDevice(device: number, fd: number): void {
    this.#watch(fd, READY_DEVICE | device)
    Atomics.store(this.#deviceMap, device, fd)
  }

  /** Only writes to it: packets of other ASPs' tunnels leave there. */
  lendDevice(device: number, fd: number): void {
    Atomics.store(this.#deviceMap, device, fd)
  }

  /**
   * Takes a device away and waits until the running turn, which may still use its descriptor, has ended;
   * afterwards the caller may close it.
   */
  detachDevice(device: number): void {
    const fd = Atomics.exchange(this.#deviceMap, device, -1)
    if (fd < 0) return
    epollControl(this.#epoll, C.EPOLL_CTL_DEL, fd, this.#arena.address(0))
    this.#awaitTurn()
  }

  #awaitTurn(): void {
    const until = performance.now() + TURN_LIMIT
    while (Atomics.load(this.#words, ASP_BUSY) === 1 && performance.now() < until)
      Atomics.wait(this.#words, ASP_BUSY, 1, 1)
  }

  signal(): void {
    signalEvent(this.wake)
  }

  /** Ends the thread after its turn and closes what this ASP alone uses; devices and sockets belong to the machine. */
  async stop(): Promise<void> {
    Atomics.store(this.#words, ASP_STOP, 1)
    this.signal()
    const late = setTimeout(() => void this.#worker?.terminate(), STOP_LIMIT)
    await this.#exited
    clearTimeout(late)
    this.#worker = null
    close(this.#epoll)
    close(this.wake)
  }
}
