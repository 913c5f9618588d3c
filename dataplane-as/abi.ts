// The card's memory, field by field: the one source of every offset, size, opcode, flag and drop number.
//
// Read by asc and by Node alike, therefore plain `export const NAME = literal`, no expression, below 2^31.
// All fields are little endian and naturally aligned unless a comment says "network order". "Address" means a
// byte offset from the start of linear memory, never a machine address. An address of 0 means "none".
//
// Memory, low to high (the header holds every base; layout() writes it):
//
//   0          constants of the module (memory.data), below HEADER_BASE
//   HEADER     magic, version, geometry, now, generation
//   SA tables  cold records | hot records inbound | hot records outbound
//   key area   one key block an SA | big tables (GHASH, 2 KB each, allocated by suite)
//   canary     fixed pattern; tick() looks whether it still stands
//   tables     SPI index | tunnels | devices | selectors | FIB copy 0 | FIB copy 1 | counters of tunnels, per ASP
//   ASP blocks per ASP: words, rings, counters, entropy, descriptors, syscall structs, work, kernel scratch
//   packets    per ASP: inboxes, transmit area, loop area. The last loop area ends at the last byte of memory.

// ---- identity -------------------------------------------------------------------------------------------

export const ABI_MAGIC = 0x47455341 // "ASEG" in memory order
export const ABI_VERSION = 1

// ---- limits ---------------------------------------------------------------------------------------------

export const MAX_ASPS = 8
export const MAX_CLASSES = 8
export const MAX_SAS = 65536
export const MAX_TUNNELS = 16384
export const MAX_DEVICES = 16640
export const MAX_SELECTORS = 1048576
export const MAX_FIB_NODES = 1048576
export const MAX_TABLES = 65536

/** descriptors one call of outbound() or inbound() may consume */
export const MAX_BURST = 256
/** deliver descriptors one call may produce */
export const MAX_DELIVER = 1024
/** pieces a received train (segment > 0) may hold */
export const MAX_PIECES = 128
/** datagrams in one transmit message: the kernel's UDP_SEGMENT limit is 128, we stop earlier */
export const MAX_SEGMENTS = 64
/** bytes in one transmit message: 65507 is the kernel's limit */
export const MAX_MESSAGE_BYTES = 65000
/** smallest and largest tunnel MTU: an inner packet plus ESP must fit a UDP datagram */
export const MIN_INNER_BYTES = 68
export const MAX_INNER_BYTES = 65280
/** packets of one ASP get at least this; layout() refuses a smaller memory */
export const MIN_PACKET_BYTES = 2097152
/** a replay window is 0 (off) or a power of two between these */
export const MIN_REPLAY_WINDOW = 32
export const MAX_REPLAY_WINDOW = 4096

// ---- headroom -------------------------------------------------------------------------------------------

/** Bytes the loop may overwrite directly before a delivered packet once the call has returned (virtio_net_hdr).
 * They lie in the packet's own ESP header and IV or in the ICV of the datagram before it, which is spent. */
export const DELIVER_HEADROOM = 10
/** Bytes that must exist between the start of the packet region and the first byte an in-descriptor names. */
export const IN_HEADROOM = 16

// ---- header ---------------------------------------------------------------------------------------------

export const HEADER_BASE = 65536
export const HEADER_BYTES = 512
export const HEADER_MAGIC = 0
export const HEADER_VERSION = 4
/** changes with every layout(); an instance refuses to work on another generation than it was init()ed for */
export const HEADER_GENERATION = 8
/** monotonic milliseconds, low 32 bits (CLOCK_MONOTONIC); every writer uses the same clock */
export const HEADER_NOW = 12
export const HEADER_MEMORY_BYTES = 16
export const HEADER_ASPS = 20
export const HEADER_SAS = 24
export const HEADER_TUNNELS = 28
export const HEADER_DEVICES = 32
export const HEADER_SELECTORS = 36
export const HEADER_FIB_NODES = 40
export const HEADER_TABLES = 44
export const HEADER_SPI_SLOTS = 48 // slots of one ASP's index: power of two, at least twice the SAs
export const HEADER_SA_COLD = 64 // addresses of the regions from here
export const HEADER_SA_IN = 68
export const HEADER_SA_OUT = 72
export const HEADER_KEYS = 76
export const HEADER_KEY_TABLES = 80
export const HEADER_CANARY = 84
export const HEADER_SPI_INDEX = 88
export const HEADER_TUNNEL_TABLE = 92
export const HEADER_DEVICE_TABLE = 96
export const HEADER_SELECTOR_TABLE = 100
export const HEADER_FIB_0 = 104
export const HEADER_FIB_1 = 108
export const HEADER_TUNNEL_COUNTERS = 112
export const HEADER_TUNNEL_COUNTERS_STRIDE = 116 // bytes from one ASP's counters to the next
export const HEADER_ASP_BLOCKS = 120
export const HEADER_PACKETS = 124 // first byte of the packet region: no key above it
export const HEADER_PACKETS_STRIDE = 128 // bytes of one ASP's packets
export const HEADER_INBOX_OFFSET = 132 // within an ASP's packets
export const HEADER_CONTROL_INBOX_OFFSET = 136
export const HEADER_TX_OFFSET = 140
export const HEADER_TX_BYTES = 144
export const HEADER_LOOP_OFFSET = 148
export const HEADER_LOOP_BYTES = 152
export const HEADER_AH_OFFSET = 156 // the card's own: AH packets that came without their outer header

