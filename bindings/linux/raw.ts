// Raw sockets for native ESP (IP protocol 50) and AH (51).
//
// What arrives on an IPv4 raw socket begins with the IPv4 header; IPv6 raw sockets deliver the payload
// alone: the card makes the header that AH authenticates again from both addresses. Extension headers before AH
// would be missing there: such packets fail their ICV. Sending includes the IP header only for AH over IPv4, whose
// ICV covers fields that the kernel would choose (identification). The kernel copies each packet to every raw
// socket, so each ASP's receiving socket filters its share by SPI, and the DF-set socket only sends.

import { attachFilter, DROP_ALL, rawShareProgram } from './bpf.ts'
import * as C from './constants.ts'
import { must } from './failure.ts'
import { enlargeBuffers, receiveControlMessages, setDontFragment, setOption } from './options.ts'
import { close, socket } from './syscalls.ts'
import { hasFamily } from './udp.ts'

/** The sockets of one protocol and address family; the arrays are indexed by ASP number - 1. */
export type RawFamily = { family: 4 | 6; protocol: number; asps: number[]; aspsDontFragment: number[] }

/** Bytes before the SPI: RFC 4303 §2.1, RFC 4302 §2.4. */
const spiOffset = (protocol: number) => (protocol === C.IPPROTO_AH ? 4 : 0)

/** Opens both families; throws SystemError, and nothing stays open then. */
export function openRaw(protocol: number, asps: number): RawFamily[] {
  const opened: number[] = []
  try {
    return ([4, 6] as const).flatMap((family) => {
      if (family === 6 && !hasFamily(C.AF_INET6)) return []
      const each = (make: (index: number) => number) => Array.from({ length: asps }, (_, i) => make(i))
      return [
        {
          family,
          protocol,
          asps: each((index) => openReceiver(family, protocol, asps, index, opened)),
          aspsDontFragment: each(() => openSender(family, protocol, opened)),
        },
      ]
    })
  } catch (error) {
    for (const fd of opened) close(fd)
    throw error
  }
}

function openReceiver(
  family: 4 | 6,
  protocol: number,
  asps: number,
  index: number,
  opened: number[],
): number {
  const what = `raw socket, protocol ${protocol}`
  const fd = openSocket(family, protocol, opened)
  attachFilter(fd, rawShareProgram(family, spiOffset(protocol), asps, index))
  enlargeBuffers(fd)
  receiveControlMessages(fd, family, what)
  setDontFragment(fd, family, false, what)
  return fd
}

function openSender(family: 4 | 6, protocol: number, opened: number[]): number {
  const fd = openSocket(family, protocol, opened)
  attachFilter(fd, DROP_ALL)
  enlargeBuffers(fd)
  setDontFragment(fd, family, true, `raw socket, protocol ${protocol}`)
  return fd
}

function openSocket(family: 4 | 6, protocol: number, opened: number[]): number {
  const domain = family === 4 ? C.AF_INET : C.AF_INET6
  const fd = must(
    socket(domain, C.SOCK_RAW | C.SOCK_NONBLOCK | C.SOCK_CLOEXEC, protocol),
    `cannot open an IPv${family} raw socket for protocol ${protocol}`,
  )
  opened.push(fd)
  if (family === 4 && protocol === C.IPPROTO_AH) setOption(fd, C.SOL_IP, C.IP_HDRINCL, 1, 'raw socket for AH')
  return fd
}

/** ASPs ended: the living ones (1-based, at least one) share all packets. */
export function shareRaw(families: RawFamily[], living: number[]): void {
  for (const { family, protocol, asps } of families)
    for (const [index, fd] of asps.entries()) {
      const share = living.indexOf(index + 1)
      attachFilter(
        fd,
        share < 0 ? DROP_ALL : rawShareProgram(family, spiOffset(protocol), living.length, share),
      )
    }
}

export function closeRaw(families: RawFamily[]): void {
  for (const { asps, aspsDontFragment } of families)
    for (const fd of [...asps, ...aspsDontFragment]) close(fd)
}
