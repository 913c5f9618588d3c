// System calls of this product, through libc. Pointers are plain numbers (addresses below 2^53): they
// point into a WASM memory or into an Arena, never at a JS value, so a call costs no conversion.
// Every function returns what libc returns; -1 means: read errno() at once.

import koffi from 'koffi'

const libc = koffi.load(null)

type Call<A extends number[]> = (...args: A) => number

function declare<A extends number[]>(prototype: string): Call<A> {
  return libc.func(prototype) as unknown as Call<A>
}

/** errno of this thread's last failed call */
export const errno = (): number => koffi.errno()

/** Symbolic name of an error number, for operator sentences. */
export function errorName(code: number): string {
  for (const [name, value] of Object.entries(koffi.os.errno)) if (value === code) return name
  return `errno ${code}`
}

/** Address of a typed array's first byte. The buffer must not move: WASM memories and buffers over 64 bytes do not. */
export const addressOf = (view: Uint8Array): number => Number(koffi.address(view))

export const open = declare<[path: number, flags: number, mode: number]>(
  'int open(uint64 path, int flags, int mode)',
)
export const close = declare<[fd: number]>('int close(int fd)')
export const ioctl = declare<[fd: number, request: number, argument: number]>(
  'int ioctl(int fd, ulong request, uint64 argument)',
)
export const read = declare<[fd: number, buffer: number, length: number]>(
  'long read(int fd, uint64 buffer, uint64 length)',
)
export const write = declare<[fd: number, buffer: number, length: number]>(
  'long write(int fd, uint64 buffer, uint64 length)',
)
export const writev = declare<[fd: number, iov: number, count: number]>(
  'long writev(int fd, uint64 iov, int count)',
)

export const socket = declare<[domain: number, type: number, protocol: number]>(
  'int socket(int domain, int type, int protocol)',
)
export const bind = declare<[fd: number, address: number, length: number]>(
  'int bind(int fd, uint64 address, uint32 length)',
)
export const connect = declare<[fd: number, address: number, length: number]>(
  'int connect(int fd, uint64 address, uint32 length)',
)
export const getsockname = declare<[fd: number, address: number, length: number]>(
  'int getsockname(int fd, uint64 address, uint64 length)',
)
export const setsockopt = declare<[fd: number, level: number, option: number, value: number, length: number]>(
  'int setsockopt(int fd, int level, int option, uint64 value, uint32 length)',
)
export const getsockopt = declare<[fd: number, level: number, option: number, value: number, length: number]>(
  'int getsockopt(int fd, int level, int option, uint64 value, uint64 length)',
)
export const sendmsg = declare<[fd: number, message: number, flags: number]>(
  'long sendmsg(int fd, uint64 message, int flags)',
)
export const recvmsg = declare<[fd: number, message: number, flags: number]>(
  'long recvmsg(int fd, uint64 message, int flags)',
)
export const sendmmsg = declare<[fd: number, messages: number, count: number, flags: number]>(
  'int sendmmsg(int fd, uint64 messages, uint32 count, int flags)',
)
export const recvmmsg = declare<
  [fd: number, messages: number, count: number, flags: number, timeout: number]
>('int recvmmsg(int fd, uint64 messages, uint32 count, int flags, uint64 timeout)')

export const eventfd = declare<[initial: number, flags: number]>('int eventfd(uint32 initial, int flags)')
export const epollCreate = declare<[flags: number]>('int epoll_create1(int flags)')
export const epollControl = declare<[epoll: number, operation: number, fd: number, event: number]>(
  'int epoll_ctl(int epoll, int operation, int fd, uint64 event)',
)
export const epollWait = declare<
  [epoll: number, events: number, count: number, timeout: number, mask: number]
>('int epoll_pwait(int epoll, uint64 events, int count, int timeout, uint64 mask)')

/** Watches a descriptor on Node's event loop (uv_poll): handler runs on the main thread whenever it is readable. */
export function watchReadable(fd: number, handler: () => void): { close(): void } {
  const handle = koffi.node.poll(fd, { readable: true }, () => handler())
  return {
    close: () => {
      handle.stop()
      handle.close()
    },
  }
}