/** bytes there: more than the largest packet */
export const AH_AREA_BYTES = 131072

// ---- security associations: cold record ------------------------------------------------------------------
// The driver writes a reserved slot completely, state last as SA_RESERVED, and sends SA_ADD_IN or SA_ADD_OUT. The
// card checks each field, expands the keys into the key block, wipes both raw keys here and stores SA_VALID last.

export const SA_COLD_BYTES = 256
export const SA_STATE = 0
export const SA_DIRECTION = 4
export const SA_SPI = 8 // host order, as a number
export const SA_PROTOCOL = 12 // 50, 51
export const SA_TUNNEL = 16
export const SA_ASP = 20 // 1-based; equals the tunnel's
export const SA_CIPHER = 24
export const SA_INTEGRITY = 28
export const SA_KEY_BYTES = 32 // encryption key, without salt
export const SA_INTEGRITY_KEY_BYTES = 36
export const SA_FLAGS = 40
export const SA_WINDOW = 44 // packets, 0 = anti-replay off
export const SA_HARD_SECONDS = 48 // from SA_ADD, 0 = none
export const SA_SELECTOR_FIRST = 52 // index of the first selector; sources first, destinations behind them
export const SA_SOURCE_COUNT = 56 // both counts 0: any packet of either family
export const SA_DESTINATION_COUNT = 60
export const SA_HARD_BYTES = 64 // u64, inner bytes, 0 = none
export const SA_HARD_PACKETS = 72 // u64
export const SA_SOFT_BYTES = 80 // u64
export const SA_SOFT_PACKETS = 88 // u64
export const SA_INITIAL_SEQUENCE = 96 // u64: last number sent, or highest number received; 0 for a new SA
export const SA_BUNDLE = 104 // index + 1 of the ESP SA inside this AH SA; 0 = none
export const SA_CLASS = 108 // QoS class 0..7, column of the tunnel's matrix
export const SA_TABLE = 112 // AES-GCM: index + 1 of a big table that no other SA uses; 0 = none
export const SA_SALT = 116 // AEAD: 4 bytes in their order, wiped when the card has taken them
export const SA_KEY = 128 // 32 bytes, wiped when the card has taken them
export const SA_INTEGRITY_KEY = 160 // 64 bytes, wiped when the card has taken them

export const SA_FREE = 0
export const SA_RESERVED = 1
export const SA_VALID = 2
export const SA_EXPIRED = 3 // a hard limit was reached: drops, until deleted

export const DIRECTION_IN = 1
export const DIRECTION_OUT = 2

export const SA_FLAG_ESN = 1
export const SA_FLAGS_KNOWN = 1

export const PROTOCOL_ESP = 50
export const PROTOCOL_AH = 51

// Ciphers and integrity algorithms: IKEv2 transform numbers where there is one (RFC 7296 §3.3.2).
export const CIPHER_DES = 2
export const CIPHER_3DES = 3
export const CIPHER_NULL = 11
export const CIPHER_AES_CBC = 12
export const CIPHER_AES_GCM_16 = 20
export const CIPHER_CHACHA20_POLY1305 = 28
export const INTEGRITY_NONE = 0
export const INTEGRITY_MD5_96 = 1
export const INTEGRITY_SHA1_96 = 2
export const INTEGRITY_SHA256_128 = 12
export const INTEGRITY_SHA384_192 = 13
export const INTEGRITY_SHA512_256 = 14

// ---- security associations: hot records --------------------------------------------------------------------
// Written by the owning ASP only. Inbound and outbound records begin alike; the inbound one carries the window.

