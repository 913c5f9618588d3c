// A NAT between our gateway and strongSwan 5.9.8 (RFC 3947, 3948, RFC 7296 §2.23): either end behind it, ports kept or
// mapped to others, and a NAT that forgets its mappings under traffic.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bed, type BedOptions, interopTest, withBed } from './bed.ts'
import { AES128_SHA1, OUR_FILES, ourConfig, swanConfig } from './config.ts'
import {
  INSIDE_ADDRESS,
  insertNat,
  insertTwoNats,
  MAPPED_PORTS,
  type NatBox,
  type NatOptions,
  type Side,
} from './nat-network.ts'

const PINGS = 5
const PATIENCE = 60_000 // ms
/** pings answered in a row after which traffic flows again */
const FLOWING = 5

type Options = NatOptions & { policy?: string[]; globals?: string[]; swan?: (connection: string) => string }

/** Who is behind the NAT begins; the other end answers whom it knows by the NAT's address. */
async function withNat(options: Options, run: (bed: Bed, box: NatBox) => Promise<void>): Promise<void> {
  let box: NatBox | null = null
  const prepare: BedOptions['prepare'] = (network) => {
    const made = insertNat(network, options)
    box = made
    return made.remove
  }
  await withBed({ ...configsOf(options), files: OUR_FILES, prepare }, (bed) => run(bed, box!))
}

function configsOf({ behind, policy = [], globals, swan = (text) => text }: Options) {
  const suite = AES128_SHA1
  const isOurs = behind === 'left'
  const identities = ['local-id fqdn left', 'remote-id fqdn right']
  const role = isOurs ? ('initiator' as const) : ('responder' as const)
  const config = ourConfig({ suite, role, globals, policy: [...identities, ...policy] })
  const theirs = swanConfig({
    suite,
    local: ['auth = psk', 'id = right'],
    remote: ['auth = psk', 'id = left'],
  })
  const connection = theirs.connection.replace('local_addrs = 192.0.2.2', 'local_addrs = %any')
  return {
    config: isOurs ? config.replace('local 192.0.2.1', `local ${INSIDE_ADDRESS}`) : config,
    swan: { ...theirs, connection: swan(connection) },
  }
}

async function begin(bed: Bed, behind: Side): Promise<void> {
  if (behind === 'right') bed.peer.swanctl('--initiate', '--child', 'net')
  await bed.reach('up')
}

async function pingBothWays(bed: Bed): Promise<void> {
  assert.equal(await bed.ping('left', PINGS), PINGS)
  assert.equal(await bed.ping('right', PINGS), PINGS)
}

/** Port that the peer has for us, or we for the peer, of the NAT: 4500 unless it maps. */
async function remotePort(bed: Bed): Promise<number> {
  const [row] = await bed.rows('show ike sa')
  return Number(String(row?.remote).split(':').at(-1))
}

const isMapped = (port: number) => port >= MAPPED_PORTS.first && port <= MAPPED_PORTS.last

for (const behind of ['left', 'right'] as const)
  for (const remaps of [false, true])
    interopTest(
      `${behind === 'left' ? 'we are' : 'it is'} behind a NAT that ${remaps ? 'maps' : 'keeps'} ports`,
      () =>
        withNat({ behind, remaps }, async (bed) => {
          await begin(bed, behind)
          await pingBothWays(bed)
          const [row] = await bed.rows('show tunnel ipsec right detail')
          assert.equal(row?.encapsulation, 'udp')
          if (behind === 'right') assert.equal(isMapped(await remotePort(bed)), remaps)
          else assert.match(bed.peer.log(), remaps ? /192\.0\.2\.1\[[23]\d{4}\]/ : /192\.0\.2\.1\[4500\]/)
          const found = behind === 'left' ? /remote host is behind NAT/ : /local host is behind NAT/
          assert.match(bed.peer.log(), found)
        }),
    )

