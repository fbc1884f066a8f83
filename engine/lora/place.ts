/** An adapter's place on the device: what a step's data and the pools need to know of it. */
export interface Place {
  /** Number of its slot, 0 .. max-gpu-loras - 1: where its column vectors lie. */
  slot: number;
  rank: number;
  scale: number;
  /** Rank pages of 8, by number in the pools of all layers. */
  pages: readonly number[];
  /** It has DoRA's g or a bias, so that the epilogue must read its column vectors. */
  hasColumns: boolean;
}