export const SA_IN_BYTES = 1216 // 19 cache lines: an odd number keeps records out of each other's sets
export const SA_OUT_BYTES = 192
export const HOT_SEQUENCE = 0 // u64: last number sent; inbound: highest number whose ICV held
export const HOT_BYTES = 8 // u64, inner bytes
export const HOT_PACKETS = 16 // u64
export const HOT_SEQUENCE_LIMIT = 24 // u64: last number that may be sent
export const HOT_HARD_BYTES = 32 // u64, all ones = none; so the next three
export const HOT_HARD_PACKETS = 40
export const HOT_SOFT_BYTES = 48
export const HOT_SOFT_PACKETS = 56
export const HOT_DEADLINE = 64 // u64 ms of the ASP's clock, all ones = none
export const HOT_SPI = 72 // network order
export const HOT_CIPHER = 76 // kernel queue (suites.ts), 0 = none
export const HOT_INTEGRITY = 80 // kernel queue, 0 = none
export const HOT_ICV_BYTES = 84
export const HOT_IV_BYTES = 88
export const HOT_BLOCK_BYTES = 92 // the ciphertext is a multiple of this (RFC 4303 §2.4)
export const HOT_KEYS = 96 // address of the key block
export const HOT_TUNNEL = 100
export const HOT_FLAGS = 104
export const HOT_SOURCES = 108 // address of the first source selector
export const HOT_SOURCE_COUNT = 112
export const HOT_DESTINATION_COUNT = 116
export const HOT_LAST_USED = 120 // HEADER_NOW when the last packet passed
export const HOT_WINDOW = 124
export const HOT_WORD_MASK = 128 // words of the bitmap - 1
export const HOT_PROTOCOL = 132 // 50, 51
export const HOT_NEAR_WRAP = 136 // u64: SEQ_NEAR_WRAP is raised at this number
export const HOT_BUNDLE = 144 // AH: index + 1 of the ESP SA inside, 0 = none
export const HOT_BUNDLE_SPI = 148 // and its SPI, host order: another SA in that record is not meant
export const HOT_TABLE = 152 // address of the big table, 0 = none
export const HOT_BITMAP = 192 // 128 u64, inbound only (RFC 6479)

export const HOT_FLAG_ESN = 1
export const HOT_FLAG_ANY = 2 // no selectors: any packet
export const HOT_FLAG_IPV4 = 4 // some selector is IPv4, or any
export const HOT_FLAG_IPV6 = 8
export const HOT_FLAG_SOFT_RAISED = 16
export const HOT_FLAG_WRAP_RAISED = 32
export const HOT_FLAG_HARD_RAISED = 64
export const HOT_FLAG_BUNDLED = 128 // inbound ESP that is accepted inside its AH only

// ---- key area --------------------------------------------------------------------------------------------

export const KEY_BLOCK_BYTES = 768
export const KEY_SCHEDULE = 0 // expanded cipher key
export const KEY_SCHEDULE_BYTES = 512
export const KEY_SALT = 496 // 4 bytes of an AEAD's nonce
export const KEY_HMAC = 512 // inner state, outer state
export const KEY_HMAC_BYTES = 256
export const KEY_TABLE_BYTES = 2048
export const CANARY_BYTES = 4096
export const CANARY_PATTERN = 0x5ca1ab1e

// ---- SPI index ---------------------------------------------------------------------------------------------
// One index per ASP, written by that ASP only: open addressing over u32, 0 empty, all ones deleted, else SA index + 1.
// An ASP that does not find an SPI in its own index looks into the others' to hand the packet over.

export const SPI_SLOT_BYTES = 4
export const SPI_HASH = 0x1e35a7bd // slot = (SPI * SPI_HASH) >> (32 - log2 slots)

// ---- tunnel table ------------------------------------------------------------------------------------------
// Written by the tunnel's ASP from commands; another ASP reads TUNNEL_STATE and TUNNEL_ASP only.

export const TUNNEL_BYTES = 512
export const TUNNEL_STATE = 0
export const TUNNEL_ASP = 4
export const TUNNEL_MODE = 8
export const TUNNEL_ENCAPSULATION = 12
export const TUNNEL_DEVICE = 16 // where decrypted packets go
export const TUNNEL_MTU = 20 // largest inner packet, bytes
export const TUNNEL_DF = 24
export const TUNNEL_DSCP = 28 // 0..63, or DSCP_COPY
export const TUNNEL_ECN = 32
export const TUNNEL_FLAGS = 36
export const TUNNEL_LAST_ACQUIRE = 40 // HEADER_NOW of the last ACQUIRE
export const TUNNEL_ACQUIRED = 44 // 1 when one was ever raised
export const TUNNEL_TFC = 60 // inner packets are padded to this many bytes at least (RFC 4303 §2.7), 0 = not
export const TUNNEL_LAST_PEER_EVENT = 56 // HEADER_NOW of the last PEER_ADDR_CHANGED
export const TUNNEL_TRACE_OUT = 48 // packets still to trace
export const TUNNEL_TRACE_IN = 52
/** Linux struct sockaddr_in or sockaddr_in6 of the peer (family in host order, port and address in network order,
 * SOCKADDR_BYTES reserved): the loop points msg_name here. Port 0 with raw encapsulation. */
