/**
 * Speed of the 3DES kernels against node:crypto (des-ede3-cbc, one cipher object a message), in one process and
 * interleaved.
 *
 *   node --no-liftoff bench/des-speed.ts [SECONDS] [COUNTS] [SIZES]
 *
 * COUNTS and SIZES: messages a call and their bytes (default 1,4,8,16,32,64,128,256 and 64,576,1400,imix: 7:4:1 of
 * 64, 576 and 1400). Four ways: encryption with a key of its own for each message, the same with one key for
 * all, decryption. The figure is the median of short alternating rounds; `x` is node:crypto's time divided by
 * ours. Absolute figures move with the clock: compare ratios.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { desKernel, placeDesJobs } from '../test/des-jobs.ts'
import { KernelBench } from '../test/kernel-jobs.ts'

const seconds = Number(process.argv[2] ?? 0.4)
const counts = (process.argv[3] ?? '1,4,8,16,32,64,128,256').split(',').map(Number)
const sizes = (process.argv[4] ?? '64,576,1400,imix').split(',')
const ways = ['encrypt', 'encrypt, one key', 'decrypt', 'decrypt, one key'] as const

const bench = new KernelBench()

/** Lengths of `count` messages in bytes. */
function lengthsOf(count: number, size: string): number[] {
  return Array.from({ length: count }, (_, i) => {
    if (size !== 'imix') return Number(size)
    const place = (i * 5) % 12
    return place < 7 ? 64 : place < 11 ? 576 : 1400
  })
}

/** Best times in ms of both functions, which run in turn until the time is over. */
function alternate(ours: () => void, theirs: () => void): [number, number] {
  const best: [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
    ;[ours, theirs].forEach((run, i) => {
      const start = performance.now()
      run()
      best[i] = Math.min(best[i], performance.now() - start)
    })
  }
  return best
}

/** MB/s of the kernel, and the ratio. */
function measure(way: (typeof ways)[number], lengths: readonly number[]): [speed: number, ratio: number] {
  const shared = randomBytes(24)
  const messages = lengths.map((bytes) => ({
    key: way.endsWith('one key') ? shared : randomBytes(24),
    iv: randomBytes(8),
    data: randomBytes(bytes),
  }))
  bench.clear()
  const { jobs, scratch } = placeDesJobs(bench, messages)
  const direction = way.startsWith('decrypt') ? 'decrypt' : 'encrypt'
  const kernel = desKernel(bench, direction, 24)
  const create = way.startsWith('decrypt') ? createDecipheriv : createCipheriv
  const [ours, theirs] = alternate(
    () => kernel(jobs, messages.length, scratch),
    () => {
      for (const { key, iv, data } of messages) {
        const cipher = create('des-ede3-cbc', key, iv).setAutoPadding(false)
        cipher.update(data)
        cipher.final()
      }
    },
  )
  return [lengths.reduce((sum, length) => sum + length, 0) / ours / 1000, theirs / ours]
}

console.log(`3DES-CBC, MB/s (ratio to node:crypto), best within ${seconds} s each, Node ${process.version}`)
for (const way of ways) {
  console.log(`\n${way.padEnd(18)}${sizes.map((size) => size.padStart(16)).join('')}`)
  for (const count of counts) {
    const row = sizes.map((size) => {
      const [speed, ratio] = measure(way, lengthsOf(count, size))
      return `${speed.toFixed(0).padStart(7)} ${`(${ratio.toFixed(2)})`.padEnd(8)}`
    })
    console.log(`${String(count).padStart(6)} messages   ${row.join('')}`)
  }
}
