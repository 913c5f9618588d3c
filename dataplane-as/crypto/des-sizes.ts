/** Sizes of the DES kernels' records: plain numbers, read by asc and by Node. */

/** Bytes of a schedule of DES; any alignment. */
export const DES_SCHEDULE_BYTES = 160
/** Bytes of a schedule of 3DES; any alignment. */
export const TDES_SCHEDULE_BYTES = 416
/** Where the round keys begin in a schedule; the keys as they are stand before them. */
export const DES_SCHEDULE_ROUNDS = 32
