// y[row, :] = silu(gate) * up      where gate and up are finished sums of what split-k.wgsl left
//
// partials: f32 [SPLIT][PART_ROWS][N], gate columns and then up columns (N / 2 each)    y: f32 [rows, OUT]
// s, b: as in parts/expand-columns.wgsl. An invocation does four columns. Grid: (ceil(OUT / 4 / 64), rows).

override OUT: u32; // a multiple of 4

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> partials: array<vec4f>;
@group(0) @binding(2) var<storage, read> s: array<vec2f>;
@group(0) @binding(3) var<storage, read> b: array<vec4u>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n = (group.x * 64u + lane) * 4u;
  let row = group.y;
  if (n >= OUT || row >= step[ROW_COUNT]) { return; }
  y[(row * OUT + n) / 4u] = silu(projected(row, n)) * projected(row, N / 2u + n);
}
