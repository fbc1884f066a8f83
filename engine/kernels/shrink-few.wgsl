// s[row, slice, :rank] = x[row, :] · A[slot(row), slice]ᵀ       shrink.wgsl for few rows on GPUs
//
// With few rows there are few workgroups, each of which waits for its own loads, so a lane has several 16-byte loads of A under
// way: UNROLL pieces of 8 values of each of RANKS_EACH ranks. A workgroup does those ranks of one slice of one tile (up to 4
// neighbouring rows of one adapter); its lanes split K, and are summed by subgroups and then in workgroup memory.
// Ranks from the adapter's own up to the next four are zero in the pool, and written; those beyond leave at once.
//
// x: f32 [rows, K]    a: f16 pool [page][SLICES][8 ranks][K / 2] in u32 at A_AT    s: f32 [rows, SLICES, RANKS]
// Grid: (tiles, SLICES, ceil(largest rank in the batch / 4) * 4 / RANKS_EACH).

override K: u32; // a multiple of 8
override SLICES: u32;
override RANKS: u32;
override RANKS_EACH: u32 = 4u; // 1, 2 or 4
override UNROLL: u32 = 2u; // 1, 2 or 4
override THREADS: u32 = 256u;
override A_AT: u32; // a multiple of 4
override SLOTS_AT: u32;
override PAGES_AT: u32;
override TILES_AT: u32;

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> a: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> s: array<f32>;

var<workgroup> sums: array<vec4f, THREADS>; // [4 rows][subgroups], of at least 4 lanes each

// A piece of 8 values of each of the ranks, as loaded.
struct Piece {
  r0: vec4u,
  r1: vec4u,
  r2: vec4u,
  r3: vec4u,
}

fn fetch(line: u32, piece: u32) -> Piece {
  let next = K / 8u;
  var got = Piece();
  got.r0 = a[line + piece];
  if (RANKS_EACH > 1u) { got.r1 = a[line + next + piece]; }
  if (RANKS_EACH > 2u) {
    got.r2 = a[line + 2u * next + piece];
    got.r3 = a[line + 3u * next + piece];
  }
  return got;
}

fn product(q: vec4u, low: vec4f, high: vec4f) -> f32 {
  return dot(vec4f(unpack2x16float(q.x), unpack2x16float(q.y)), low)
    + dot(vec4f(unpack2x16float(q.z), unpack2x16float(q.w)), high);
}

// A rank a component.
fn products(got: Piece, at: u32) -> vec4f {
  let low = x[at];
  let high = x[at + 1u];
  var p = vec4f(product(got.r0, low, high), 0.0, 0.0, 0.0);
  if (RANKS_EACH > 1u) { p.y = product(got.r1, low, high); }
  if (RANKS_EACH > 2u) {
    p.z = product(got.r2, low, high);
    p.w = product(got.r3, low, high);
  }
  return p;
}

// The sums of a lane, a row each.
struct Sums {
  t0: vec4f,
  t1: vec4f,
  t2: vec4f,
  t3: vec4f,
}

fn add(sum: Sums, got: Piece, row: u32, count: u32, piece: u32) -> Sums {
  var t = sum;
  let at = row * (K / 4u) + 2u * piece;
  t.t0 += products(got, at);
  if (count > 1u) { t.t1 += products(got, at + K / 4u); }
  if (count > 2u) { t.t2 += products(got, at + 2u * (K / 4u)); }
  if (count > 3u) { t.t3 += products(got, at + 3u * (K / 4u)); }
  return t;
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_size) size: u32,
  @builtin(subgroup_invocation_id) place: u32,
) {
  let tile = step[TILES_AT] + group.x * 4u;
  let row = step[tile];
  let count = step[tile + 1u];
  let entry = step[SLOTS_AT] + step[tile + 2u] * 4u;
  let rank = step[entry];
  let slice = group.y;
  let r0 = group.z * RANKS_EACH;
  if (r0 >= (rank + 3u) / 4u * 4u) { return; }
  let page = step[step[PAGES_AT] + step[entry + 2u] + r0 / 8u];
  let line = A_AT / 4u + ((page * SLICES + slice) * 8u + r0 % 8u) * (K / 8u);
  var t = Sums();
  var piece = lane;
  for (var round = 0u; round < K / 8u / (THREADS * UNROLL); round++) {
    let p0 = fetch(line, piece);
    var p1 = Piece();
    var p2 = Piece();
    var p3 = Piece();
    if (UNROLL > 1u) { p1 = fetch(line, piece + THREADS); }
    if (UNROLL > 2u) {
      p2 = fetch(line, piece + 2u * THREADS);
      p3 = fetch(line, piece + 3u * THREADS);
    }
    t = add(t, p0, row, count, piece);
    if (UNROLL > 1u) { t = add(t, p1, row, count, piece + THREADS); }
    if (UNROLL > 2u) {
      t = add(t, p2, row, count, piece + 2u * THREADS);
      t = add(t, p3, row, count, piece + 3u * THREADS);
    }
    piece += THREADS * UNROLL;
  }
  for (; piece < K / 8u; piece += THREADS) { t = add(t, fetch(line, piece), row, count, piece); }

  let subgroups = (THREADS + size - 1u) / size;
  let s0 = subgroupAdd(t.t0);
  let s1 = subgroupAdd(t.t1);
  let s2 = subgroupAdd(t.t2);
  let s3 = subgroupAdd(t.t3);
  if (place == 0u) {
    sums[subgroup] = s0;
    sums[subgroups + subgroup] = s1;
    sums[2u * subgroups + subgroup] = s2;
    sums[3u * subgroups + subgroup] = s3;
  }
  workgroupBarrier();
  // Four lanes a row, a rank each.
  let own = lane / 4u;
  let r = lane % 4u;
  if (own < count && r < RANKS_EACH) {
    var sum = 0.0;
    for (var i = 0u; i < subgroups; i++) { sum += sums[own * subgroups + i][r]; }
    s[((row + own) * SLICES + slice) * RANKS + r0 + r] = sum;
  }
}
