// A workgroup's tile of x · Wᵀ on tensor cores: ROWS x COLUMNS of it, over a run of K, in f32.
//
// Each subgroup makes SUBGROUP_ROWS x SUBGROUP_COLUMNS in matrices of MM x MN, MK deep. K goes by in chunks of DEPTH: x is
// rounded to f16 (beyond f16's range: to its largest number) and staged in workgroup memory, rows one 16-byte vector longer
// than they need, so that rows lie in different banks. W is staged beside it, quantised weights as f16(q * scale); f16 weights
// may instead be loaded by the matrices themselves, straight from memory (DIRECT). With two BUFFERS a chunk takes one barrier
// and the next chunk's loads, in registers, are under way while this one is multiplied.
//
// W is packed (weight-format.ts): f16 [n / 32][k / 16][32][16], int8 and int4 in blocks of 64 deep. Their values are unpacked
// in pairs that lie two or four apart in k; x is staged in the same order, since a sum does not mind.
//
// The kernel has constants MM, MN, MK, ROWS, COLUMNS, SUBGROUP_ROWS, SUBGROUP_COLUMNS, SUBGROUP (its lanes), DEPTH, BUFFERS,
// DIRECT and FORMAT, binds x as vec4f and w as vec4u, and says by column_of(c) which column of W the tile's column c is, by
// exists(n) whether W has such a column, and by f16_vector(n, k) where f16 values k .. k + 7 of it lie.

override K: u32; // a multiple of DEPTH

alias Left = subgroup_matrix_left<f16, MK, MM>;
alias Right = subgroup_matrix_right<f16, MN, MK>;
alias Result = subgroup_matrix_result<f32, MN, MM>;

const ACROSS = COLUMNS / SUBGROUP_COLUMNS; // subgroups side by side
const SUBGROUPS = ROWS / SUBGROUP_ROWS * ACROSS;
const THREADS = SUBGROUPS * SUBGROUP;
const MT = SUBGROUP_ROWS / MM;
const NT = SUBGROUP_COLUMNS / MN;
const KT = DEPTH / MK;

// Vectors of 8 f16: of a staged row, of x and of x with W.
const STRIDE = DEPTH / 8u + 1u;
const X_VECTORS = ROWS * STRIDE;
const BUFFER_VECTORS = X_VECTORS + select(COLUMNS, 0u, DIRECT != 0u) * STRIDE;

// What a lane fetches of a chunk: of x 8 values at a time, of W a vector of 8, 16 or 32.
const X_ITEMS = ROWS * DEPTH / 8u;
const X_TURNS = (X_ITEMS + THREADS - 1u) / THREADS;
const PER_VECTOR = 8u << FORMAT;
const W_ITEMS = COLUMNS * DEPTH / PER_VECTOR;
const W_TURNS = (W_ITEMS + THREADS - 1u) / THREADS;
// Vectors of a block of 64 deep and 32 columns: data, then scales.
const DATA_VECTORS = 64u * 32u / PER_VECTOR;
const BLOCK_VECTORS = DATA_VECTORS + 8u;

const LARGEST = vec4f(65504.0);

struct Fetched {
  low: array<vec4f, X_TURNS>,
  high: array<vec4f, X_TURNS>,
  w: array<vec4u, W_TURNS>,
  scale: array<u32, W_TURNS>,
}

alias Sums = array<array<Result, NT>, MT>;

var<workgroup> staged: array<vec4u, STAGED_VECTORS>;

