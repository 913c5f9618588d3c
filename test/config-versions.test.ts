// The commit checks of IKE versions, selectors, sizes and pools; what is not built; warnings.

import { describe } from 'node:test'
import { MAX_ASPS } from '../dataplane-as/abi.ts'
import { GOOD } from './config/bench.ts'
import { POLICY, run, TUNNEL } from './config/cases.ts'

describe('version', () => {
  const proposal = (lines: string) =>
    `ike proposal x\n encryption aes-256\n authentication sha256\n dh-group 14\n${lines}`
  const v1 = (lines: string) => `ike policy p\n version 1\n pre-shared-key file k\n${lines}`
  run([
    {
      name: '1 with prf',
      text: `${proposal(' prf sha256\n')}${v1(' seq 1 proposal x\n')}`,
      errors: ['7 unsupported', '9 version'],
      warnings: ['7 ikev1'],
    },
    {
      name: '1 with group 31 and AEAD',
      text: `ike proposal x\n encryption aes-gcm-256\n prf sha256\n dh-group 31\n${v1(' seq 1 proposal x\n')}`,
      errors: ['6 unsupported', '8 version', '8 version', '8 version'],
      warnings: ['6 ikev1'],
    },
    {
      name: '1 with another authentication on each side',
      text: v1(' local-auth rsa-signature\n identity i\n'),
      errors: ['2 unsupported', '4 version'],
      warnings: ['2 ikev1'],
    },
    {
      name: '1 with several selectors',
      text: `${v1('')}${TUNNEL} traffic-selector local any remote 10.0.0.0/8\n traffic-selector local any remote 11.0.0.0/8\n`,
      errors: ['2 unsupported', '9 version'],
      warnings: ['2 ikev1'],
    },
    {
      name: '1 with classes',
      text: `${v1('')}${TUNNEL.replace('economical', 'circuit')} bind interface i local\n qos-policy q\ncontext local\n interface i\nipsec qos-policy q\n class c priority 1\n`,
      errors: ['2 unsupported', '9 version', '12 unsupported'],
      warnings: ['2 ikev1'],
    },
    { name: '2 with a mode', text: `${POLICY} mode main\n`, errors: ['3 unsupported', '3 version'] },
    {
      name: '2 with AH and ESP in one proposal',
      text: `${POLICY}${TUNNEL} ipsec-policy q\nipsec policy q\n seq 1 proposal e\nipsec proposal e\n esp encryption aes-256\n esp authentication sha256\n ah authentication sha256\n`,
      errors: ['9 version', '13 unsupported'],
    },
    {
      name: 'both is checked as each',
      text: `${POLICY} version both\n mode main\n`,
      errors: ['3 unsupported', '4 unsupported', '4 version'],
      warnings: ['3 ikev1'],
    },
  ])
})

describe('v1-psk-id', () => {
  run([
    {
      name: 'main mode with a key and an unknown peer',
      text: `ike policy p\n version 1\n pre-shared-key file k\n remote-id any\n${TUNNEL.replace('ipsec a', 'ipsec a on-demand').replace(' remote 203.0.113.1', '')}`,
      errors: ['2 unsupported', '8 v1-psk-id'],
      warnings: ['2 ikev1', '8 group-psk'],
    },
  ])
})

describe('selector', () => {
  const tunnel = (line: string) => `${POLICY}${TUNNEL} traffic-selector ${line}\n`
  const classes = (rules: string, policy: string) =>
    `${GOOD} traffic-selector access-list l\n qos-policy q\nipsec access-list l\n${rules}ipsec qos-policy q\n${policy}`
  run([
    {
      name: 'ports of a protocol without',
      text: tunnel('icmp local any port 8 remote any'),
      errors: ['7 selector'],
      says: /icmp has no ports/,
    },
    {
      name: 'ports of any protocol',
      text: 'ipsec access-list l\n seq 1 permit ip any port 80 any\n',
      errors: ['2 selector'],
    },
    {
      name: 'two IP versions',
      text: tunnel('local 10.0.0.0/8 remote 2001:db8::/32'),
      errors: ['7 selector'],
    },
    {
      name: 'a range of two IP versions, or backwards',
      text: `${tunnel('local range 10.0.0.1 ::1 remote any')} traffic-selector local range 10.0.0.9 10.0.0.1 remote any\n`,
      errors: ['7 selector', '8 selector'],
      says: /write range 10.0.0.1 10.0.0.9/,
    },
    {
      name: 'end points of two IP versions',
      text: `${POLICY}${TUNNEL.replace('203.0.113.1', '2001:db8::1')}`,
      errors: ['4 selector'],
    },
    {
      name: 'a class that is not there',
      text: classes(' seq 1 permit ip any any class voice\n', ' class bulk priority 7\n'),
      errors: ['15 selector', '16 unsupported'],
    },
    {
      name: 'a class without qos-policy',
      text: `${GOOD} traffic-selector access-list l\nipsec access-list l\n seq 1 permit ip any any class voice\n`,
      errors: ['14 selector'],
      says: /the tunnel has no qos-policy/,
    },
    {
      name: 'no default class, or two',
      text: `${classes(' seq 1 permit ip any any class voice\n', ' class voice priority 1\n')}ipsec qos-policy q2\n class a priority 1\n class b priority 2\ntunnel ipsec a\n qos-policy q2\n`,
      errors: ['15 selector', '16 unsupported', '18 unsupported', '22 selector'],
      warnings: ['22 duplicate'],
    },
  ])
})

