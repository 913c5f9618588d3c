// The commit checks of names, tunnels and routes.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { formatFinding } from '../control/config/load.ts'
import { codes, GOOD, load } from './config/bench.ts'
import { POLICY, run, TUNNEL } from './config/cases.ts'

describe('a good configuration', () => {
  run([
    { name: 'brings nothing', text: GOOD },
    { name: 'that is empty brings nothing', text: '! nothing\n' },
    { name: 'may re-open the default IPsec policy', text: 'ipsec policy default\n anti-replay 1024\n' },
  ])

  it('has findings printed as FILE:LINE', () => {
    const [first] = load('nonsense').errors
    assert.match(
      formatFinding('a.conf', first, 'error'),
      /^a\.conf:1: error syntax: unknown statement "nonsense"/,
    )
  })
})

describe('unresolved', () => {
  run([
    {
      name: 'policies, keys and lists of a tunnel',
      text: `${POLICY}${TUNNEL} ipsec-policy q\n traffic-selector access-list l\n asp-group g\n`,
      errors: ['7 unresolved', '8 unresolved', '9 unresolved'],
      warnings: [],
      says: /^tunnel a: no ipsec policy "q"; there is: default$/,
    },
    {
      name: 'an ike policy, with the nearest name',
      text: `${POLICY}${TUNNEL.replace('ike-policy p', 'ike-policy pp')}`,
      errors: ['6 unresolved'],
      says: /no ike policy "pp"; did you mean "p"\?; there is: p$/,
    },
    {
      name: 'proposals of policies',
      text: `${POLICY} seq 10 proposal x\nipsec policy q\n seq 5 proposal y\n`,
      errors: ['3 unresolved', '5 unresolved'],
    },
    {
      name: 'the interface of a bind, the context, the targets of routes',
      text: GOOD.replace('bind interface t-a local', 'bind interface t-b local').replace(
        'interface t-a\n  ip',
        'interface t-c\n  ip',
      ),
      errors: ['5 unresolved', '10 unresolved'],
    },
    {
      name: 'the context of a bind',
      text: GOOD.replace('t-a local', 't-a blue'),
      errors: ['5 route', '10 unresolved'],
    },
    {
      name: 'the tunnel of a route',
      text: 'context local\n ip route 10.0.0.0/8 tunnel x\n',
      errors: ['2 unresolved'],
    },
    {
      name: 'the pools of a group',
      text: 'asp group g\n pool x\n',
      errors: ['2 unresolved'],
    },
    {
      name: 'the keys of a manual tunnel',
      text: 'tunnel ipsec a manual\n mode economical\n peer-end-point local any remote 203.0.113.1\n seq 1 ipsec-sa k\n',
      errors: ['4 unresolved'],
      warnings: ['1 manual-key'],
    },
    {
      name: 'a group of the service',
      text: 'security service\n asp-group x\n',
      errors: ['2 unresolved'],
    },
  ])
})

describe('device-name', () => {
  const named = (name: string) => `context local\n interface ${name}\n`
  run([
    {
      name: 'longer than the kernel takes',
      text: named('a234567890123456'),
      errors: ['2 device-name'],
      says: /16 characters, at most 15/,
    },
    {
      name: 'that multibind would give to a peer',
      text: `${named('od multibind')} interface od-3\n`,
      errors: ['2 device-name'],
      says: /names such as od-3, which is an interface already/,
    },
    { name: 'of 15 characters is good', text: named('a23456789012345') },
    { name: 'of the shared device', text: named('ase0'), errors: ['2 device-name'] },
    { name: 'of the kernel', text: named('lo'), errors: ['2 device-name'] },
    {
      name: 'longer than leaves room for numbers',
      text: named('a2345678901 multibind'),
      errors: ['2 device-name'],
    },
  ])

  it('of a device that is not ours', () => {
    const found = load(named('eth0'), {}, { foreignDevice: (name) => name === 'eth0' })
    assert.deepEqual(codes(found.errors), ['2 device-name'])
  })
})