// Starts the loads of a chunk. What lies beyond the rows of the batch or the columns of W is 0.
fn fetch(into: ptr<function, Fetched>, chunk: u32, index: u32, row0: u32, rows: u32) {
  for (var turn = 0u; turn < X_TURNS; turn++) {
    let item = turn * THREADS + index;
    let row = row0 + item / (DEPTH / 8u);
    var low = vec4f();
    var high = vec4f();
    if (item < X_ITEMS && row < rows) {
      let at = (row * K + chunk * DEPTH) / 4u + item % (DEPTH / 8u) * 2u;
      low = x[at];
      high = x[at + 1u];
    }
    (*into).low[turn] = low;
    (*into).high[turn] = high;
  }
  if (DIRECT != 0u) { return; }
  for (var turn = 0u; turn < W_TURNS; turn++) {
    let item = turn * THREADS + index;
    let c = column_in_tile(item);
    let n = column_of(c);
    var word = vec4u();
    var scale = 0u;
    if (item < W_ITEMS && exists(n)) {
      let k = chunk * DEPTH + depth_in_chunk(item);
      if (FORMAT == 0u) {
        word = w[f16_vector(n, k)];
      } else {
        let block = (n / 32u * (K / 64u) + k / 64u) * BLOCK_VECTORS;
        word = w[block + k % 64u / PER_VECTOR * 32u + n % 32u];
        scale = w[block + DATA_VECTORS + n % 32u / 4u][n % 4u] >> (k % 64u / 32u * 16u);
      }
    }
    (*into).w[turn] = word;
    (*into).scale[turn] = scale;
  }
}

// Neighbouring lanes fetch neighbouring vectors: those of 32 columns lie together, f16's two of a column side by side.
fn column_in_tile(item: u32) -> u32 {
  let across = 32u * (DEPTH / PER_VECTOR);
  return item / across * 32u + select(item % 32u, item % 64u / 2u, FORMAT == 0u);
}

fn depth_in_chunk(item: u32) -> u32 {
  let along = item % (32u * (DEPTH / PER_VECTOR));
  return select(along / 32u, along / 64u * 2u + along % 2u, FORMAT == 0u) * PER_VECTOR;
}

// Rounds what was fetched to f16 and puts it where the matrices are loaded from.
fn put(fetched: ptr<function, Fetched>, at: u32, index: u32) {
  for (var turn = 0u; turn < X_TURNS; turn++) {
    let item = turn * THREADS + index;
    if (item < X_ITEMS) {
      let low = clamp((*fetched).low[turn], -LARGEST, LARGEST);
      let high = clamp((*fetched).high[turn], -LARGEST, LARGEST);
      staged[at + item / (DEPTH / 8u) * STRIDE + item % (DEPTH / 8u)] = halves(low, high);
    }
  }
  if (DIRECT != 0u) { return; }
  for (var turn = 0u; turn < W_TURNS; turn++) {
    let item = turn * THREADS + index;
    if (item < W_ITEMS) {
      let to = at + X_VECTORS + column_in_tile(item) * STRIDE + depth_in_chunk(item) / 8u;
      let word = (*fetched).w[turn];
      if (FORMAT == 0u) {
        staged[to] = word;
      } else {
        let scale = bitcast<vec2<f16>>(((*fetched).scale[turn] & 0xffffu) * 0x10001u);
        if (FORMAT == 1u) {
          staged[to] = vec4u(four_of_int8(word.x, scale), four_of_int8(word.y, scale));
          staged[to + 1u] = vec4u(four_of_int8(word.z, scale), four_of_int8(word.w, scale));
        } else {
          staged[to] = eight_of_int4(word.x, scale);
          staged[to + 1u] = eight_of_int4(word.y, scale);
          staged[to + 2u] = eight_of_int4(word.z, scale);
          staged[to + 3u] = eight_of_int4(word.w, scale);
        }
      }
    }
  }
}

// Eight values of x in the order in which the format's are unpacked.
fn halves(a: vec4f, b: vec4f) -> vec4u {
  if (FORMAT == 1u) {
    return vec4u(pack2x16float(a.xz), pack2x16float(a.yw), pack2x16float(b.xz), pack2x16float(b.yw));
  }
  if (FORMAT == 2u) {
    return vec4u(
      pack2x16float(vec2f(a.x, b.x)),
      pack2x16float(vec2f(a.y, b.y)),
      pack2x16float(vec2f(a.z, b.z)),
      pack2x16float(vec2f(a.w, b.w)),
    );
  }
  return vec4u(pack2x16float(a.xy), pack2x16float(a.zw), pack2x16float(b.xy), pack2x16float(b.zw));
}

