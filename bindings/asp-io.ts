// What the packet loop of an ASP needs from its surroundings. Two implementations: linux/asp-io.ts (system
// calls on linear memory) and fake/asp-io.ts (an in-process network). Descriptors are those of abi.ts;
// each method works on a burst and allocates nothing per packet.

export interface AspIo {
  /** Sleeps until there is something to do, at most timeout milliseconds (0: only looks), and notes what is ready. */
  wait(timeout: number): void
  /**
   * Reads waiting packets of the local side into the loop area and fills out-descriptors from 0.
   * Returns how many, at most MAX_BURST; 0: nothing left of what wait() found.
   */
  readPackets(): number
  /** The same for datagrams of the outer side and in-descriptors. */
  receive(): number
  /** Sends the messages of transmit descriptors 0..count-1. What the kernel refuses is a counted drop. */
  transmit(count: number): void
  /** Writes the packets of deliver descriptors 0..count-1 to their devices, in order. */
  deliver(count: number): void
  /** Wakes control (bit 0) and ASPs (bit n). */
  wake(bits: number): void
}
