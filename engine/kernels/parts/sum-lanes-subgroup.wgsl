// The sum over the LANES neighbouring lanes that work on one position, for each of them: they are of one subgroup. Every
// lane adds the same pairs, so all get the same bits.

fn sum_lanes(lane: u32, mine: vec4f) -> vec4f {
  var sum = mine;
  for (var apart = 1u; apart < LANES; apart *= 2u) { sum += subgroupShuffleXor(sum, apart); }
  return sum;
}
