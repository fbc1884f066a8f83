// y[row, :] = finish( g ⊙ (x[row, :] · Wᵀ + scale · s[row, slice, :] · B[slot(row)]ᵀ) + bias )     many rows, on tensor cores
//
// As matmul.wgsl: finish is nothing, + residual (RESIDUAL), or silu(gate) * up (SWIGLU; a subgroup's columns are then half
// gates and half ups). A workgroup does a tile of ROWS x COLUMNS (parts/tensor-product.wgsl). Its sums go through workgroup
// memory, MM rows a subgroup at a time, so that a lane finishes four neighbouring columns of a row; rows beyond the batch and
// columns beyond OUT end there.
//
// w: packed weights    x: f32 [rows, K]    y, residual: f32 [rows, OUT]    s, b: as in parts/expand-columns.wgsl
// Grid: (ceil(rows / ROWS), ceil(N / COLUMNS)), so that workgroups beside each other share columns of W; workgroup THREADS.

override OUT: u32; // a multiple of 4
override RESIDUAL: u32 = 0u;
override SWIGLU: u32 = 0u;
override ROW_COUNT: u32; // header word that holds the number of rows

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> w: array<vec4u>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(4) var<storage, read> residual: array<vec4f>;
@group(0) @binding(5) var<storage, read> s: array<vec2f>;
@group(0) @binding(6) var<storage, read> b: array<vec4u>;

// A row of a subgroup's sums in workgroup memory, in vectors of 4 f32, and one more for the banks' sake.
const SUMS_STRIDE = SUBGROUP_COLUMNS / 4u + 1u;
const STAGED_VECTORS = max(BUFFERS * BUFFER_VECTORS, SUBGROUPS * MM * SUMS_STRIDE);

var<private> tile: u32;

fn column_of(c: u32) -> u32 {
  if (SWIGLU == 0u) { return tile * COLUMNS + c; }
  let half = SUBGROUP_COLUMNS / 2u;
  let gate = tile * (COLUMNS / 2u) + c / SUBGROUP_COLUMNS * half + c % half;
  if (gate >= N / 2u) { return N; }
  return select(gate, N / 2u + gate, c % SUBGROUP_COLUMNS >= half);
}

fn store(row: u32, n: u32, v: vec4f) {
  let i = (row * OUT + n) / 4u;
  if (RESIDUAL != 0u) { y[i] = residual[i] + v; } else { y[i] = v; }
}

// Four columns of a row whose sums begin at `line`, from the c-th of the subgroup's that begin at own_column.
fn finish(row: u32, line: u32, own_column: u32, c: u32) {
  let n = column_of(own_column + c);
  if (n >= OUT) { return; }
  let v = adapt(row, n, bitcast<vec4f>(staged[line + c / 4u]));
  if (SWIGLU != 0u) {
    let up = bitcast<vec4f>(staged[line + (SUBGROUP_COLUMNS / 2u + c) / 4u]);
    store(row, n, silu(v) * adapt(row, N / 2u + n, up));
  } else {
    store(row, n, v);
  }
}

@compute @workgroup_size(THREADS) @subgroup_size(SUBGROUP)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  tile = group.y;
  let rows = step[ROW_COUNT];
  let row0 = group.x * ROWS;
  var sums: Sums;
  multiply(&sums, 0u, K / DEPTH, row0, rows, index, subgroup);
  let own_column = subgroup % ACROSS * SUBGROUP_COLUMNS;
  let own = subgroup * MM * SUMS_STRIDE;
  let width = select(SUBGROUP_COLUMNS, SUBGROUP_COLUMNS / 2u, SWIGLU != 0u) / 4u;
  for (var i = 0u; i < MT; i++) {
    for (var j = 0u; j < NT; j++) {
      subgroupMatrixStore<row_major>(&staged, own + j * MN / 4u, sums[i][j], SUMS_STRIDE);
    }
    workgroupBarrier();
    for (var item = lane; item < MM * width; item += SUBGROUP) {
      let row = row0 + subgroup / ACROSS * SUBGROUP_ROWS + i * MM + item / width;
      if (row < rows) { finish(row, own + item / width * SUMS_STRIDE, own_column, item % width * 4u); }
    }
    workgroupBarrier();
  }
}
