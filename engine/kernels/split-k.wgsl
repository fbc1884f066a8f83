// partials[part, row, n] = x[row, :] · W[n, :]ᵀ over the part's share of K       projections of few rows, on tensor cores
// and, in the same dispatch, s[row, slice, :rank] = x[row, :] · A[slot(row), slice]ᵀ for the rows that have an adapter
//
// One tile holds all rows of the batch, so W is read once; what is missing in columns to fill the device with workgroups,
// parts of K are. Their sum, and all that a projection does to it, is reduce-*.wgsl's. Rows beyond the batch are 0.
//
// The shrink only reads x as well, but a dispatch of its own would not run beside this one: Dawn sets a barrier before every
// dispatch that writes a buffer used before (TrackUsageAndGetResourceBarrier in BufferVk.cpp), whatever it reads. So it is the
// first workgroups of this one, each 8 ranks of one slice of up to 4 neighbouring rows of one adapter (shrink.wgsl); all lanes
// split K, then a fixed-order sum over subgroups. What a page holds past the adapter's own ranks goes no further than s's next
// four.
//
// w: packed weights    x: f32 [rows, K]    partials: f32 [SPLIT][ROWS][N]
// a: f16 pool [page][SLICES][8 ranks][K] at A_AT    s: f32 [rows, SLICES, RANKS]
// Grid: (ceil(N / COLUMNS), SPLIT + as many as shrinks need); workgroup THREADS. See parts/tensor-product.wgsl.

override SPLIT: u32;
override ROW_COUNT: u32; // header word that holds the number of rows
override SLICES: u32 = 1u;
override RANKS: u32 = 8u;
override A_AT: u32 = 0u; // a multiple of 4
override SLOTS_AT: u32;
override PAGES_AT: u32;
override TILES_AT: u32;
override QUERIES_AT: u32; // what follows the tiles in the step

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> w: array<vec4u>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> partials: array<f32>;
@group(0) @binding(4) var<storage, read> a: array<vec4u>;
@group(0) @binding(5) var<storage, read_write> s: array<f32>;

const STAGED_VECTORS = max(BUFFERS * BUFFER_VECTORS, SUBGROUPS * 8u);

var<private> column0: u32;

fn column_of(c: u32) -> u32 {
  return column0 + c;
}

fn shrink(item: u32, index: u32, subgroup: u32, lane: u32) {
  let tiles = (step[QUERIES_AT] - step[TILES_AT]) / 4u;
  let tile = step[TILES_AT] + item % tiles * 4u;
  let row = step[tile];
  let count = step[tile + 1u];
  let entry = step[SLOTS_AT] + step[tile + 2u] * 4u;
  let slice = item / tiles % SLICES;
  let r0 = item / tiles / SLICES * 8u;
  let rank = step[entry];
  if (r0 >= rank) { return; }
  let page = step[step[PAGES_AT] + step[entry + 2u] + r0 / 8u];
  let line = A_AT / 4u + (page * SLICES + slice) * K;
  var sums: array<array<f32, 8>, 4>;
  for (var i = index; i < K / 8u; i += THREADS) {
    var low: array<vec4f, 4>;
    var high: array<vec4f, 4>;
    for (var m = 0u; m < 4u; m++) {
      if (m < count) {
        let at = (row + m) * (K / 4u) + i * 2u;
        low[m] = x[at];
        high[m] = x[at + 1u];
      }
    }
    for (var r = 0u; r < 8u; r++) {
      let word = a[line + r * (K / 8u) + i];
      let first = vec4f(unpack2x16float(word.x), unpack2x16float(word.y));
      let second = vec4f(unpack2x16float(word.z), unpack2x16float(word.w));
      for (var m = 0u; m < 4u; m++) { sums[m][r] += dot(first, low[m]) + dot(second, high[m]); }
    }
  }
  for (var m = 0u; m < 4u; m++) {
    for (var r = 0u; r < 8u; r += 4u) {
      let whole = subgroupAdd(vec4f(sums[m][r], sums[m][r + 1u], sums[m][r + 2u], sums[m][r + 3u]));
      if (lane == 0u) { staged[subgroup * 8u + m * 2u + r / 4u] = bitcast<vec4u>(whole); }
    }
  }
  workgroupBarrier();
  for (var j = index; j < 32u; j += THREADS) {
    let r = r0 + j % 8u;
    if (j / 8u < count && r < (rank + 3u) / 4u * 4u) {
      var sum = 0.0;
      for (var other = 0u; other < SUBGROUPS; other++) {
        sum += bitcast<f32>(staged[other * 8u + j / 4u][j % 4u]);
      }
      s[((row + j / 8u) * SLICES + slice) * RANKS + r] = sum;
    }
  }
}

@compute @workgroup_size(THREADS) @subgroup_size(SUBGROUP)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let shrinks = groups.y - SPLIT;
  if (group.y < shrinks) {
    shrink(group.y * groups.x + group.x, index, subgroup, lane);
    return;
  }
  let part = group.y - shrinks;
  column0 = group.x * COLUMNS;
  let chunks = K / DEPTH;
  var sums: Sums;
  multiply(&sums, part * chunks / SPLIT, (part + 1u) * chunks / SPLIT, 0u, step[ROW_COUNT], index, subgroup);
  let own_column = column_of(subgroup % ACROSS * SUBGROUP_COLUMNS);
  if (own_column < N) {
    for (var i = 0u; i < MT; i++) {
      for (var j = 0u; j < NT; j++) {
        let row = part * ROWS + subgroup / ACROSS * SUBGROUP_ROWS + i * MM;
        subgroupMatrixStore<row_major>(&partials, row * N + own_column + j * MN, sums[i][j], N);
      }
    }
  }
}