// 0x6400 is f16 1024, whose last bit counts 1: an integer put there is 1024 more than itself, exactly.
fn scaled(bits: u32, zero: f16, scale: vec2<f16>) -> u32 {
  return bitcast<u32>((bitcast<vec2<f16>>(bits | 0x64006400u) - vec2<f16>(1024.0h + zero)) * scale);
}

// Values 0, 2, 1, 3 of a word. With its sign bit turned, a two's complement byte is 128 more than its value.
fn four_of_int8(word: u32, scale: vec2<f16>) -> vec2u {
  let bits = word ^ 0x80808080u;
  return vec2u(scaled(bits & 0xff00ffu, 128.0h, scale), scaled((bits >> 8u) & 0xff00ffu, 128.0h, scale));
}

// Values 0, 4, 1, 5, 2, 6, 3, 7 of a word.
fn eight_of_int4(word: u32, scale: vec2<f16>) -> vec4u {
  return vec4u(
    scaled(word & 0xf000fu, 8.0h, scale),
    scaled((word >> 4u) & 0xf000fu, 8.0h, scale),
    scaled((word >> 8u) & 0xf000fu, 8.0h, scale),
    scaled((word >> 12u) & 0xf000fu, 8.0h, scale),
  );
}

// sums += x[row0 .., first * DEPTH .. end * DEPTH] · Wᵀ. Ends with a barrier: `staged` is free.
fn multiply(sums: ptr<function, Sums>, first: u32, end: u32, row0: u32, rows: u32, index: u32, subgroup: u32) {
  let own_row = subgroup / ACROSS * SUBGROUP_ROWS;
  let own_column = subgroup % ACROSS * SUBGROUP_COLUMNS;
  let live = exists(column_of(own_column));
  var fetched: Fetched;
  fetch(&fetched, first, index, row0, rows);
  for (var chunk = first; chunk < end; chunk++) {
    let at = (chunk - first) % BUFFERS * BUFFER_VECTORS;
    var direct: array<array<Right, NT>, KT>;
    if (DIRECT != 0u && live) {
      for (var kk = 0u; kk < KT; kk++) {
        for (var j = 0u; j < NT; j++) {
          let vector = f16_vector(column_of(own_column + j * MN), chunk * DEPTH + kk * MK);
          direct[kk][j] = subgroupMatrixLoad<Right, col_major>(&w, vector, 2u);
        }
      }
    }
    put(&fetched, at, index);
    if (chunk + 1u < end) { fetch(&fetched, chunk + 1u, index, row0, rows); }
    workgroupBarrier();
    if (live) {
      for (var kk = 0u; kk < KT; kk++) {
        var left: array<Left, MT>;
        for (var i = 0u; i < MT; i++) {
          let vector = at + (own_row + i * MM) * STRIDE + kk * MK / 8u;
          left[i] = subgroupMatrixLoad<Left, row_major>(&staged, vector, STRIDE);
        }
        for (var j = 0u; j < NT; j++) {
          var right: Right;
          if (DIRECT != 0u) {
            right = direct[kk][j];
          } else {
            let vector = at + X_VECTORS + (own_column + j * MN) * STRIDE + kk * MK / 8u;
            right = subgroupMatrixLoad<Right, col_major>(&staged, vector, STRIDE);
          }
          for (var i = 0u; i < MT; i++) {
            (*sums)[i][j] = subgroupMatrixMultiplyAccumulate(left[i], right, (*sums)[i][j]);
          }
        }
      }
    }
    if (BUFFERS == 1u) { workgroupBarrier(); }
  }
  if (BUFFERS > 1u) { workgroupBarrier(); }
}