interopTest('both are behind a NAT, its NAT forwards ports', () => {
  const options = { behind: 'left', remaps: true } as const
  return withBed({ ...configsOf(options), files: OUR_FILES, prepare: insertTwoNats }, async (bed) => {
    await begin(bed, 'left')
    await pingBothWays(bed)
    assert.match(bed.peer.log(), /local host is behind NAT/)
    assert.match(bed.peer.log(), /remote host is behind NAT/)
  })
})

interopTest(
  'its NAT forgets it under traffic: we follow its packets, and a forged one does not move us',
  () =>
    withNat({ behind: 'right', remaps: true }, async (bed, box) => {
      await begin(bed, 'right')
      await pingBothWays(bed)
      const before = await remotePort(bed)
      const spi = Number((await bed.rows('show ipsec sa')).find((sa) => sa.direction === 'in')?.spi)
      const unauthentic = await badIcvs(bed)
      forge(box, spi)
      await until(async () => (await badIcvs(bed)) > unauthentic, 'the forged packet was seen')
      assert.equal(await remotePort(bed), before)
      box.forget()
      await flowing(bed, 'right')
      const after = await remotePort(bed)
      assert.notEqual(after, before)
      assert.ok(isMapped(after))
      assert.equal((await bed.rows('show ike sa')).length, 1)
      await pingBothWays(bed)
    }),
)

/** strongSwan follows our IKE messages: those that ask whether it lives, since nothing comes back any more. */
interopTest('our NAT forgets us under traffic: the tunnel goes on under the same IKE SA', () =>
  withNat({ behind: 'left', remaps: true, policy: ['dpd interval 1 retries 5'] }, async (bed, box) => {
    await begin(bed, 'left')
    await pingBothWays(bed)
    const before = (await bed.rows('show ike sa'))[0]?.initiatorSpi
    box.forget()
    await flowing(bed, 'left')
    assert.equal((await bed.rows('show ike sa'))[0]?.initiatorSpi, before)
    await pingBothWays(bed)
  }),
)

interopTest('keepalives keep the mapping of an idle tunnel', () =>
  withNat(
    {
      behind: 'left',
      remaps: true,
      timeout: 7,
      globals: ['ike nat-keepalive 1'],
      policy: ['dpd disable'],
      swan: (text) => text.replace('dpd_delay = 5s', 'dpd_delay = 0s'),
    },
    async (bed) => {
      await begin(bed, 'left')
      await pingBothWays(bed)
      const { keepalive } = bed.wire.counts
      await sleep(9_000) // longer than the NAT remembers
      assert.ok(bed.wire.counts.keepalive > keepalive)
      assert.equal(await bed.ping('right', PINGS), PINGS)
    },
  ),
)

/** From the NAT's own address, another port, with our inbound SPI: everything right but the ICV. */
function forge(box: NatBox, spi: number): void {
  const bytes = [
    spi >>> 24,
    (spi >> 16) & 255,
    (spi >> 8) & 255,
    spi & 255,
    0,
    0,
    1,
    0,
    ...Array(108).fill(7),
  ]
  const text = bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')
  box.run('bash', '-c', `printf '${text}' > /dev/udp/192.0.2.1/4500`)
}

async function badIcvs(bed: Bed): Promise<number> {
  const row = (await bed.rows('show counters drop')).find(({ reason }) => reason === 'bad-icv')
  return Number(row?.packets ?? 0)
}

async function until(isDone: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + PATIENCE
  while (!(await isDone())) {
    assert.ok(performance.now() < deadline, what)
    await sleep(50)
  }
}

/** Pings go on until so many of a burst come back. */
async function flowing(bed: Bed, from: Side): Promise<void> {
  const deadline = performance.now() + PATIENCE
  while ((await bed.ping(from, FLOWING, 1_000)) < FLOWING)
    assert.ok(performance.now() < deadline, `no traffic again\n${bed.peer.log().slice(-3000)}`)
}
