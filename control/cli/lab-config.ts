// Configuration files of the lab's gateways: the examples of the language, one node's half at a time.

type End = { name: string; outer: string }

/** One circuit tunnel, certificates, two protected networks on each side. */
export function figure3Config(own: End & { link: string }, peer: End & { prefixes: string[] }): string {
  const device = `t-${peer.name}`
  return `! ${own.name}: one tunnel to ${peer.name}, its own interface, certificates on both sides
pki store pki
context local
 interface ${device}
  ip address ${own.link}
${peer.prefixes.map((prefix) => ` ip route ${prefix} interface ${device}`).join('\n')}
ike proposal p1
 encryption aes-256
 authentication sha256
 prf sha256
 dh-group 14
ike policy to-${peer.name}
 seq 10 proposal p1
 local-auth rsa-signature
 remote-auth rsa-signature
 identity ${own.name}
 trust provider-ca
 local-id fqdn ${own.name}.example.net
 remote-id fqdn ${peer.name}.example.net
ipsec proposal e1
 esp encryption aes-256
 esp authentication sha256
ipsec policy data
 seq 10 proposal e1
 perfect-forward-secrecy dh-group 14
asp pool pool1
 asp 1
 asp 2
asp group g1
 pool pool1
 redundancy 1
tunnel ipsec ${own.name}-${peer.name}
 peer-end-point local ${own.outer} remote ${peer.outer}
 bind interface ${device} local
 ike-policy to-${peer.name}
 ipsec-policy data
 asp-group g1
 alarms
`
}

/** A tunnel without an interface to every other node, for the routers' own packets between their loopbacks. */
export function economicalConfig(
  own: End & { loopback: string },
  peers: (End & { loopback: string })[],
): string {
  const routes = peers.map(
    (peer) => ` ip route ${peer.loopback}/32 tunnel ${peer.name} source ${own.loopback}`,
  )
  const policies = peers.map(
    (peer) => `ike policy ${peer.name}
 pre-shared-key file psk/${[own.name, peer.name].sort().join('-')}`,
  )
  const tunnels = peers.map(
    (peer) => `tunnel ipsec ${peer.name}
 mode economical
 peer-end-point local ${own.outer} remote ${peer.outer}
 ike-policy ${peer.name}
 traffic-selector local host ${own.loopback} remote host ${peer.loopback}`,
  )
  return `! ${own.name}: economical tunnels for the router's own packets
context local
${[...routes, ...policies, ...tunnels].join('\n')}
`
}

/** Keys by hand, all in files; `sends` names the key files of the outbound direction, the peer has them inbound. */
export function manualConfig(own: End, peer: End & { prefix: string }, sends: 'out' | 'in'): string {
  const receives = sends === 'out' ? 'in' : 'out'
  return `! ${own.name}: manual keys, the peer swaps inbound and outbound
context local
 ip route ${peer.prefix} tunnel ${peer.name}
ipsec sa ${peer.name}-keys
 outbound ${manualSa(sends)}
 inbound ${manualSa(receives)}
tunnel ipsec ${peer.name} manual
 mode economical
 peer-end-point local ${own.outer} remote ${peer.outer}
 seq 10 ipsec-sa ${peer.name}-keys
`
}

function manualSa(keys: 'out' | 'in'): string {
  const spi = keys === 'out' ? 4096 : 4097
  return `esp spi ${spi} encryption aes-128 key file keys/${keys}-esp authentication sha1 key file keys/${keys}-auth`
}
