// Which strongSwan a test meets: the one installed on this machine (5.9.8 of Debian 12: ESP always in UDP), or the one
// in a folder of its own (6.0.1 of Debian 13, from .ci/peers: plain ESP, IP protocol 50), run there by chroot.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { inFolder } from './peer-process.ts'

export type ReleaseName = '5.9.8' | '6.0.1'

export type Release = {
  name: ReleaseName
  /** folder with a file system of its own, null: this machine's */
  root: string | null
  /** settings of the plugin kernel-libipsec, one a line */
  libipsec: string[]
}

/** Folder of the peers that do not come with this machine (.ci/peers). */
export const PEERS = process.env.ASEGATE_PEERS ?? '/var/cache/asegate-peers'
const CHARON = '/usr/lib/ipsec/charon'
const LIBIPSEC = '/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so'

const RELEASES: Record<ReleaseName, Release> = {
  '5.9.8': { name: '5.9.8', root: null, libipsec: ['allow_peer_ts = yes'] },
  '6.0.1': { name: '6.0.1', root: `${PEERS}/debian13`, libipsec: ['allow_peer_ts = yes', 'raw_esp = yes'] },
}

/** The release that tests meet which do not name one: ASEGATE_STRONGSWAN, else the installed one. */
export const USUAL: ReleaseName = isRelease(process.env.ASEGATE_STRONGSWAN)
  ? process.env.ASEGATE_STRONGSWAN
  : '5.9.8'

function isRelease(name: string | undefined): name is ReleaseName {
  return name !== undefined && name in RELEASES
}

export function releaseOf(name: ReleaseName): Release {
  return RELEASES[name]
}

/**
 * Whether a test whose peer is missing fails instead of being skipped: ASEGATE_INTEROP=required, all of them;
 * =installed, those whose peer comes with this machine's own packages.
 */
export function isDemanded(comesInstalled: boolean): boolean {
  const demand = process.env.ASEGATE_INTEROP
  return demand === 'required' || (demand === 'installed' && comesInstalled)
}

/** null: everything is there; else one sentence saying what is missing. */
export function missingStrongSwan(name: ReleaseName): string | null {
  const root = releaseOf(name).root ?? ''
  if (process.getuid?.() !== 0) return 'needs root for network namespaces'
  if (!existsSync(root + CHARON)) return `strongSwan ${name} is not there (${root + CHARON}): see .ci/run`
  if (!existsSync(root + LIBIPSEC))
    return `strongSwan ${name} has no kernel-libipsec (package libcharon-extra-plugins)`
  for (const tool of ['ip', 'swanctl', 'sysctl', 'nft', 'conntrack'])
    if (spawnSync('which', [tool]).status !== 0) return `${tool} is not installed`
  return null
}

/**
 * The shell words that start charon with `directory` as its own: its /run, and what it sees as `home`. The mounts end
 * with the mount namespace that `ip netns exec` makes.
 */
export function charonIn({ root }: Release, directory: string): { script: string; home: string } {
  if (root === null)
    return {
      script: `mount --bind ${directory}/run /run && mount --bind ${directory}/swanctl /etc/swanctl && exec ${CHARON}`,
      home: directory,
    }
  return { script: inFolder(root, directory, CHARON), home: '/tmp' }
}
