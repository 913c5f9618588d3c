// Runs a test file again inside a network namespace of its own, which vanishes with the process.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'

const MARK = 'ASEBIND_NAMESPACE'

/**
 * Outside: one test that runs `file` inside `unshare --net` (with a user namespace when not root) and passes when
 * all tests inside pass. Inside: calls define, which declares them. Where the kernel forbids it, the test is
 * skipped with the kernel's reason.
 */
export function inNamespace(file: string, define: () => void): void {
  if (process.env[MARK] === '1') define()
  else test('in a network namespace', { timeout: 300_000 }, (context) => runInside(file, context))
}

async function runInside(file: string, context: { skip(reason: string): void }): Promise<void> {
  const flags = process.getuid?.() === 0 ? ['--net'] : ['--user', '--map-root-user', '--net']
  const probe = await run('unshare', [...flags, 'true'])
  if (probe.status !== 0) {
    context.skip(`no namespace: ${probe.output.trim()}`)
    return
  }
  const inner = await run('unshare', [...flags, process.execPath, '--test-reporter=spec', file])
  if (inner.status !== 0) throw new Error(`failed inside the namespace:\n${inner.output}`)
}

async function run(command: string, args: string[]): Promise<{ status: number | null; output: string }> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const child = spawn(command, args, { env: { ...env, [MARK]: '1' }, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (text) => {
    output += text
  })
  child.stderr.on('data', (text) => {
    output += text
  })
  const [status] = await once(child, 'close').catch((error) => [String(error)])
  return { status: typeof status === 'number' ? status : 1, output: output || String(status) }
}
