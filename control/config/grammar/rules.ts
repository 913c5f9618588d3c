// The rules that several statements share, and how their words become data.

import { canonicalAddress, formatPrefix, PROTOCOLS, parsePrefix } from '../../address.ts'
import type { Values } from '../match.ts'
import type { Identity, SecretSource, Selector } from '../model.ts'
import { inlineSecret } from '../secrets.ts'
import type { Site } from './mode.ts'

/** Rule texts; a leading `=` marks a plain choice (pattern.ts). */
export const RULES: Readonly<Record<string, string>> = {
  proto: '=ip | tcp | udp | sctp | icmp | icmp6 | INT{0..255}',
  selector:
    '(any=any | host host=ADDR | prefix=NETWORK | range from=ADDR to=ADDR) [port port=PORTS{0..65535}]',
  'next-hop': 'interface interface=NAME | tunnel tunnel=NAME | null0=null0',
  key: 'hex hex=HEX | file file=PATH',
  id: 'address address=ADDR | fqdn fqdn=STRING | user-fqdn user-fqdn=STRING | dn dn=STRING | key-id key-id=HEX',
  auth: '=pre-shared-key | rsa-signature | digital-signature',
  encr: '=des | 3des | aes-128 | aes-192 | aes-256 | aes-gcm-128 | aes-gcm-256 | chacha20-poly1305 | null',
  hash: '=md5 | sha1 | sha256 | sha384 | sha512 | none',
  group: '=1 | 2 | 5 | 14 | 15 | 16 | 17 | 18 | 19 | 20 | 21 | 31',
  kem: '=mlkem-512 | mlkem-768 | mlkem-1024',
}

/** Canonical text of an ADDR word, which has passed its class. */
export function addressOf(values: Values, name: string): string {
  return canonicalAddress(values.text(name)) as string
}

/** Canonical text of a PREFIX word, which has passed its class. */
export function prefixOf(values: Values, name: string): string {
  return formatPrefix(parsePrefix(values.text(name))!)
}

export function protocolOf(values: Values, name: string): number {
  const word = values.maybe(name)
  if (word === undefined) return 0
  return PROTOCOLS[word] ?? values.int(name)
}

export function selectorOf(values: Values, name: string): Selector {
  const port = values.has(`${name}.port`) ? { port: values.ports(`${name}.port`) } : {}
  if (values.has(`${name}.host`)) return { kind: 'host', value: addressOf(values, `${name}.host`), ...port }
  if (values.has(`${name}.prefix`))
    return { kind: 'prefix', value: prefixOf(values, `${name}.prefix`), ...port }
  if (values.has(`${name}.any`)) return { kind: 'any', ...port }
  const [from, to] = [addressOf(values, `${name}.from`), addressOf(values, `${name}.to`)]
  return { kind: 'range', from, to, ...port }
}

/** `<key>`, and `text STRING` where the statement allows it. */
export function secretOf(values: Values, name: string, site: Site): SecretSource {
  if (values.has(`${name}.file`)) return { kind: 'file', path: site.path(values.text(`${name}.file`)) }
  if (values.has(`${name}.hex`)) return inlineSecret('hex', values.text(`${name}.hex`))
  return inlineSecret('text', values.text('text'))
}

const TEXT_IDS = ['fqdn', 'user-fqdn', 'dn'] as const

export function identityOf(values: Values, name: string): Identity {
  if (values.has(`${name}.address`)) return { kind: 'address', value: addressOf(values, `${name}.address`) }
  const kind = TEXT_IDS.find((each) => values.has(`${name}.${each}`))
  if (kind !== undefined) return { kind, value: values.text(`${name}.${kind}`) }
  return { kind: 'key-id', value: values.text(`${name}.key-id`).toLowerCase() }
}
