// y[row, :] = x[source, :] * weight / sqrt(mean(x[source, :]^2) + EPS)      rmsnorm.wgsl for few rows on GPUs
//
// With few rows there are few workgroups, and what such a kernel takes is how often it waits for memory: 16 bytes a load, a
// row shared out over THREADS lanes, summed by subgroups. source is row itself, or, with GATHER, the row that the row-th sampled
// sequence ends with.
//
// x, y: f32 [rows, HIDDEN]    weight: f32 [HIDDEN]    Grid: (rows). Sums in f32, in one order.

override HIDDEN: u32; // a multiple of 4
override EPS: f32;
override GATHER: u32 = 0u;
override SAMPLES_AT: u32;
override SAMPLE_WORDS: u32;
override THREADS: u32 = 256u;

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

var<workgroup> sums: array<f32, THREADS>; // [subgroups]

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_size) size: u32,
  @builtin(subgroup_invocation_id) place: u32,
) {
  let row = group.x;
  let quads = HIDDEN / 4u;
  var source = row;
  if (GATHER != 0u) { source = step[step[SAMPLES_AT] + row * SAMPLE_WORDS]; }
  var sum = 0.0;
  for (var i = lane; i < quads; i += THREADS) {
    let v = x[source * quads + i];
    sum += dot(v, v);
  }
  let own = subgroupAdd(sum);
  if (place == 0u) { sums[subgroup] = own; }
  workgroupBarrier();
  var total = 0.0;
  for (var i = 0u; i < (THREADS + size - 1u) / size; i++) { total += sums[i]; }
  let scale = 1.0 / sqrt(total / f32(HIDDEN) + EPS);
  for (var i = lane; i < quads; i += THREADS) { y[row * quads + i] = x[source * quads + i] * scale * weight[i]; }
}