export const TUNNEL_PEER = 64
/** the same for our own address: source for IP_PKTINFO / IPV6_PKTINFO; port = source port, 0 = any */
export const TUNNEL_LOCAL = 96
export const TUNNEL_MSS = 128 // MSS_OFF, MSS_AUTO, or the largest MSS that a SYN may tell
/** u32[MAX_CLASSES][MAX_ASPS]: SA index + 1 that sends for (class, ASP); 0 = none. One atomic store switches.
 * Today row 0 of the column of the tunnel's own ASP is used. */
export const TUNNEL_OUT_SA = 256

export const TUNNEL_FREE = 0
export const TUNNEL_DOWN = 1
export const TUNNEL_UP = 2
export const MODE_CIRCUIT = 1
export const MODE_ECONOMICAL = 2
export const ENCAPSULATION_UDP = 1
export const ENCAPSULATION_RAW = 2
export const DF_COPY = 0
export const DF_SET = 1
export const DF_CLEAR = 2
export const DSCP_COPY = 64
export const ECN_NORMAL = 0
export const ECN_COMPATIBILITY = 1
export const MSS_OFF = 0
export const MSS_AUTO = 1 // what fits the tunnel MTU
/** smallest and largest MSS besides */
export const MIN_MSS = 28
export const MAX_MSS = 65495
/** accept UDP and native ESP for this tunnel's SAs whatever it sends itself (RFC 7296 §2.23) */
export const TUNNEL_FLAG_ANY_ENCAPSULATION = 1
export const TUNNEL_FLAGS_KNOWN = 1

export const SOCKADDR_BYTES = 32
export const SOCKADDR_FAMILY = 0 // u16 host order: 2, 10
export const SOCKADDR_PORT = 2 // u16 network order
export const SOCKADDR_IPV4 = 4
export const SOCKADDR_IPV6 = 8
export const FAMILY_INET = 2
export const FAMILY_INET6 = 10

// ---- devices: who reads there, what that means ---------------------------------------------------------------

export const DEVICE_BYTES = 16
export const DEVICE_KIND = 0
export const DEVICE_TUNNEL = 4 // circuit: the tunnel bound to it
export const DEVICE_NONE = 0
export const DEVICE_CIRCUIT = 1
export const DEVICE_FIB = 2 // ase0: packets are looked up in the FIB

// ---- selectors (RFC 7296 §3.13.1) ------------------------------------------------------------------------------

export const SELECTOR_BYTES = 48
export const SELECTOR_FAMILY = 0 // u32: 4, 6
export const SELECTOR_PROTOCOL = 4 // u32, 0 = any
export const SELECTOR_START_PORT = 8 // u32 host order; ICMP: type * 256 + code
export const SELECTOR_END_PORT = 12 // start 65535 with end 0 = OPAQUE
export const SELECTOR_START = 16 // 16 bytes network order; IPv4 in the first 4
export const SELECTOR_END = 32

// ---- FIB: a trie of 4-bit strides, two copies -------------------------------------------------------------------
// Node 0 is the root of IPv4, node 1 of IPv6. Entry = {child u32, target u32}. The last target met on the way wins.

export const FIB_NODE_BYTES = 128
export const FIB_ENTRY_BYTES = 8
export const FIB_CHILD = 0 // node index; 0 = none
export const FIB_TARGET = 4
export const FIB_NO_TARGET = 0
export const FIB_NULL0 = 1
export const FIB_TUNNEL = 2 // target = FIB_TUNNEL + tunnel index
export const FIB_ROOT_IPV4 = 0
export const FIB_ROOT_IPV6 = 1

// ---- counters of a tunnel on one ASP: u64 each, one writer -------------------------------------------------------

export const TUNNEL_COUNTER_BYTES = 128
export const TC_RX_PACKETS = 0
export const TC_RX_BYTES = 8
export const TC_TX_PACKETS = 16
export const TC_TX_BYTES = 24
export const TC_DROPS = 32
export const TC_IPPA = 40 // first pass
export const TC_EPPA = 48
export const TC_LOOP = 56
export const TC_IPPA_LOOPED = 64 // second pass, circuit mode only
export const TC_ASE = 72
export const TC_EGRESS = 80

