// y[row, :] = residual[row, :] + o, the finished sum of what split-k.wgsl left, and its norm for what follows:
// normed[row, :] = y * weight / sqrt(mean(y^2) + EPS)      (Zhang & Sennrich 2019, as in Llama; not with NORM 0)
//
// partials: f32 [SPLIT][PART_ROWS][N]    residual, y, normed: f32 [rows, OUT]    weight: f32 [OUT]
// s, b: as in parts/expand-columns.wgsl. A workgroup does a row, each lane four columns at a time; y is read back by the lane
// that wrote it. Sums by lanes and then by a fixed tree. Grid: (rows); workgroup THREADS.

override OUT: u32; // a multiple of 4
override EPS: f32;
override NORM: u32 = 1u;
override THREADS: u32; // a power of 2

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> partials: array<vec4f>;
@group(0) @binding(2) var<storage, read> s: array<vec2f>;
@group(0) @binding(3) var<storage, read> b: array<vec4u>;
@group(0) @binding(4) var<storage, read> residual: array<vec4f>;
@group(0) @binding(5) var<storage, read> weight: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> normed: array<vec4f>;

var<workgroup> squares: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.x;
  if (row >= step[ROW_COUNT]) { return; }
  let first = row * OUT / 4u;
  var sum = 0.0;
  for (var i = lane; i < OUT / 4u; i += THREADS) {
    let v = residual[first + i] + projected(row, i * 4u);
    y[first + i] = v;
    sum += dot(v, v);
  }
  if (NORM == 0u) { return; }
  squares[lane] = sum;
  workgroupBarrier();
  for (var width = THREADS / 2u; width > 0u; width >>= 1u) {
    if (lane < width) { squares[lane] += squares[lane + width]; }
    workgroupBarrier();
  }
  let scale = 1.0 / sqrt(squares[0] / f32(OUT) + EPS);
  for (var i = lane; i < OUT / 4u; i += THREADS) {
    normed[first + i] = y[first + i] * scale * weight[i];
  }
}