describe('tunnel-kind', () => {
  const onDemand = 'tunnel ipsec a on-demand\n peer-end-point local any\n mode economical\n ike-policy p\n'
  const manual = 'tunnel ipsec a manual\n mode economical\n peer-end-point local any remote 203.0.113.1\n'
  run([
    {
      name: 'no end point',
      text: `${POLICY}tunnel ipsec a\n mode economical\n ike-policy p\n`,
      errors: ['3 tunnel-kind'],
    },
    {
      name: 'static without remote',
      text: `${POLICY}${TUNNEL.replace(' remote 203.0.113.1', '')}`,
      errors: ['4 tunnel-kind'],
    },
    { name: 'static without policy', text: TUNNEL.replace(' ike-policy p\n', ''), errors: ['1 tunnel-kind'] },
    {
      name: 'static with max-tunnels',
      text: `${POLICY}${TUNNEL} max-tunnels 5\n`,
      errors: ['7 tunnel-kind'],
    },
    {
      name: 'static with keys',
      text: `ipsec sa k\n${POLICY}${TUNNEL} seq 1 ipsec-sa k\n`,
      errors: ['1 manual', '4 tunnel-kind'],
    },
    {
      name: 'on-demand with remote',
      text: `${POLICY} remote-id any\n${onDemand.replace('any', 'any remote 1.2.3.4')}`,
      errors: ['5 tunnel-kind'],
      warnings: ['7 group-psk'],
    },
    {
      name: 'on-demand that initiates, and without remote-id',
      text: `${POLICY} role initiator\n${onDemand}`,
      errors: ['7 tunnel-kind', '7 tunnel-kind'],
      warnings: ['7 group-psk'],
    },
    {
      name: 'on-demand without policy',
      text: onDemand.replace(' ike-policy p\n', ''),
      errors: ['1 tunnel-kind'],
    },
    {
      name: 'on-demand whose peers would get the name of another tunnel',
      text: `${POLICY} remote-id any\n${onDemand}${TUNNEL.replace('ipsec a', 'ipsec a-7')}`,
      errors: ['4 tunnel-kind'],
      warnings: ['7 group-psk'],
      says: /gives its peers names such as a-7, which is a tunnel already/,
    },
    {
      name: 'on-demand with a name that leaves no room for numbers',
      text: `${POLICY} remote-id any\n${onDemand.replace('ipsec a', `ipsec a${'b'.repeat(27)}`)}`,
      errors: ['4 tunnel-kind'],
      warnings: ['7 group-psk'],
      says: /28 characters; its peers get -N behind it, so at most 27/,
    },
    { name: 'manual without keys', text: manual, errors: ['1 tunnel-kind'], warnings: ['1 manual-key'] },
    {
      name: 'manual with policies',
      text: `${POLICY}ipsec policy q\n${manual} ike-policy p\n ipsec-policy q\n`,
      errors: ['4 tunnel-kind', '7 tunnel-kind', '8 tunnel-kind'],
      warnings: ['4 manual-key'],
    },
  ])
})

describe('bind', () => {
  run([
    {
      name: 'circuit without',
      text: GOOD.replace(' bind interface t-a local\n', ''),
      errors: ['5 route', '8 bind'],
      says: /add bind interface NAME CONTEXT, or write mode economical/,
    },
    { name: 'economical with', text: `${GOOD} mode economical\n`, errors: ['5 route', '10 bind'] },
    {
      name: 'one interface for two tunnels',
      text: `${GOOD}tunnel ipsec b\n peer-end-point local 198.51.100.1 remote 203.0.113.2\n bind interface t-a local\n ike-policy to-a\n`,
      errors: ['14 bind'],
      says: /already bound to tunnel a/,
    },
    {
      name: 'static on multibind',
      text: GOOD.replace('interface t-a\n', 'interface t-a multibind\n'),
      errors: ['10 bind'],
    },
    {
      name: 'on-demand without multibind',
      text: GOOD.replace('tunnel ipsec a', 'tunnel ipsec a on-demand')
        .replace(' remote 203.0.113.1', '')
        .replace('file psk/a', 'file psk/a\n remote-id any'),
      errors: ['5 route', '11 bind'],
      warnings: ['12 group-psk'],
    },
  ])
})

describe('route', () => {
  run([
    {
      name: 'to an interface without tunnel',
      text: 'context local\n interface t-a\n ip route 10.0.0.0/8 interface t-a\n',
      errors: ['3 route'],
    },
    {
      name: 'to a circuit tunnel by name',
      text: GOOD.replace('interface t-a\nike', 'tunnel a\nike'),
      errors: ['5 route'],
      says: /in circuit mode; route to its interface/,
    },
    {
      name: 'to an on-demand tunnel',
      text: `${POLICY} remote-id any\ntunnel ipsec a on-demand\n mode economical\n peer-end-point local any\n ike-policy p\ncontext local\n ip route 10.0.0.0/8 tunnel a\n`,
      errors: ['9 route'],
      warnings: ['7 group-psk'],
    },
    {
      name: 'to the interface of an on-demand tunnel',
      text: `${GOOD.replace('interface t-a\n', 'interface t-a multibind\n').replace('tunnel ipsec a', 'tunnel ipsec a on-demand').replace(' remote 203.0.113.1', '').replace('file psk/a', 'file psk/a\n remote-id any')}`,
      errors: ['5 route'],
      warnings: ['12 group-psk'],
      says: /that of on-demand tunnel a; routes to its peers come with them/,
    },
    {
      name: 'with a source of the other family',
      text: `${POLICY}${TUNNEL}context local\n ip route 10.0.0.0/8 tunnel a source ::1\n`,
      errors: ['8 route'],
    },
    { name: 'to null0 is good', text: 'context local\n ip route 10.0.0.0/8 null0 distance 250 withdraw\n' },
  ])
})

describe('circuit-only', () => {
  run([
    {
      name: 'classes and discards on an economical tunnel',
      text: `${POLICY}${TUNNEL} traffic-selector access-list l\n qos-policy q\nipsec access-list l\n seq 1 discard ip any any\nipsec qos-policy q\n class c priority 1\n`,
      errors: ['7 circuit-only', '8 circuit-only', '10 unsupported', '11 unsupported'],
    },
  ])
})