// Stage bits of a trace event, in the order of the packet's way.
export const STAGE_IPPA = 1
export const STAGE_EPPA = 2
export const STAGE_LOOP = 4
export const STAGE_IPPA_LOOPED = 8
export const STAGE_ASE = 16
export const STAGE_EGRESS = 32

// ---- ASP block ---------------------------------------------------------------------------------------------------
// One writer per word: "card" the instance, "loop" the thread that calls it, "driver" the control side.

export const ASP_BLOCK_BYTES = 1048576
export const ASP_STATE = 0 // card: ASP_STATE_*
export const ASP_GENERATION = 4 // card: HEADER_GENERATION it was initialised for
export const ASP_HEARTBEAT = 8 // card: HEADER_NOW at the last tick()
export const ASP_FIB_COPY = 12 // card: copy in use, 0 or 1
export const ASP_FIB_GENERATION = 16 // card: generation of that copy, 0 = no FIB yet
export const ASP_NOW = 24 // card: u64 ms, HEADER_NOW without its wrap
/** card, written by outbound() and inbound(): descriptors consumed. Less than given when an output filled up: hand
 * the rest in again once the outputs are sent; the card has moved it to the front. Never 0 when count was not 0. */
export const ASP_CONSUMED = 32
/** card, written by outbound(): transmit descriptors produced */
export const ASP_TX_COUNT = 36
/** card, written by inbound() and outbound() (ICMP answers): deliver descriptors produced */
export const ASP_DELIVER_COUNT = 40
/** card sets bits, loop clears: somebody must be woken. Bit 0 control, bit n ASP n. */
export const ASP_WAKE = 44
/** card, written by inbox(): out-descriptors and in-descriptors filled from other ASPs */
export const ASP_INBOX_OUT = 48
export const ASP_INBOX_IN = 52
/** events that found the ring full; u32 */
export const ASP_EVENTS_LOST = 56
export const ASP_ICMP_WINDOW = 60 // card: second of the ICMP rate limit
export const ASP_ICMP_SENT = 64 // card: answers in that second
export const ASP_SPI_WINDOW = 68 // card: second of the UNKNOWN_SPI rate limit
export const ASP_EXPIRY_CURSOR = 72 // card: next SA tick() looks at
export const ASP_SPI_RAISED = 76 // card: 1 when an UNKNOWN_SPI was ever raised
export const ASP_INBOX_PENDING = 80 // card: u32[MAX_ASPS], where each inbox's tail goes with inboxDone()

export const ASP_STATE_DOWN = 0
export const ASP_STATE_UP = 1
export const ASP_STATE_STOPPED = 2

// u64 counters of the ASP
export const ASP_COUNTERS = 128
export const AC_OUT_PACKETS = 128 // packets given to outbound()
export const AC_IN_PACKETS = 136 // datagrams given to inbound(), pieces counted one by one
export const AC_KEEPALIVES = 144 // NAT keepalives absorbed (RFC 3948 §2.3)
export const AC_IKE = 152 // handed to control
export const AC_HANDED_OVER = 160 // handed to another ASP
export const AC_ICMP = 168 // packet-too-big answers produced
export const AC_COMMANDS = 176

export const ASP_DROPS = 512 // u64[DROP_NUMBERS]
export const DROP_NUMBERS = 64

// Command ring: driver -> ASP. head counts records written, tail records taken; u32, free running.
export const ASP_COMMANDS = 4096
export const RING_HEAD = 0 // producer
export const RING_TAIL = 64 // consumer, a cache line of its own
export const RING_RECORDS = 128
export const COMMAND_BYTES = 128
export const COMMAND_SLOTS = 256

// Event ring: ASP -> driver, same head and tail.
export const ASP_EVENTS = 40960
export const EVENT_BYTES = 64
export const EVENT_SLOTS = 1024

// Entropy: bytes [tail, head) of the ring are fresh. The producer takes ENTROPY_LOCK (0 -> 1) for the time it fills.
export const ASP_ENTROPY = 110592
export const ENTROPY_HEAD = 0 // bytes produced, u32 free running, multiple of 16
export const ENTROPY_LOCK = 4
export const ENTROPY_TAIL = 64 // bytes consumed
export const ENTROPY_POOL = 128
export const ENTROPY_BYTES = 65536

// Descriptors
export const ASP_OUT_DESCRIPTORS = 180224 // MAX_BURST * OUT_BYTES
export const ASP_IN_DESCRIPTORS = 184320 // MAX_BURST * IN_BYTES
export const ASP_TX_DESCRIPTORS = 192512 // MAX_BURST * TX_BYTES
export const ASP_DELIVER_DESCRIPTORS = 204800 // MAX_DELIVER * DELIVER_BYTES

