// y[row, :] = finish( g ⊙ (x[row, :] · Wᵀ + scale · s[row, slice, :] · B[slot(row)]ᵀ) + bias )     for few rows, on GPUs
//
// What bounds it is reading W once, so a lane has several independent 16-byte loads of W under way before it uses the first:
// TN columns in UNROLL units of K. A unit is 16 bytes of one column: 8 values of f16, 16 of int8, 32 of int4, which with
// PACK > 1 lie together and with PACK = 1 are four words, 32 apart. x is read through the cache: all lanes of a column's part
// of K read the same 16 bytes.
//
// A workgroup makes COLUMNS * TN columns of TM rows. Its lanes are [PARTS][COLUMNS][JOIN]: JOIN neighbours share a column, so
// that they read on where W does (2 for packed f16, whose column has 32 bytes together), and PARTS share out K. The adapters'
// part is more of K: each lane adds its share of the ranks to its own sums. Those are added up by shuffles within a subgroup,
// of whatever width the device has, and then in workgroup memory, in one order.
//
// w: as kernels/weight-format.ts has it, in tiles of 32 columns of TILE_WORDS; in blocks of BLOCK_WORDS, of which a unit of a
// column is UNIT_WORDS and a lane LANE_WORDS    x: f32 [rows, K]    y, residual, s, b: see parts/epilogue.wgsl
// With SWIGLU, W holds gate rows and then up rows (N / 2 each), and the second half of the TN columns are the ups.
// Grid: (N / (COLUMNS * TN), ceil(rows / TM)); workgroup COLUMNS * JOIN * PARTS. f32 accumulation throughout.

override K: u32; // a multiple of 8
override TM: u32 = 1u; // 1 to 8
override TN: u32 = 1u; // 1, 2 or 4; not 1 with SWIGLU
override COLUMNS: u32 = 16u; // 8, 16 or 32
override JOIN: u32 = 1u;
override THREADS: u32 = 256u;
override UNROLL: u32 = 4u; // 1, 2 or 4
override FORMAT: u32 = 0u;
override PACK: u32 = 1u;
override TILE_WORDS: u32;
override BLOCK_WORDS: u32;
override UNIT_WORDS: u32;
override LANE_WORDS: u32;
override SWIGLU: u32 = 0u;
override ROW_COUNT: u32; // header word that holds the number of rows
override SUMS: u32; // PARTS * COLUMNS * TN * TM

override PARTS = THREADS / (COLUMNS * JOIN);
// Units of a column that one turn of all its lanes takes.
override STRIDE = PARTS * JOIN;
// Values of a unit, in quads of 4.
override QUADS = 2u << FORMAT;
override UNITS = K / (4u * QUADS);
override BLOCK_UNITS = select(2u, 4u, FORMAT == 1u);

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> w: array<vec4u>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read> s: array<f32>;
@group(0) @binding(6) var<storage, read> b: array<u32>;

var<workgroup> sums: array<f32, SUMS>; // [PARTS][TM][TN][COLUMNS]

// One unit of each of the TN columns, as loaded.
struct Units {
  q0: vec4u,
  q1: vec4u,
  q2: vec4u,
  q3: vec4u,
  scales: vec4u,
}

// The sums of a lane: a row each, a column a component. Indexed by constants alone, so that they stay in registers.
alias Sums = array<vec4f, 8>;

struct Lane {
  part: u32,
  c: u32,
  // Among the lanes of its column.
  turn: u32,
  // Its columns.
  n: vec4u,
  width: u32,
  fold: u32,
}

// The t-th of a lane's columns.
fn column(group: u32, c: u32, t: u32) -> u32 {
  let half = TN / 2u;
  if (SWIGLU == 0u) { return (group * TN + t) * COLUMNS + c; }
  return select(0u, N / 2u, t >= half) + (group * half + t % half) * COLUMNS + c;
}

fn load(t: u32, n: u32, unit: u32) -> vec4u {
  if (t >= TN) { return vec4u(); }
  let at = (n / 32u) * TILE_WORDS + (unit / BLOCK_UNITS) * BLOCK_WORDS + (unit % BLOCK_UNITS) * UNIT_WORDS
    + (n % 32u) * LANE_WORDS;
  if (PACK > 1u) { return w[at / 4u]; }
  return vec4u(word(at), word(at + 32u), word(at + 64u), word(at + 96u));
}

