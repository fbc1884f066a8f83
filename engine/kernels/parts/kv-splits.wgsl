// How decode rows are cut along their positions, from the step alone: every row in pieces of the same length, as many as keep
// the device busy (attention-split.ts computes the same for its grid).

override KV_HEADS: u32;
override DECODES: u32;
override LONGEST: u32;
override MOST_SPLITS: u32;
override SPLIT_UNIT: u32;

// Positions of a piece. `step` is the kernel's own binding.
fn split_positions() -> u32 {
  let most = max(1u, MOST_SPLITS / (max(1u, step[DECODES]) * KV_HEADS));
  let positions = (step[LONGEST] + most - 1u) / most;
  return (positions + SPLIT_UNIT - 1u) / SPLIT_UNIT * SPLIT_UNIT;
}
