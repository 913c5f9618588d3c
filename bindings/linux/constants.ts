// Numbers of the Linux user-space ABI, as on x86-64 and arm64 (both little endian, LP64).
// Where the two differ the value is chosen by process.arch.

export const EINTR = 4
export const EIO = 5
export const EAGAIN = 11
export const EEXIST = 17
export const ENODEV = 19
export const EINVAL = 22
export const EMSGSIZE = 90
export const EBADFD = 77
export const ESHUTDOWN = 108
export const EAFNOSUPPORT = 97
export const ENOBUFS = 105

export const O_RDWR = 2
export const O_NONBLOCK = 0o4000
export const O_CLOEXEC = 0o2000000

export const AF_INET = 2
export const AF_INET6 = 10
export const AF_NETLINK = 16
export const SOCK_DGRAM = 2
export const SOCK_RAW = 3
export const SOCK_NONBLOCK = 0o4000
export const SOCK_CLOEXEC = 0o2000000
export const IPPROTO_UDP = 17
export const IPPROTO_ESP = 50
export const IPPROTO_AH = 51

export const SOL_SOCKET = 1
export const SO_ATTACH_FILTER = 26
export const SO_SNDBUF = 7
export const SO_RCVBUF = 8
export const SO_SNDBUFFORCE = 32
export const SO_RCVBUFFORCE = 33
export const SO_REUSEPORT = 15
export const SO_ATTACH_REUSEPORT_CBPF = 51

export const SOL_IP = 0
export const IP_TOS = 1
export const IP_HDRINCL = 3
export const IP_PKTINFO = 8
export const IP_MTU_DISCOVER = 10
export const IP_RECVTOS = 13
export const IP_MTU = 14
export const IP_PMTUDISC_DONT = 0
export const IP_PMTUDISC_DO = 2

export const SOL_UDP = 17
export const UDP_SEGMENT = 103
export const UDP_GRO = 104

export const SOL_IPV6 = 41
export const IPV6_MTU_DISCOVER = 23
export const IPV6_MTU = 24
export const IPV6_RECVERR = 25
export const IPV6_V6ONLY = 26
export const IPV6_RECVPKTINFO = 49
export const IPV6_PKTINFO = 50
export const IPV6_DONTFRAG = 62
export const IPV6_RECVTCLASS = 66
export const IPV6_TCLASS = 67

export const MSG_TRUNC = 0x20
export const MSG_DONTWAIT = 0x40
export const MSG_CTRUNC = 8
export const MSG_ERRQUEUE = 0x2000

export const EPOLL_CTL_ADD = 1
export const EPOLL_CTL_DEL = 2
export const EPOLLIN = 1
/** struct epoll_event is packed on x86-64 only */
export const EPOLL_EVENT_SIZE = process.arch === 'x64' ? 12 : 16
export const EPOLL_DATA_OFFSET = process.arch === 'x64' ? 4 : 8

export const IOVEC_SIZE = 16
export const MSGHDR_SIZE = 56
export const MMSGHDR_SIZE = 64
export const CMSGHDR_SIZE = 16

export const TUNSETIFF = 0x400454ca
export const IFF_TUN = 1
export const IFF_MULTI_QUEUE = 0x100
export const IFF_NO_PI = 0x1000
export const IFREQ_SIZE = 40
export const IFNAMSIZ = 16