fn word(at: u32) -> u32 {
  return w[at / 4u][at % 4u];
}

fn load_scale(t: u32, n: u32, unit: u32) -> u32 {
  if (FORMAT == 0u || t >= TN) { return 0u; }
  return word((n / 32u) * TILE_WORDS + (unit / BLOCK_UNITS) * BLOCK_WORDS + BLOCK_WORDS - 32u + n % 32u);
}

fn fetch(n: vec4u, unit: u32) -> Units {
  return Units(
    load(0u, n.x, unit),
    load(1u, n.y, unit),
    load(2u, n.z, unit),
    load(3u, n.w, unit),
    vec4u(
      load_scale(0u, n.x, unit),
      load_scale(1u, n.y, unit),
      load_scale(2u, n.z, unit),
      load_scale(3u, n.w, unit),
    ),
  );
}

// Values 4v to 4v + 3 of a unit. Integers become floats by way of f16: as the low bits of 1024's or 64's significand they are
// 1024 + i and 64 + i, and two are widened at once; integer conversion is four times slower than other work on NVIDIA's. All
// products and differences here are exact: an f16 scale has 11 bits, i at most 8, and 1152, 1032 and 72 are 9 * 2^7, 129 * 8
// and 9 * 8.
fn quad(q: vec4u, v: u32, scale: f32) -> vec4f {
  if (FORMAT == 0u) {
    let pairs = select(q.zw, q.xy, v == 0u);
    return vec4f(unpack2x16float(pairs.x), unpack2x16float(pairs.y));
  }
  if (FORMAT == 1u) {
    let even = unpack2x16float((q[v] & 0x00ff00ffu) ^ 0x64806480u);
    let odd = unpack2x16float(((q[v] >> 8u) & 0x00ff00ffu) ^ 0x64806480u);
    return vec4f(even.x, odd.x, even.y, odd.y) * scale - vec4f(1152.0 * scale);
  }
  let low = q[v / 2u];
  let high = low >> 8u;
  let i0 = unpack2x16float((low & 0x000f000fu) | 0x64006400u);
  let i1 = unpack2x16float((low & 0x00f000f0u) | 0x54005400u);
  let i2 = unpack2x16float((high & 0x000f000fu) | 0x64006400u);
  let i3 = unpack2x16float((high & 0x00f000f0u) | 0x54005400u);
  let raw = select(vec4f(i0.y, i1.y, i2.y, i3.y), vec4f(i0.x, i1.x, i2.x, i3.x), v % 2u == 0u);
  return raw * scale - vec4f(1032.0, 72.0, 1032.0, 72.0) * scale;
}

// The scales of a unit's group of 32: low halves for the block's first group, high ones for its second.
fn scales_of(words: vec4u, unit: u32) -> vec4f {
  if (FORMAT == 0u) { return vec4f(1.0); }
  let second = unit % BLOCK_UNITS >= BLOCK_UNITS / 2u;
  let halves = select(words, words >> vec4u(16u), second);
  return vec4f(
    unpack2x16float(halves.x).x,
    unpack2x16float(halves.y).x,
    unpack2x16float(halves.z).x,
    unpack2x16float(halves.w).x,
  );
}

fn products(x4: vec4f, w0: vec4f, w1: vec4f, w2: vec4f, w3: vec4f) -> vec4f {
  var p = vec4f(dot(x4, w0), 0.0, 0.0, 0.0);
  if (TN > 1u) { p.y = dot(x4, w1); }
  if (TN > 2u) {
    p.z = dot(x4, w2);
    p.w = dot(x4, w3);
  }
  return p;
}

