// The sum over the LANES neighbouring lanes that work on one position, for each of them: through workgroup memory.
// All THREADS lanes of the workgroup must come here together.

var<workgroup> lane_sums: array<vec4f, THREADS>;

fn sum_lanes(lane: u32, mine: vec4f) -> vec4f {
  workgroupBarrier();
  lane_sums[lane] = mine;
  workgroupBarrier();
  let first = lane - lane % LANES;
  var sum = vec4f();
  for (var i = 0u; i < LANES; i++) { sum += lane_sums[first + i]; }
  return sum;
}
