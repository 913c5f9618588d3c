// NAT detection, RFC 7296 §2.23.

import type { Endpoint } from '../ports.ts'
import { addressBytes } from '../wire/address.ts'
import { concat, u16Bytes, u64Bytes } from '../wire/bytes.ts'
import { digest } from './suite.ts'

/** SHA-1(SPIi | SPIr | address | port): data of NAT_DETECTION_SOURCE_IP and _DESTINATION_IP. Throws RangeError on a text that is no address. */
export function natDetectionHash(spiI: bigint, spiR: bigint, endpoint: Endpoint): Uint8Array {
  const address = addressBytes(endpoint.address)
  if (!address) throw new RangeError(`no address: ${endpoint.address}`)
  return digest('sha1', concat(u64Bytes(spiI), u64Bytes(spiR), address, u16Bytes(endpoint.port)))
}
