// y[row, :] = x[source, :] * weight / sqrt(mean(x[source, :]^2) + EPS)      (Zhang & Sennrich 2019, as in Llama)
// source is row itself, or, with GATHER, the row that the row-th sampled sequence ends with.
// x, y: f32 [rows, HIDDEN]    weight: f32 [HIDDEN]    Grid: (rows). Sums in f32, by lanes and then by a fixed tree.

override HIDDEN: u32;
override EPS: f32;
override GATHER: u32 = 0u;
override SAMPLES_AT: u32;
override SAMPLE_WORDS: u32;

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

var<workgroup> partial: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.x;
  var source = row;
  if (GATHER != 0u) { source = step[step[SAMPLES_AT] + row * SAMPLE_WORDS]; }
  var sum = 0.0;
  for (var i = lane; i < HIDDEN; i += 64u) {
    let v = x[source * HIDDEN + i];
    sum += v * v;
  }
  partial[lane] = sum;
  workgroupBarrier();
  for (var width = 32u; width > 0u; width >>= 1u) {
    if (lane < width) { partial[lane] += partial[lane + width]; }
    workgroupBarrier();
  }
  let scale = 1.0 / sqrt(partial[0] / f32(HIDDEN) + EPS);
  for (var i = lane; i < HIDDEN; i += 64u) {
    y[row * HIDDEN + i] = x[source * HIDDEN + i] * scale * weight[i];
  }
}
