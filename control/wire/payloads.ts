// Bodies of the single payloads, RFC 7296 §3.3-§3.13: what follows the generic payload header.

import { concat, u16, u16Bytes } from './bytes.ts'
import { malformed } from './reasons.ts'
import { decodeSa, encodeSa } from './sa-payload.ts'
import { decodeSelectors, encodeSelectors } from './selectors.ts'
import type { Decoded, Payload } from './types.ts'
import { PayloadType, ProtocolId } from './types.ts'

const reserved3 = new Uint8Array(3)

type Decoder = (body: Uint8Array) => Decoded<Payload>

const good = (value: Payload): Decoded<Payload> => ({ ok: true, value })

/** §3.4: group, 2 reserved bytes, public value. */
function decodeKe(body: Uint8Array): Decoded<Payload> {
  if (body.length < 5) return malformed('ike-ke-payload', 'empty')
  return good({ kind: 'KE', group: u16(body, 0), data: body.subarray(4) })
}

/** §3.5: type, 3 reserved bytes, identity. `raw` keeps the reserved bytes as received: AUTH covers them (A8). */
function decodeId(kind: 'IDi' | 'IDr'): Decoder {
  return (body) => {
    if (body.length < 4) return malformed('ike-id-payload')
    return good({ kind, idType: body[0], data: body.subarray(4), raw: body })
  }
}

/** §3.6, §3.7: encoding, data. */
function decodeCert(kind: 'CERT' | 'CERTREQ'): Decoder {
  return (body) => {
    if (body.length < 1) return malformed('ike-cert-payload')
    return good({ kind, encoding: body[0], data: body.subarray(1) })
  }
}

/** §3.8: method, 3 reserved bytes, data. */
function decodeAuth(body: Uint8Array): Decoded<Payload> {
  if (body.length < 5) return malformed('ike-auth-payload')
  return good({ kind: 'AUTH', method: body[0], data: body.subarray(4) })
}

/** §3.9: 16 to 256 bytes. */
function decodeNonce(body: Uint8Array): Decoded<Payload> {
  if (body.length < 16 || body.length > 256) return malformed('ike-nonce-length', `${body.length} bytes`)
  return good({ kind: 'NONCE', data: body })
}

/** §3.10: protocol, SPI size, type, SPI, data. */
function decodeNotify(body: Uint8Array): Decoded<Payload> {
  if (body.length < 4 || body.length < 4 + body[1]) return malformed('ike-notify-payload')
  const dataAt = 4 + body[1]
  return good({
    kind: 'NOTIFY',
    protocol: body[0],
    type: u16(body, 2),
    spi: body.subarray(4, dataAt),
    data: body.subarray(dataAt),
  })
}

/** §3.11: IKE has no SPI, AH and ESP have 4-byte SPIs; the count must fill the payload exactly. */
function decodeDelete(body: Uint8Array): Decoded<Payload> {
  if (body.length < 4) return malformed('ike-delete-payload')
  const [protocol, size] = body
  const count = u16(body, 2)
  const wanted = protocol === ProtocolId.IKE ? 0 : 4
  if (size !== wanted || (size === 0 && count !== 0))
    return malformed('ike-delete-payload', `SPI size ${size}`)
  if (body.length !== 4 + size * count) return malformed('ike-delete-payload', `${count} SPIs`)
  const spis = Array.from({ length: count }, (_, index) => body.subarray(4 + 4 * index, 8 + 4 * index))
  return good({ kind: 'DELETE', protocol, spis })
}

/** §3.13: list of selectors. */
function decodeTs(kind: 'TSi' | 'TSr'): Decoder {
  return (body) => {
    const selectors = decodeSelectors(body)
    return selectors.ok ? good({ kind, selectors: selectors.value }) : selectors
  }
}

/** §3.3: proposals. */
function decodeSaBody(body: Uint8Array): Decoded<Payload> {
  const proposals = decodeSa(body)
  return proposals.ok ? good({ kind: 'SA', proposals: proposals.value }) : proposals
}

const decoders: Record<number, Decoder> = {
  [PayloadType.SA]: decodeSaBody,
  [PayloadType.KE]: decodeKe,
  [PayloadType.IDi]: decodeId('IDi'),
  [PayloadType.IDr]: decodeId('IDr'),
  [PayloadType.CERT]: decodeCert('CERT'),
  [PayloadType.CERTREQ]: decodeCert('CERTREQ'),
  [PayloadType.AUTH]: decodeAuth,
  [PayloadType.NONCE]: decodeNonce,
  [PayloadType.NOTIFY]: decodeNotify,
  [PayloadType.DELETE]: decodeDelete,
  [PayloadType.VENDOR]: (body) => good({ kind: 'VENDOR', data: body }),
  [PayloadType.TSi]: decodeTs('TSi'),
  [PayloadType.TSr]: decodeTs('TSr'),
  [PayloadType.CP]: (body) => good({ kind: 'CP', data: body }),
  [PayloadType.EAP]: (body) => good({ kind: 'EAP', data: body }),
}

/** Decodes one body; types without a decoder become UNKNOWN, with their critical flag (§2.5). */
export function decodeBody(type: number, critical: boolean, body: Uint8Array): Decoded<Payload> {
  const decoder = decoders[type]
  return decoder ? decoder(body) : good({ kind: 'UNKNOWN', type, critical, data: body })
}

/** Number of a payload on the wire (§3.2). */
export function payloadTypeOf(payload: Payload): number {
  return payload.kind === 'UNKNOWN' ? payload.type : PayloadType[payload.kind]
}

function encodeDelete(protocol: number, spis: Uint8Array[]): Uint8Array {
  return concat(
    Uint8Array.of(protocol, spis[0]?.length ?? (protocol === ProtocolId.IKE ? 0 : 4)),
    u16Bytes(spis.length),
    ...spis,
  )
}

/** Encodes one body. ID payloads are built from idType and data; `raw` is what a receiver keeps. */
export function encodeBody(payload: Payload): Uint8Array {
  switch (payload.kind) {
    case 'SA':
      return encodeSa(payload.proposals)
    case 'KE':
      return concat(u16Bytes(payload.group), new Uint8Array(2), payload.data)
    case 'IDi':
    case 'IDr':
      return concat(Uint8Array.of(payload.idType), reserved3, payload.data)
    case 'CERT':
    case 'CERTREQ':
      return concat(Uint8Array.of(payload.encoding), payload.data)
    case 'AUTH':
      return concat(Uint8Array.of(payload.method), reserved3, payload.data)
    case 'NOTIFY':
      return concat(
        Uint8Array.of(payload.protocol, payload.spi.length),
        u16Bytes(payload.type),
        payload.spi,
        payload.data,
      )
    case 'DELETE':
      return encodeDelete(payload.protocol, payload.spis)
    case 'TSi':
    case 'TSr':
      return encodeSelectors(payload.selectors)
    case 'NONCE':
    case 'VENDOR':
    case 'CP':
    case 'EAP':
    case 'UNKNOWN':
      return payload.data
  }
}
