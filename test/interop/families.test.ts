// IPv4 and IPv6 inside and outside the tunnel, all four pairs and both inside at once, whoever begins, with
// strongSwan 5.9.8: pings and packets of 1,400 bytes both ways, none of them in fragments.

import assert from 'node:assert/strict'
import { type Bed, type BedOptions, interopTest, withBed } from './bed.ts'
import { AES128_SHA1, OUR_FILES, type OurOptions, ourConfig, swanConfig } from './config.ts'

const PINGS = 5
/** bytes of the IP packet */
const LARGE = 1_400

type Family = 4 | 6
type Role = OurOptions['role']

const OUTER = {
  4: { left: '192.0.2.1', right: '192.0.2.2' },
  6: { left: '2001:db8::1', right: '2001:db8::2' },
}
const NETS = {
  4: { left: '10.1.0.0/24', right: '10.2.0.0/24' },
  6: { left: 'fd01::/64', right: 'fd02::/64' },
}
const HOSTS = {
  4: { left: '10.1.0.2', right: '10.2.0.2' },
  6: { left: 'fd01::2', right: 'fd02::2' },
}
/** IP header and ICMP header */
const HEADERS = { 4: 28, 6: 48 }

/** The common configurations with other addresses. */
function bedFor(outer: Family, inner: Family[], role: Role): BedOptions {
  const suite = AES128_SHA1
  const { left, right } = OUTER[outer]
  const routes = inner.map((family) => ` ip route ${NETS[family].right} interface t-right`)
  const selectors = inner.map(
    (family) => ` traffic-selector local ${NETS[family].left} remote ${NETS[family].right}`,
  )
  const swan = swanConfig({ suite })
  const nets = (side: 'left' | 'right') => inner.map((family) => NETS[family][side]).join(',')
  return {
    config: ourConfig({ suite, role })
      .replace('local 192.0.2.1 remote 192.0.2.2', `local ${left} remote ${right}`)
      .replace(/ ip route .*/, routes.join('\n'))
      .replace(/ traffic-selector .*/, selectors.join('\n')),
    files: OUR_FILES,
    swan: {
      ...swan,
      connection: swan.connection
        .replace('192.0.2.2', right)
        .replace('192.0.2.1', left)
        .replace('10.2.0.0/24', nets('right'))
        .replace('10.1.0.0/24', nets('left')),
    },
  }
}

/** Replies to echo requests of `bytes` bytes in one piece from a LAN to the other. */
async function replies(bed: Bed, family: Family, from: 'left' | 'right', bytes: number): Promise<number> {
  const to = HOSTS[family][from === 'left' ? 'right' : 'left']
  const size = String(bytes - HEADERS[family])
  // all at once: ping waits for late answers as long as its interval
  const words = ['-n', '-q', '-c', String(PINGS), '-l', String(PINGS), '-i', '5', '-M', 'do', '-s', size]
  const child = bed.network.start(`lan-${from}`, 'ping', ...words, to)
  let text = ''
  for await (const chunk of child.stdout!) text += chunk
  return Number(/(\d+) received/.exec(text)?.[1])
}

const SIZES = [100, LARGE]

/** Packets on the SA that we send on: the capture may show several datagrams as one frame. */
async function sent(bed: Bed): Promise<number> {
  const rows = await bed.rows('show ipsec sa')
  return Number(rows.find(({ direction }) => direction === 'out')?.packets)
}

async function assertTraffic(bed: Bed, family: Family): Promise<void> {
  const before = await sent(bed)
  for (const from of ['left', 'right'] as const)
    for (const bytes of SIZES) {
      const what = `IPv${family} from the ${from}, ${bytes} bytes`
      assert.equal(await replies(bed, family, from, bytes), PINGS, what)
    }
  assert.ok((await sent(bed)) >= before + 2 * SIZES.length * PINGS)
  assert.ok(bed.wire.counts.esp > 0)
}

const ROLES: Role[] = ['initiator', 'responder']
const PAIRS: [outer: Family, inner: Family][] = [
  [4, 4],
  [4, 6],
  [6, 4],
  [6, 6],
]
const CASES: [outer: Family, inner: Family[], role: Role][] = [
  ...PAIRS.flatMap(([outer, inner]) => ROLES.map((role): [Family, Family[], Role] => [outer, [inner], role])),
  [4, [4, 6], 'responder'],
  [6, [4, 6], 'initiator'],
]

for (const [outer, inner, role] of CASES) {
  const inside = inner.map((family) => `IPv${family}`).join(' and ')
  interopTest(`${inside} in IPv${outer}, ${role === 'initiator' ? 'we' : 'they'} initiate`, () =>
    withBed(bedFor(outer, inner, role), async (bed) => {
      if (role === 'responder') bed.peer.swanctl('--initiate', '--child', 'net')
      await bed.reach('up')
      for (const family of inner) await assertTraffic(bed, family)
      const [row] = await bed.rows('show ike sa')
      assert.ok(String(row?.remote).includes(OUTER[outer].right), String(row?.remote))
    }),
  )
}
