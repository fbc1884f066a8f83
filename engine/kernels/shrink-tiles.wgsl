// s[row, slice, :rank] = x[row, :] · A[slot(row), slice]ᵀ       as shrink.wgsl, where an adapter has many rows, on tensor cores
//
// A workgroup does up to ROWS neighbouring rows of one adapter, COLUMNS ranks of one slice: the tiles of rows that begin in the
// same ROWS of the step, so that each knows from the tile before it whether it is the first and from those after it how far to
// go. x is rounded to f16 on the way (parts/tensor-product.wgsl), s is f32. Ranks up to the adapter's next four are written.
//
// w: f16 pool of A, [page][SLICES][8 ranks][K] at A_AT    x: f32 [rows, K]    s: f32 [rows, SLICES, RANKS]
// Grid: (tiles, SLICES, ceil(largest rank in the batch / COLUMNS)); workgroup THREADS.

override SLICES: u32;
override RANKS: u32;
override A_AT: u32; // a multiple of 4
override SLOTS_AT: u32;
override PAGES_AT: u32;
override TILES_AT: u32;
override QUERIES_AT: u32; // what follows the tiles in the step

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> w: array<vec4u>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> s: array<f32>;

// A row of a subgroup's sums in workgroup memory, in vectors of 4 f32, and one more for the banks' sake.
const SUMS_STRIDE = SUBGROUP_COLUMNS / 4u + 1u;
const STAGED_VECTORS = max(BUFFERS * BUFFER_VECTORS, SUBGROUPS * MM * SUMS_STRIDE);

var<private> ranks: u32; // those that are written
var<private> r0: u32;
var<private> slice: u32;
var<private> pages: u32;

fn column_of(c: u32) -> u32 {
  return r0 + c;
}

fn exists(r: u32) -> bool {
  return r < ranks;
}

fn f16_vector(r: u32, k: u32) -> u32 {
  let line = (step[pages + r / 8u] * SLICES + slice) * 8u + r % 8u;
  return A_AT / 4u + (line * K + k) / 8u;
}

@compute @workgroup_size(THREADS) @subgroup_size(SUBGROUP)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let tiles = (step[QUERIES_AT] - step[TILES_AT]) / 4u;
  let tile = step[TILES_AT] + group.x * 4u;
  let first = step[tile];
  let slot = step[tile + 2u];
  let block = first / ROWS;
  if (group.x > 0u) {
    if (step[tile - 2u] == slot && step[tile - 4u] / ROWS == block) { return; }
  }
  let entry = step[SLOTS_AT] + slot * 4u;
  let rank = step[entry];
  if (group.z * COLUMNS >= rank) { return; }
  var end = first + step[tile + 1u];
  for (var next = 1u; next < ROWS / 4u && group.x + next < tiles; next++) {
    let at = tile + next * 4u;
    if (step[at + 2u] != slot || step[at] / ROWS != block) { break; }
    end = step[at] + step[at + 1u];
  }
  ranks = (rank + 3u) / 4u * 4u;
  r0 = group.z * COLUMNS;
  slice = group.y;
  pages = step[PAGES_AT] + step[entry + 2u];
  var sums: Sums;
  multiply(&sums, 0u, K / DEPTH, first, end, index, subgroup);
  let own_column = subgroup % ACROSS * SUBGROUP_COLUMNS;
  let own = subgroup * MM * SUMS_STRIDE;
  for (var i = 0u; i < MT; i++) {
    for (var j = 0u; j < NT; j++) {
      subgroupMatrixStore<row_major>(&staged, own + j * MN / 4u, sums[i][j], SUMS_STRIDE);
    }
    workgroupBarrier();
    for (var item = lane; item < MM * SUBGROUP_COLUMNS; item += SUBGROUP) {
      let row = first + subgroup / ACROSS * SUBGROUP_ROWS + i * MM + item / SUBGROUP_COLUMNS;
      let c = item % SUBGROUP_COLUMNS;
      let r = column_of(own_column + c);
      if (row < end && r < ranks) {
        let sum = staged[own + item / SUBGROUP_COLUMNS * SUMS_STRIDE + c / 4u][c % 4u];
        s[(row * SLICES + slice) * RANKS + r] = bitcast<f32>(sum);
      }
    }
    workgroupBarrier();
  }
}
