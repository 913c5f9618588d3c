// Commit, rollback and their show commands: the file is the candidate, what did not change keeps its SAs.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { diffLines } from '../control/config/line-diff.ts'
import { render } from '../control/manage/render.ts'
import { Bed, BedFiles, BedWire, pass } from './gateway-bed.ts'
import { circuit, LEFT, RIGHT } from './gateway-pair.ts'

const FILE = '/etc/asegate/test.conf'
const BEFORE = circuit(LEFT, RIGHT, '10.2.0.0/16')
const SECOND = `tunnel ipsec second
 mode economical
 peer-end-point local ${LEFT} remote 192.0.2.9
 ike-policy peer
`

/** A tunnel that is up, and a gateway whose file is BEFORE. */
async function committed() {
  const wire = new BedWire()
  const files = new BedFiles()
  files.set(FILE, BEFORE)
  const a = new Bed(BEFORE, { wire, files, address: LEFT })
  const b = new Bed(circuit(RIGHT, LEFT, '10.1.0.0/16', { policy: ' role responder' }), {
    wire,
    address: RIGHT,
  })
  for (const bed of [a, b]) bed.gateway.start()
  await pass(200, wire, a, b)
  const spis = async () => (await a.ask('show ipsec sa tunnel t')).map(({ spi }) => spi)
  assert.equal((await spis()).length, 2)
  return { a, b, wire, files, spis }
}

type Answer = { committed: boolean; plan: { code: string; message: string }[]; confirmIn: number | null }
const actions = ({ plan }: Answer) => plan.map(({ code, message }) => `${code} ${message.split(':')[0]}`)

describe('commit', () => {
  test('takes the file; what did not change keeps its SAs', async () => {
    const { a, files, spis } = await committed()
    const before = await spis()
    files.set(FILE, BEFORE + SECOND)
    const checked = await a.ask<Answer>('commit check')
    assert.deepEqual([checked.committed, a.gateway.tunnels.size], [false, 1])
    const answer = await a.ask<Answer>('commit')
    assert.deepEqual(actions(answer), ['keep tunnel t', 'add tunnel second'])
    assert.deepEqual(actions(checked), actions(answer))
    assert.deepEqual([...a.gateway.tunnels.keys()], ['t', 'second'])
    assert.deepEqual(await spis(), before)
  })

  test('of a file with errors changes nothing and names each', async () => {
    const { a, files, spis } = await committed()
    const before = await spis()
    files.set(FILE, `${BEFORE}tunel x\nike prot 1\n`)
    for (const command of ['commit', 'commit check', 'show configuration diff'])
      await assert.rejects(
        a.ask(command),
        /^Error: refused: nothing was changed\n(\/etc.*error syntax.*\n?){2}$/,
      )
    assert.deepEqual(await spis(), before)
    assert.equal((await a.ask<{ errors: unknown[] }>('show configuration candidate')).errors.length, 2)
  })

  test('confirmed is undone when nobody confirms it, and stays when somebody does', async () => {
    const { a, wire, files } = await committed()
    files.set(FILE, BEFORE + SECOND)
    assert.equal((await a.ask<Answer>('commit confirmed 5')).confirmIn, 300)
    await pass(299_000, wire, a)
    assert.equal(a.gateway.tunnels.size, 2)
    await pass(2_000, wire, a)
    assert.equal(a.gateway.tunnels.size, 1)
    assert.ok(a.entries().some(({ level, reason }) => level === 'warning' && reason === 'rollback'))
    await a.ask('commit confirmed 5')
    await a.ask('commit')
    await pass(400_000, wire, a)
    assert.equal(a.gateway.tunnels.size, 2)
  })
})

describe('rollback', () => {
  test('brings back what ran before, and keeps what did not change', async () => {
    const { a, files, spis } = await committed()
    const before = await spis()
    await assert.rejects(a.ask('rollback'), /not-found: there is no older configuration/)
    files.set(FILE, BEFORE + SECOND)
    await a.ask('commit')
    assert.deepEqual(actions(await a.ask<Answer>('rollback')), ['keep tunnel t', 'delete tunnel second'])
    assert.deepEqual([...a.gateway.tunnels.keys()], ['t'])
    assert.deepEqual(actions(await a.ask<Answer>('rollback 1')), ['keep tunnel t', 'add tunnel second'])
    assert.deepEqual(await spis(), before)
    await assert.rejects(
      a.ask('rollback 9'),
      /not-found: there is no configuration 9 commits ago; there are 3/,
    )
  })

  test('ten old ones are kept', async () => {
    const { a, files } = await committed()
    for (let count = 0; count < 12; count++) {
      files.set(FILE, `${BEFORE} description number-${count}\n`)
      await a.ask('commit')
    }
    const oldest = await a.ask<{ lines: string[] }>('show configuration rollback 10')
    assert.ok(oldest.lines.includes(' description number-1'))
    assert.equal(a.gateway.commits.old.length, 10)
  })
})

describe('show configuration', () => {
  test('candidate, diff and rollback are lines of the language without a secret', async () => {
    const { a, files } = await committed()
    assert.deepEqual(render('diff', await a.ask('show configuration diff'), false, 80), [
      `${FILE} is what runs`,
    ])
    files.set(FILE, BEFORE.replace('dpd interval 10', 'dpd interval 20') + SECOND)
    const text = render('diff', await a.ask('show configuration diff'), false, 80)
    assert.ok(text.includes('-  dpd interval 10 retries 3') && text.includes('+  dpd interval 20 retries 3'))
    assert.ok(text.includes('  ike policy peer'), 'the mode in which it stands')
    assert.ok(text.includes('+ tunnel ipsec second'))
    assert.ok(text.some((line) => /^change: tunnel t: changed: ike policy peer/.test(line)))
    const candidate = await a.ask<{ lines: string[] }>('show configuration candidate')
    await a.ask('commit')
    const running = await a.ask<{ lines: string[] }>('show configuration')
    assert.deepEqual(candidate.lines, running.lines)
    const old = await a.ask<{ lines: string[]; diff: string[] }>('show configuration rollback 1')
    assert.ok(old.lines.includes(' dpd interval 10 retries 3') && old.diff.includes('- tunnel ipsec second'))
    assert.ok(!JSON.stringify([candidate, running, old, text]).includes('sixteen bytes'))
  })
})

test('a difference of lines is the shortest one, with its neighbours and the heads above', () => {
  const before = ['a', 'b', ' b1', ' b2', '  b21', '  b22', 'c', 'd']
  const after = ['a', 'b', ' b1', ' b2', '  b21', '  new', '  b22', 'c', 'd']
  const shown = (one: string[], other: string[]) => diffLines(one, other).map(({ sign, text }) => sign + text)
  assert.deepEqual(shown(before, after), [' b', '  b2', '   b21', '+  new', '   b22'])
  assert.deepEqual(shown(after, before), [' b', '  b2', '   b21', '-  new', '   b22'])
  assert.deepEqual(shown(before, before), [])
  assert.deepEqual(shown([], ['x']), ['+x'])
  const many = Array.from({ length: 3_000 }, (_, index) => `x${index}`)
  assert.equal(shown(many, [...many].reverse()).length, 6_000)
})