// @param first where row r0 begins in x, @param last how many rows further its last row of the step is
fn add_quad(acc: ptr<function, Sums>, units: Units, scales: vec4f, v: u32, unit: u32, first: u32, last: u32) {
  let w0 = quad(units.q0, v, scales.x);
  let w1 = quad(units.q1, v, scales.y);
  let w2 = quad(units.q2, v, scales.z);
  let w3 = quad(units.q3, v, scales.w);
  let at = first + unit * QUADS + v;
  let line = K / 4u;
  (*acc)[0] += products(x[at], w0, w1, w2, w3);
  if (TM > 1u) { (*acc)[1] += products(x[at + min(1u, last) * line], w0, w1, w2, w3); }
  if (TM > 2u) { (*acc)[2] += products(x[at + min(2u, last) * line], w0, w1, w2, w3); }
  if (TM > 3u) { (*acc)[3] += products(x[at + min(3u, last) * line], w0, w1, w2, w3); }
  if (TM > 4u) { (*acc)[4] += products(x[at + min(4u, last) * line], w0, w1, w2, w3); }
  if (TM > 5u) { (*acc)[5] += products(x[at + min(5u, last) * line], w0, w1, w2, w3); }
  if (TM > 6u) { (*acc)[6] += products(x[at + min(6u, last) * line], w0, w1, w2, w3); }
  if (TM > 7u) { (*acc)[7] += products(x[at + min(7u, last) * line], w0, w1, w2, w3); }
}

fn add_units(acc: ptr<function, Sums>, units: Units, unit: u32, first: u32, last: u32) {
  let scales = scales_of(units.scales, unit);
  add_quad(acc, units, scales, 0u, unit, first, last);
  add_quad(acc, units, scales, 1u, unit, first, last);
  if (FORMAT > 0u) {
    add_quad(acc, units, scales, 2u, unit, first, last);
    add_quad(acc, units, scales, 3u, unit, first, last);
  }
  if (FORMAT > 1u) {
    add_quad(acc, units, scales, 4u, unit, first, last);
    add_quad(acc, units, scales, 5u, unit, first, last);
    add_quad(acc, units, scales, 6u, unit, first, last);
    add_quad(acc, units, scales, 7u, unit, first, last);
  }
}

// A lane's share of scale · s · Bᵀ: the rank pairs whose turn it is.
fn low_rank(row: u32, rows: u32, turn: u32, n: vec4u) -> vec4f {
  if (row >= rows) { return vec4f(); }
  let entry = adapter_of(row);
  if (entry == BASE_ROW) { return vec4f(); }
  let rank = step[entry];
  let pages = step[PAGES_AT] + step[entry + 2u];
  let at = (vec4u(row * SLICES) + vec4u(slice_of(n.x), slice_of(n.y), slice_of(n.z), slice_of(n.w))) * RANKS;
  var sum = vec4f();
  for (var r = 2u * turn; r < rank; r += 2u * STRIDE) {
    let line = line_of(pages, r);
    sum.x += dot(unpack2x16float(b[line + n.x]), vec2f(s[at.x + r], s[at.x + r + 1u]));
    if (TN > 1u) { sum.y += dot(unpack2x16float(b[line + n.y]), vec2f(s[at.y + r], s[at.y + r + 1u])); }
    if (TN > 2u) {
      sum.z += dot(unpack2x16float(b[line + n.z]), vec2f(s[at.z + r], s[at.z + r + 1u]));
      sum.w += dot(unpack2x16float(b[line + n.w]), vec2f(s[at.w + r], s[at.w + r + 1u]));
    }
  }
  return sum * bitcast<f32>(step[entry + 1u]);
}

// Adds what lanes of the same column hold: those JOINed, and of the parts those within a subgroup.
fn join(own: vec4f, width: u32) -> vec4f {
  var sum = own;
  if (JOIN > 1u) { sum += subgroupShuffleXor(sum, 1u); }
  for (var mask = COLUMNS * JOIN; mask < width; mask <<= 1u) { sum += subgroupShuffleXor(sum, mask); }
  return sum;
}

fn finish(product: vec4f, m: u32, r0: u32, rows: u32, own: Lane) {
  var sum = product;
  if (LORA != 0u) { sum += low_rank(r0 + m, rows, own.turn, own.n); }
  sum = join(sum, own.width);
  if (own.turn % JOIN != 0u || own.part % own.fold != 0u) { return; }
  let at = (own.part / own.fold * TM + m) * TN * COLUMNS + own.c;
  sums[at] = sum.x;
  if (TN > 1u) { sums[at + COLUMNS] = sum.y; }
  if (TN > 2u) {
    sums[at + 2u * COLUMNS] = sum.z;
    sums[at + 3u * COLUMNS] = sum.w;
  }
}

