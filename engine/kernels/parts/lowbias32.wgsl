// An integer hash of 32 bits with little bias (Chris Wellons' "hash-prospector"), the same as lora/random-f16.ts's.

fn lowbias32(v: u32) -> u32 {
  var x = v;
  x ^= x >> 16u;
  x *= 0x7feb352du;
  x ^= x >> 15u;
  x *= 0x846ca68bu;
  x ^= x >> 16u;
  return x;
}