// Free for the loop: mmsghdr, iovec, cmsg, sockaddr, epoll_event, timespec with machine addresses
export const ASP_SYSCALLS = 262144
export const ASP_SYSCALLS_BYTES = 262144

// The card's own working store
export const ASP_WORK = 524288
export const ASP_WORK_BYTES = 393216
export const ASP_SCRATCH = 917504
export const ASP_SCRATCH_BYTES = 131072

// ---- out-descriptor: loop -> outbound(): one inner packet in clear -----------------------------------------------

export const OUT_BYTES = 16
/** address of the first byte of the IP header; anywhere in the packet region; not changed by the card */
export const OUT_ADDRESS = 0
/** bytes from there; must hold the whole packet, trailing bytes behind its IP length are ignored */
export const OUT_LENGTH = 4
/** device it was read from: index into the device table */
export const OUT_DEVICE = 8
/** 0, or OUT_FLAG_HANDED_OVER as inbox() sets it. Bit 1 is reserved: a virtio_net_hdr stands directly before the
 * packet, which may be a super-packet. Any other bit makes the descriptor malformed. */
export const OUT_FLAGS = 12
export const OUT_FLAG_HANDED_OVER = 1

// ---- transmit descriptor: outbound() -> loop: one message, one sendmsg ---------------------------------------------

export const TX_BYTES = 48
/** address of the first datagram: ESP header (UDP payload, or payload of protocol 50); AH header (payload of protocol
 * 51 in IPv6); for AH over IPv4 the whole outer header, to be sent with IP_HDRINCL. Valid until the next outbound() */
export const TX_ADDRESS = 0
/** bytes of all datagrams together, contiguous without gaps, <= MAX_MESSAGE_BYTES unless there is only one */
export const TX_LENGTH = 4
/** bytes of every datagram but the last, which may be shorter: UDP_SEGMENT, or the stride when sent singly */
export const TX_SEGMENT = 8
/** datagrams, 1..MAX_SEGMENTS; all of one SA, one TOS, one DF */
export const TX_COUNT = 12
export const TX_TUNNEL = 16
/** address of the peer's struct sockaddr (in the tunnel record) */
export const TX_PEER = 20
/** address of our own struct sockaddr (in the tunnel record): the source address to send from */
export const TX_LOCAL = 24
/** host order */
export const TX_SPI = 28
/** u8: TOS or traffic class of the outer header (DSCP and ECN) */
export const TX_TOS = 32
/** u8: 1 = set DF (or no fragmentation in IPv6), 0 = may be fragmented */
export const TX_DF = 33
/** u8: ENCAPSULATION_UDP or ENCAPSULATION_RAW */
export const TX_ENCAPSULATION = 34
/** u8: 50 or 51 */
export const TX_PROTOCOL = 35
/** inner bytes, for accounting */
export const TX_INNER_BYTES = 36

// ---- in-descriptor: loop -> inbound(): one received message -----------------------------------------------------------

export const IN_BYTES = 32
/** address of the first byte; at least IN_HEADROOM behind the start of the packet region; decrypted in place */
export const IN_ADDRESS = 0
/** bytes received */
export const IN_LENGTH = 4
/** 0 = one datagram; else pieces of this size, the last may be shorter (UDP_GRO) */
export const IN_SEGMENT = 8
/** address of the sender's struct sockaddr as recvmsg wrote it, SOCKADDR_BYTES readable; 0 = unknown */
export const IN_SOURCE = 12
/** address of our own address, 4 or 16 bytes network order as IP_PKTINFO gave it (same family as IN_SOURCE),
 * 16 bytes readable; 0 = unknown */
export const IN_LOCAL = 16
/** u16 host order: our UDP port; 0 with raw */
export const IN_LOCAL_PORT = 20
/** u8: IN_UDP, IN_RAW, IN_RAW_IPV4, IN_RAW_IPV6. AH in IN_RAW needs IN_SOURCE and IN_LOCAL: both enter its ICV. */
export const IN_ENCAPSULATION = 22
/** u8: TOS or traffic class of the outer header; taken from the header itself with IN_RAW_IPV4 */
export const IN_TOS = 23
/** u8: protocol 50 or 51 with IN_RAW; 0 otherwise */
export const IN_PROTOCOL = 24
/** u8: 0, or IN_FLAG_HANDED_OVER as inbox() sets it */
export const IN_FLAGS = 25
export const IN_FLAG_HANDED_OVER = 1