fn total(parts: u32, m: u32, t: u32, c: u32) -> f32 {
  var sum = 0.0;
  for (var part = 0u; part < parts; part++) { sum += sums[((part * TM + m) * TN + t) * COLUMNS + c]; }
  return sum;
}

// g and bias of a row's adapter, whose ranks are in the sum already.
fn scale_columns(row: u32, n: u32, sum: f32) -> f32 {
  if (LORA == 0u) { return sum; }
  let entry = adapter_of(row);
  if (entry == BASE_ROW) { return sum; }
  let columns = step[entry + 3u];
  if (columns == 0u) { return sum; }
  let pair = unpack2x16float(b[COLUMNS_AT + (columns - 1u) * COLUMN_WORDS + n]);
  return sum + (sum * pair.x + pair.y);
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_size) size: u32,
  @builtin(subgroup_invocation_id) place: u32,
) {
  let rows = step[ROW_COUNT];
  let r0 = group.y * TM;
  let first = r0 * (K / 4u);
  let last = rows - 1u - r0;
  // By subgroups and not by the index: shuffles must meet the lanes that they mean.
  let lane = subgroup * size + place;
  let part = lane / (COLUMNS * JOIN);
  let c = lane / JOIN % COLUMNS;
  let turn = part * JOIN + lane % JOIN;
  let n = vec4u(column(group.x, c, 0u), column(group.x, c, 1u), column(group.x, c, 2u), column(group.x, c, 3u));

  var acc = Sums();
  var unit = turn;
  for (var round = 0u; round < UNITS / (STRIDE * UNROLL); round++) {
    let u0 = fetch(n, unit);
    var u1 = Units();
    var u2 = Units();
    var u3 = Units();
    if (UNROLL > 1u) { u1 = fetch(n, unit + STRIDE); }
    if (UNROLL > 2u) {
      u2 = fetch(n, unit + 2u * STRIDE);
      u3 = fetch(n, unit + 3u * STRIDE);
    }
    add_units(&acc, u0, unit, first, last);
    if (UNROLL > 1u) { add_units(&acc, u1, unit + STRIDE, first, last); }
    if (UNROLL > 2u) {
      add_units(&acc, u2, unit + 2u * STRIDE, first, last);
      add_units(&acc, u3, unit + 3u * STRIDE, first, last);
    }
    unit += STRIDE * UNROLL;
  }
  for (; unit < UNITS; unit += STRIDE) { add_units(&acc, fetch(n, unit), unit, first, last); }

  // Within a subgroup `fold` parts meet.
  let width = min(size, THREADS);
  let fold = max(1u, width / (COLUMNS * JOIN));
  let own = Lane(part, c, turn, n, width, fold);
  finish(acc[0], 0u, r0, rows, own);
  if (TM > 1u) { finish(acc[1], 1u, r0, rows, own); }
  if (TM > 2u) { finish(acc[2], 2u, r0, rows, own); }
  if (TM > 3u) { finish(acc[3], 3u, r0, rows, own); }
  if (TM > 4u) { finish(acc[4], 4u, r0, rows, own); }
  if (TM > 5u) { finish(acc[5], 5u, r0, rows, own); }
  if (TM > 6u) { finish(acc[6], 6u, r0, rows, own); }
  if (TM > 7u) { finish(acc[7], 7u, r0, rows, own); }
  workgroupBarrier();

  let made = select(TN, TN / 2u, SWIGLU != 0u);
  let parts = max(1u, PARTS / fold);
  for (var i = index; i < TM * made * COLUMNS; i += THREADS) {
    let m = i / (made * COLUMNS);
    let t = i / COLUMNS % made;
    let row = r0 + m;
    if (row >= rows) { continue; }
    let at = column(group.x, i % COLUMNS, t);
    var v = scale_columns(row, at, total(parts, m, t, i % COLUMNS));
    if (SWIGLU != 0u) {
      let up = t + TN / 2u;
      v = silu(v) * scale_columns(row, column(group.x, i % COLUMNS, up), total(parts, m, up, i % COLUMNS));
    }
    store(row, at, v);
  }
}