describe('mtu', () => {
  run([
    {
      name: 'below what IPv4 allows',
      text: `${POLICY}${TUNNEL} ip mtu 575\n`,
      errors: ['7 mtu'],
      says: /575 is under 576/,
    },
    { name: '576 is good for IPv4', text: `${POLICY}${TUNNEL} ip mtu 576\n` },
    {
      name: 'below what IPv6 allows, by selector',
      text: `${POLICY}${TUNNEL} ip mtu 1279\n traffic-selector local any remote 2001:db8::/32\n`,
      errors: ['7 mtu'],
    },
    {
      name: 'below what IPv6 allows, by address',
      text: 'context local\n interface i\n  ip mtu 1279\n  ip address 2001:db8::1/64\n',
      errors: ['3 mtu'],
    },
    {
      name: 'below what IPv6 allows, by route',
      text: GOOD.replace('ip address', 'ip mtu 1000\n  ip address').replace('10.2.0.0/16', '2001:db8::/32'),
      errors: ['4 mtu'],
    },
  ])
})

describe('ah-nat', () => {
  run([
    {
      name: 'AH with forced NAT traversal, negotiated or manual',
      text: `${POLICY}${TUNNEL} ipsec-policy q
 nat-traversal force
ipsec policy q
 seq 1 proposal e
ipsec proposal e
 ah authentication sha256
ipsec sa k
 inbound ah spi 300 authentication sha256 key file k
 outbound ah spi 300 authentication sha256 key file k
tunnel ipsec b manual
 mode economical
 peer-end-point local 198.51.100.1 remote 203.0.113.2
 seq 1 ipsec-sa k
 nat-traversal force
`,
      errors: ['8 ah-nat', '12 unsupported', '20 ah-nat'],
      warnings: ['16 manual-key'],
    },
  ])
})

describe('asp', () => {
  run([
    {
      name: 'one ASP in two pools',
      text: 'asp pool p\n asp 1\nasp pool q\n asp 1\n',
      errors: ['4 asp'],
    },
    {
      name: 'redundancy that leaves none',
      text: 'asp pool p\n asp 1\nasp group g\n pool p\n redundancy 1\n',
      errors: ['5 asp'],
    },
    {
      name: 'nothing in pool or group',
      text: 'asp pool p\nasp group g\n',
      errors: ['1 asp', '2 asp'],
    },
    {
      name: 'an ASP that the card does not have',
      text: `asp pool p\n asp ${MAX_ASPS}\n asp ${MAX_ASPS + 1}\n`,
      errors: ['3 unsupported'],
    },
  ])
})

describe('unsupported', () => {
  run([
    {
      name: 'not the choices of IKE',
      text: `ike proposal x\n encryption chacha20-poly1305\n prf sha512\n dh-group 21\n additional-ke mlkem-768\n${POLICY} local-auth digital-signature\n identity i\n ppk x file k\n mobike\n`,
    },
    {
      name: 'not the rules of IPsec policies',
      text: 'ipsec proposal x\n esp encryption aes-128\n esp authentication sha512\nipsec policy q\n tfc-pad 100\n ecn compatibility\n perfect-forward-secrecy dh-group 18\n additional-ke mlkem-1024\n',
    },
    {
      name: 'contexts, log server, management',
      text: `context blue\nsecurity service\n log-server ::1\nmanagement\n metrics ::1 port 9100\n listen ::1 port 8443\n snmp trap-host ::1\n${POLICY}${TUNNEL} ip tcp-mss auto\n peer-end-point local 198.51.100.1 remote 203.0.113.1 context blue\n`,
      errors: ['1 unsupported', '3 unsupported', '6 unsupported', '7 unsupported', '15 unsupported'],
      warnings: ['15 duplicate'],
    },
    ...['off', 'auto', '1300'].map((mss) => ({
      name: `not clamping: ${mss}`,
      text: `${POLICY}${TUNNEL} ip tcp-mss ${mss}\n`,
    })),
  ])
})

describe('warnings', () => {
  run([
    {
      name: 'nothing about alarms',
      text: `ipsec alarms holddown 5\n${POLICY}${TUNNEL} alarms\n`,
      warnings: [],
    },
    {
      name: 'no-multicast',
      text: `${GOOD} traffic-selector local any remote 10.2.0.0/16\n`,
      warnings: ['12 no-multicast'],
    },
    {
      name: 'no-multicast for RIP alone',
      text: `${GOOD} traffic-selector 89 local any remote any\n`,
      warnings: ['12 no-multicast'],
      says: /shut out 224.0.0.9, so/,
    },
    {
      name: 'not for selectors that admit it',
      text: `${GOOD} traffic-selector local any remote 10.2.0.0/16\n traffic-selector local any remote 224.0.0.0/24\n`,
    },
    {
      name: 'route-recursion',
      text: GOOD.replace('10.2.0.0/16', '203.0.112.0/22'),
      warnings: ['5 route-recursion'],
    },
    {
      name: 'route-recursion of an economical tunnel',
      text: `${POLICY}${TUNNEL}context local\n ip route 0.0.0.0/0 tunnel a\n`,
      warnings: ['8 route-recursion'],
    },
  ])
})