export const IN_UDP = 1 // UDP payload on the NAT-T port: ESP, IKE behind 4 zero bytes, or a keepalive
export const IN_RAW = 2 // begins with the ESP header (raw IPv6 socket)
export const IN_RAW_IPV4 = 3 // begins with the outer IPv4 header (raw IPv4 socket)
export const IN_RAW_IPV6 = 4 // begins with the outer IPv6 header (packet sockets, other runtimes)

// ---- deliver descriptor: inbound(), outbound() -> loop: one packet in clear for a TUN device ----------------------------

export const DELIVER_BYTES = 16
/** address of the inner IP header; DELIVER_HEADROOM bytes before it are free. Valid until the next call and until the
 * buffer it was received in is used again. Write deliver descriptors in order: a header written in the headroom may
 * cover spent bytes of the datagram before. */
export const DELIVER_ADDRESS = 0
export const DELIVER_LENGTH = 4
export const DELIVER_DEVICE = 8
export const DELIVER_TUNNEL = 12

// ---- inboxes: byte rings of whole packets, one writer and one reader each -------------------------------------------------
// Ring n of ASP t holds packets from ASP n; ring t of ASP t is written by control: ESP that reached its socket, for
// whichever ASP has the SA (kind INBOX_IN only). The control inbox of an ASP holds IKE.
// A record is INBOX_RECORD_BYTES of header, then the packet, then padding to a multiple of 64. A record never wraps:
// where one does not fit before the end, a record of kind INBOX_SKIP fills the rest.

export const INBOX_RING_BYTES = 131328 // head, tail, padding, data
export const INBOX_HEAD = 0 // bytes written, u32 free running modulo 2^32 (INBOX_DATA_BYTES divides it)
export const INBOX_TAIL = 64
export const INBOX_DATA = 256
export const INBOX_DATA_BYTES = 131072
export const INBOX_RECORD_BYTES = 128
export const INBOX_RECORD_TOTAL = 0 // bytes of the whole record
export const INBOX_RECORD_KIND = 4
export const INBOX_RECORD_LENGTH = 8 // packet bytes
export const INBOX_RECORD_DEVICE = 12 // OUT: device it was read from
export const INBOX_RECORD_LOCAL_PORT = 20 // u16 host order
export const INBOX_RECORD_ENCAPSULATION = 22 // u8
export const INBOX_RECORD_TOS = 23 // u8
export const INBOX_RECORD_PROTOCOL = 24 // u8
export const INBOX_RECORD_HAS_LOCAL = 28 // u32: 1 when LOCAL is known
export const INBOX_RECORD_SOURCE = 32 // struct sockaddr, family 0 = unknown
export const INBOX_RECORD_LOCAL = 64 // 16 bytes

export const INBOX_SKIP = 0
export const INBOX_OUT = 1
export const INBOX_IN = 2
export const INBOX_IKE = 3 // the packet begins behind the four zero bytes

// ---- commands ---------------------------------------------------------------------------------------------------------------

export const COMMAND_OPCODE = 0
export const COMMAND_TOKEN = 4 // returned in the acknowledgement
export const COMMAND_INDEX = 8 // SA, tunnel or device
export const COMMAND_ARGUMENT = 12
export const COMMAND_PAYLOAD = 16

export const OP_HELLO = 1 // argument: ABI_VERSION of the driver
export const OP_SA_ADD_IN = 2 // index: SA
export const OP_SA_ADD_OUT = 3
export const OP_SA_ACTIVATE_OUT = 4
export const OP_SA_DEL = 5
export const OP_SA_QUERY = 6 // answered by EVENT_SA
export const OP_TUNNEL_SET = 7 // index: tunnel; payload as TUNNEL_SET_*
export const OP_TUNNEL_DEL = 8
export const OP_CIRCUIT_SET = 9 // index: device; argument: DEVICE_*; payload u32: tunnel
export const OP_CIRCUIT_UP = 10 // index: tunnel
export const OP_CIRCUIT_DOWN = 11
export const OP_TS_SET = 12 // index: SA; argument: first selector; payload u32 sources, u32 destinations
export const OP_FIB_SWAP = 13 // argument: copy; payload u32: generation
export const OP_QOS_SET = 14 // refused: not built yet
export const OP_PEER_ADDR_UPDATE = 15 // index: tunnel; argument: encapsulation; payload: sockaddr
export const OP_ASP_RESET = 16 // forgets and wipes all SAs of this ASP
export const OP_ASP_SHUTDOWN = 17 // wipes as above and stops
export const OP_TRACE = 18 // index: tunnel; argument: packets per direction
export const OP_DEBUG = 19 // refused: not built yet

