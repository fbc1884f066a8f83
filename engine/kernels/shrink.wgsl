// s[row, slice, :rank] = x[row, :] · A[slot(row), slice]ᵀ       the first half of LoRA, for the rows that have an adapter
//
// A tile is up to 4 neighbouring rows of one adapter (rows are laid out by slot), so A is read once for them all. Base
// rows are in no tile. A workgroup does 4 ranks of one slice of one tile: 64 lanes split K, then a fixed-order sum.
// Ranks past the adapter's own leave at once; the rest of its last four are zero in the pool.
//
// x: f32 [rows, K]    a: f16 pool [page][SLICES][8 ranks][K / 2] in u32 at A_AT    s: f32 [rows, SLICES, RANKS]
// Grid: (tiles, SLICES, ceil(largest rank in the batch / 4)).

override K: u32;
override SLICES: u32;
override RANKS: u32;
override A_AT: u32;
override SLOTS_AT: u32;
override PAGES_AT: u32;
override TILES_AT: u32;

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> a: array<u32>;
@group(0) @binding(3) var<storage, read_write> s: array<f32>;

var<workgroup> partial: array<vec4f, 256>; // [4 rows][64 lanes]
var<workgroup> sums: array<vec4f, 64>; // [4 rows][16 lanes]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let tile = step[TILES_AT] + group.x * 4u;
  let row = step[tile];
  let count = step[tile + 1u];
  let entry = step[SLOTS_AT] + step[tile + 2u] * 4u;
  let rank = step[entry];
  let slice = group.y;
  let r0 = group.z * 4u;
  if (r0 >= rank) { return; }
  let page = step[step[PAGES_AT] + step[entry + 2u] + r0 / 8u];
  let line = A_AT + ((page * SLICES + slice) * 8u + r0 % 8u) * (K / 2u);
  var t0 = vec4f();
  var t1 = vec4f();
  var t2 = vec4f();
  var t3 = vec4f();
  for (var pair = lane; pair < K / 2u; pair += 64u) {
    let p0 = unpack2x16float(a[line + pair]);
    let p1 = unpack2x16float(a[line + K / 2u + pair]);
    let p2 = unpack2x16float(a[line + K + pair]);
    let p3 = unpack2x16float(a[line + K + K / 2u + pair]);
    let even = vec4f(p0.x, p1.x, p2.x, p3.x);
    let odd = vec4f(p0.y, p1.y, p2.y, p3.y);
    let at = row * K + 2u * pair;
    t0 += even * x[at] + odd * x[at + 1u];
    if (count > 1u) { t1 += even * x[at + K] + odd * x[at + K + 1u]; }
    if (count > 2u) { t2 += even * x[at + 2u * K] + odd * x[at + 2u * K + 1u]; }
    if (count > 3u) { t3 += even * x[at + 3u * K] + odd * x[at + 3u * K + 1u]; }
  }
  partial[lane] = t0;
  partial[64u + lane] = t1;
  partial[128u + lane] = t2;
  partial[192u + lane] = t3;
  workgroupBarrier();
  // 16 lanes a row: each sums four of its row's partials, then one sums those.
  let mine = lane / 16u;
  let base = mine * 64u + (lane % 16u) * 4u;
  sums[lane] = partial[base] + partial[base + 1u] + partial[base + 2u] + partial[base + 3u];
  workgroupBarrier();
  if (lane < count) {
    var sum = vec4f();
    for (var i = 0u; i < 16u; i++) { sum += sums[lane * 16u + i]; }
    let at = ((row + lane) * SLICES + slice) * RANKS + r0;
    s[at] = sum.x;
    s[at + 1u] = sum.y;
    s[at + 2u] = sum.z;
    s[at + 3u] = sum.w;
  }
}
