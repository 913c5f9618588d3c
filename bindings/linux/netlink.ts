// One rtnetlink socket: a request and its acknowledgement, or a dump. Synchronous: the kernel answers
// within the send call, so nothing waits here; a lost answer ends after two seconds.

import { Arena } from './arena.ts'
import * as C from './constants.ts'
import { must, SystemError } from './failure.ts'
import { attributes, type NetlinkMessage, type NetlinkRequest, splitMessages } from './netlink-message.ts'
import { setOption, trySetOption } from './options.ts'
import { close, errno, errorName, recvmsg, sendmsg, setsockopt, socket } from './syscalls.ts'

const NETLINK_ROUTE = 0
const SOL_NETLINK = 270
const NETLINK_CAP_ACK = 10
const NETLINK_EXT_ACK = 11
const NETLINK_GET_STRICT_CHK = 12
const SO_RCVTIMEO = 20
const TIMEOUT_SECONDS = 2

const NLMSG_ERROR = 2
const NLMSG_DONE = 3
const NLM_F_ACK = 4
const NLM_F_DUMP = 0x300
const NLM_F_CAPPED = 0x100
const NLM_F_ACK_TLVS = 0x200
const NLMSGERR_ATTR_MSG = 1

const HEADER = 0
const IOVEC = 64
const DATA = 128
const DATA_SIZE = 256 * 1024

/** A refusal by the kernel: the sentence holds its own explanation where it gave one. code is an errno. */
export class NetlinkError extends SystemError {
  constructor(what: string, code: number, explanation: string | null) {
    super(what, code)
    if (explanation !== null) this.message = `${what}: ${explanation} (${errorName(code)})`
    this.name = 'NetlinkError'
  }
}

export class Netlink {
  readonly #fd: number
  readonly #arena = new Arena(DATA + DATA_SIZE)
  #sequence = 0

  constructor() {
    const what = 'cannot open a routing socket'
    this.#fd = must(socket(C.AF_NETLINK, C.SOCK_RAW | C.SOCK_CLOEXEC, NETLINK_ROUTE), what)
    setOption(this.#fd, SOL_NETLINK, NETLINK_CAP_ACK, 1, what)
    trySetOption(this.#fd, SOL_NETLINK, NETLINK_EXT_ACK, 1)
    trySetOption(this.#fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
    this.#arena.setWord(DATA, TIMEOUT_SECONDS)
    this.#arena.setWord(DATA + 8, 0)
    must(setsockopt(this.#fd, C.SOL_SOCKET, SO_RCVTIMEO, this.#arena.address(DATA), 16), what)
  }

  close(): void {
    close(this.#fd)
  }

  /** Executes a change. Throws NetlinkError: `what` and the kernel's reason. */
  change(request: NetlinkRequest, what: string): void {
    this.#talk(request, NLM_F_ACK, what)
  }

  /** Asks for one object. Throws NetlinkError. */
  get(request: NetlinkRequest, what: string): NetlinkMessage[] {
    return this.#talk(request, NLM_F_ACK, what)
  }

  /** Asks for all objects that match the request. Throws NetlinkError. */
  dump(request: NetlinkRequest, what: string): NetlinkMessage[] {
    return this.#talk(request, NLM_F_DUMP, what)
  }

  #talk(request: NetlinkRequest, flags: number, what: string): NetlinkMessage[] {
    const sequence = ++this.#sequence
    this.#send(request.finish(sequence), flags, what)
    const answers: NetlinkMessage[] = []
    for (;;) {
      for (const message of this.#receive(what)) {
        if (message.sequence !== sequence) continue
        if (message.type === NLMSG_DONE) return answers
        if (message.type !== NLMSG_ERROR) answers.push(message)
        else {
          refuse(message, what)
          return answers
        }
      }
    }
  }

  #send(message: Uint8Array, flags: number, what: string): void {
    this.#arena.bytes.set(message, DATA)
    const at = DATA + 6
    this.#arena.view.setUint16(at, this.#arena.view.getUint16(at, true) | flags, true)
    this.#prepare(message.length)
    must(sendmsg(this.#fd, this.#arena.address(HEADER), 0), what)
  }

  /** Copies, because a dump needs several receives and all its messages stay in use. */
  #receive(what: string): NetlinkMessage[] {
    for (;;) {
      this.#prepare(DATA_SIZE)
      const length = recvmsg(this.#fd, this.#arena.address(HEADER), 0)
      if (length > 0) return splitMessages(this.#arena.bytes.slice(DATA, DATA + length))
      if (length === 0 || errno() !== C.EINTR) throw new SystemError(`${what}: no answer`, errno())
    }
  }

  #prepare(length: number): void {
    this.#arena.bytes.fill(0, HEADER, HEADER + C.MSGHDR_SIZE)
    this.#arena.setWord(HEADER + 16, this.#arena.address(IOVEC))
    this.#arena.setWord(HEADER + 24, 1)
    this.#arena.setWord(IOVEC, this.#arena.address(DATA))
    this.#arena.setWord(IOVEC + 8, length)
  }
}

/** struct nlmsgerr: i32 negative errno, the request's header, then text attributes. */
function refuse(message: NetlinkMessage, what: string): void {
  const code = message.body.byteLength < 4 ? -C.EINVAL : message.body.getInt32(0, true)
  if (code === 0) return
  let explanation: string | null = null
  if (message.flags & NLM_F_ACK_TLVS && message.flags & NLM_F_CAPPED) {
    const text = attributes(message.body, 20).get(NLMSGERR_ATTR_MSG)
    if (text !== undefined) explanation = new TextDecoder().decode(text).replace(/\0.*$/s, '')
  }
  throw new NetlinkError(what, -code, explanation)
}