export const TUNNEL_SET_ASP = 16
export const TUNNEL_SET_MODE = 20
export const TUNNEL_SET_ENCAPSULATION = 24
export const TUNNEL_SET_DEVICE = 28
export const TUNNEL_SET_MTU = 32
export const TUNNEL_SET_DF = 36
export const TUNNEL_SET_DSCP = 40
export const TUNNEL_SET_ECN = 44
export const TUNNEL_SET_FLAGS = 48
export const TUNNEL_SET_TFC = 52
export const TUNNEL_SET_MSS = 56
export const TUNNEL_SET_PEER = 64
export const TUNNEL_SET_LOCAL = 96

export const ERROR_NONE = 0
export const ERROR_OPCODE = 1 // unknown or not built
export const ERROR_INDEX = 2 // SA, tunnel, device or copy outside its table
export const ERROR_STATE = 3 // the record is not in the state the command needs
export const ERROR_FIELD = 4 // a field holds a value outside its range
export const ERROR_SUITE = 5 // cipher, integrity or key length not built
export const ERROR_SPI = 6 // SPI reserved, or in use already, or the index is full
export const ERROR_ASP = 7 // belongs to another ASP
export const ERROR_SELECTOR = 8
export const ERROR_VERSION = 9
export const ERROR_MEMORY = 10 // layout(): does not fit
export const ERROR_ARGUMENT = 11 // a call's argument is out of range

// ---- events -------------------------------------------------------------------------------------------------------------------

export const EVENT_KIND = 0
export const EVENT_INDEX = 4 // SA, tunnel, or token of an acknowledgement
export const EVENT_VALUE = 8
export const EVENT_EXTRA = 12
export const EVENT_SOCKADDR = 16 // 32 bytes
export const EVENT_U64_A = 16
export const EVENT_U64_B = 24
export const EVENT_U64_C = 32

export const EVENT_READY = 1 // index: ASP; value: ABI_VERSION; extra: 1 = replaces an instance that trapped, all SAs of this ASP are gone
export const EVENT_ACK = 2 // index: token; value: ERROR_*; extra: opcode
export const EVENT_ACQUIRE = 3 // index: tunnel
export const EVENT_SA_SOFT = 4 // index: SA
export const EVENT_SA_HARD = 5
export const EVENT_SEQ_NEAR_WRAP = 6
export const EVENT_UNKNOWN_SPI = 7 // value: SPI; sockaddr: source
export const EVENT_PEER_ADDR_CHANGED = 8 // index: tunnel; sockaddr: new address
export const EVENT_TRACE = 9 // index: tunnel; value: stage bits; extra: drop number; then TRACE_*
export const EVENT_SA = 10 // index: SA; u64: bytes, packets, sequence
export const EVENT_FAULT = 11 // value: FAULT_*
export const TRACE_LENGTH = 16 // u32, inner bytes
export const TRACE_DIRECTION = 20 // u32: DIRECTION_*

export const FAULT_CANARY = 1 // the band between keys and buffers was overwritten
export const FAULT_RING = 2 // a ring's head and tail contradict each other; its content was given up

// ---- drops: every packet that goes no further is counted once -----------------------------------------------------------------
// bindings/drops.ts holds name and operator sentence of each; a test proves the two lists equal.

export const DROP_NONE = 0
export const DROP_PACKET_MALFORMED = 1
export const DROP_NO_CIRCUIT = 2
export const DROP_NO_ROUTE = 3
export const DROP_NULL_ROUTE = 4
export const DROP_TUNNEL_DOWN = 5
export const DROP_NO_SA = 6
export const DROP_SELECTOR_OUT = 7
export const DROP_TOO_BIG = 8
export const DROP_SEQUENCE_EXHAUSTED = 9
export const DROP_SA_EXPIRED = 10
export const DROP_NO_ENTROPY = 11
export const DROP_DATAGRAM_SHORT = 16
export const DROP_UNKNOWN_SPI = 17
export const DROP_SA_MISMATCH = 18
export const DROP_BAD_LENGTH = 19
export const DROP_REPLAY = 20
export const DROP_BAD_ICV = 21
export const DROP_BAD_CONTENT = 22
export const DROP_DUMMY = 23
export const DROP_SELECTOR_IN = 24
export const DROP_INNER_ADDRESS = 25
export const DROP_ECN = 26
export const DROP_OUTER_MALFORMED = 27
export const DROP_DESCRIPTOR = 32
export const DROP_INBOX_FULL = 33
export const DROP_CONTROL_INBOX_FULL = 34
// counted by the loop, in the same table
export const DROP_SEND_FAILED = 40
export const DROP_DEVICE_FAILED = 41
export const DROP_RECEIVE_TRUNCATED = 42
export const DROP_TRAP = 43
export const DROP_NO_ADDRESS = 44
export const DROP_PATH_MTU = 45
