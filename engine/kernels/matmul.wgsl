// y[row, :] = finish( g ⊙ (x[row, :] · Wᵀ + scale · s[row, slice, :] · B[slot(row)]ᵀ) + bias )     the projections, the head
//
// The LoRA term is part of the epilogue, before the nonlinearity: each row adds its own adapter's B over that adapter's
// true rank; rows of the base model skip it. finish is nothing, + residual (RESIDUAL), or silu(gate) * up (SWIGLU).
// g (DoRA's m / n of each output column; Liu et al. 2024, arXiv 2402.09353, equation 5) and bias are read for the rows whose
// slot entry's fourth word is not 0: it is 1 + the number of the slot whose column words hold them.
//
// W: f16 tiles [N / 32][K / 2][32] in u32    x: f32 [rows, K]    y, residual: f32 [rows, OUT]
// s: f32 [rows, SLICES, RANKS], written by shrink.wgsl    b: f16 pool, [page][4 rank pairs][N] at B_AT, and behind all
// pages the column words, f16(g - 1) low and f16(bias) high: slots are COLUMN_WORDS apart, this projection's N at COLUMNS_AT
// Each invocation makes TM rows x TN columns (32 apart, so that neighbouring lanes read neighbouring words), all of K in
// order; with KSPLIT > 1 the KSPLIT lanes of a column take contiguous parts of K, summed in order afterwards.
// With SWIGLU, W holds gate rows and then up rows (N / 2 each), and half of an invocation's columns are the ups.
// Grid: (N / (32 * TN), ceil(rows / TM)); workgroup 32 * KSPLIT. f32 accumulation throughout.

override K: u32;
override N: u32;
override OUT: u32;
override TM: u32 = 8u; // 1, 2, 4 or 8
override TN: u32 = 4u; // 1, 2 or 4; not 1 with SWIGLU
override KSPLIT: u32 = 1u; // KSPLIT * TM <= 16
override RESIDUAL: u32 = 0u;
override SWIGLU: u32 = 0u;
override LORA: u32 = 0u;
override SLICES: u32 = 1u;
override SLICE1: u32 = 0xffffffffu; // first column of the second slice
override SLICE2: u32 = 0xffffffffu; // and of the third
override RANKS: u32 = 8u;
override B_AT: u32 = 0u;
override COLUMNS_AT: u32 = 0u;
override COLUMN_WORDS: u32 = 0u;
override ROW_COUNT: u32; // header word that holds the number of rows
override ROWS_AT: u32;
override SLOTS_AT: u32;
override PAGES_AT: u32;
override THREADS: u32 = 32u; // 32 * KSPLIT

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> w: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read> s: array<f32>;
@group(0) @binding(6) var<storage, read> b: array<u32>;

var<workgroup> parts: array<vec4f, 512>;

// Column of component j.
fn column(first: u32, j: u32) -> u32 {
  if (SWIGLU != 0u) {
    let half = TN / 2u;
    return select(first + j * 32u, N / 2u + first + (j - half) * 32u, j >= half);
  }
  return first + j * 32u;
}

fn slice_of(n: u32) -> u32 {
  return select(0u, 1u, n >= SLICE1) + select(0u, 1u, n >= SLICE2);
}

fn adapt(row: u32, first: u32, product: vec4f) -> vec4f {
  let slot = step[step[ROWS_AT] + row * 4u + 3u];
  if (slot == 0xffffffffu) { return product; }
  let entry = step[SLOTS_AT] + slot * 4u;
  let rank = step[entry];
  let pages = step[PAGES_AT] + step[entry + 2u];
  let c = vec4u(column(first, 0u), column(first, 1u), column(first, 2u), column(first, 3u));
  let at = vec4u(row * SLICES) * RANKS
    + vec4u(slice_of(c.x), slice_of(c.y), slice_of(c.z), slice_of(c.w)) * RANKS;
  var sum = vec4f();
  for (var r = 0u; r < rank; r += 2u) {
    let line = B_AT + (step[pages + r / 8u] * 4u + (r % 8u) / 2u) * N;
    let b0 = unpack2x16float(b[line + c.x]);
    sum.x += b0.x * s[at.x + r] + b0.y * s[at.x + r + 1u];
    if (TN > 1u) {
      let b1 = unpack2x16float(b[line + c.y]);
      sum.y += b1.x * s[at.y + r] + b1.y * s[at.y + r + 1u];
    }
    if (TN > 2u) {
      let b2 = unpack2x16float(b[line + c.z]);
      sum.z += b2.x * s[at.z + r] + b2.y * s[at.z + r + 1u];
      let b3 = unpack2x16float(b[line + c.w]);
      sum.w += b3.x * s[at.w + r] + b3.y * s[at.w + r + 1u];
    }
  }
  let adapted = product + sum * bitcast<f32>(step[entry + 1u]);
  let columns = step[entry + 3u];
  if (columns == 0u) { return adapted; }
  return scale_columns(adapted, vec4u(COLUMNS_AT + (columns - 1u) * COLUMN_WORDS) + c);
}

fn scale_columns(v: vec4f, at: vec4u) -> vec4f {
  var scaled = v;
  let c0 = unpack2x16float(b[at.x]);
  scaled.x += v.x * c0.x + c0.y;
  if (TN > 1u) {
    let c1 = unpack2x16float(b[at.y]);
    scaled.y += v.y * c1.x + c1.y;
  }
  if (TN > 2u) {
    let c2 = unpack2x16float(b[at.z]);
    scaled.z += v.z * c2.x + c2.y;
    let c3 = unpack2x16float(b[at.w]);
    scaled.w += v.w * c3.x + c3.y;
  }
  return scaled;
}

fn silu(v: f32) -> f32 {
  return v / (1.0 + exp(-v));
}

fn store(row: u32, n: u32, v: f32) {
  if (n >= OUT) { return; }
  let i = row * OUT + n;
  if (RESIDUAL != 0u) { y[i] = residual[i] + v; } else { y[i] = v; }
}

fn finish(row: u32, rows: u32, first: u32, product: vec4f) {
  if (row >= rows) { return; }
  var v = product;
  if (LORA != 0u) { v = adapt(row, first, v); }
  if (SWIGLU != 0u) {
    if (TN == 2u) {
      store(row, first, silu(v.x) * v.y);
    } else {
      store(row, first, silu(v.x) * v.z);
      store(row, first + 32u, silu(v.y) * v.w);
    }
  } else {
    store(row, first, v.x);
    if (TN > 1u) { store(row, first + 32u, v.y); }
    if (TN > 2u) {
      store(row, first + 64u, v.z);
      store(row, first + 96u, v.w);
    }
  }
}

fn total(m: u32, lane: u32, own: vec4f) -> vec4f {
  if (KSPLIT == 1u) { return own; }
  var sum = vec4f();
  for (var part = 0u; part < KSPLIT; part++) { sum += parts[(part * TM + m) * 32u + lane]; }
  return sum;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) index: u32) {
  let rows = step[ROW_COUNT];
  let lane = index % 32u;
  let part = index / 32u;
  let r0 = group.y * TM;
  let first = group.x * 32u * select(TN, TN / 2u, SWIGLU != 0u) + lane;
  let last = rows - 1u;
  // Word of (column, pair 0); a column's pairs are 32 words apart.
  let c0 = column(first, 0u);
  let c1 = column(first, 1u);
  let c2 = column(first, 2u);
  let c3 = column(first, 3u);
  let w0 = (c0 / 32u) * (K / 2u) * 32u + c0 % 32u;
  let w1 = (c1 / 32u) * (K / 2u) * 32u + c1 % 32u;
  let w2 = (c2 / 32u) * (K / 2u) * 32u + c2 % 32u;
  let w3 = (c3 / 32u) * (K / 2u) * 32u + c3 % 32u;
  let x0 = min(r0, last) * K;
  let x1 = min(r0 + 1u, last) * K;
  let x2 = min(r0 + 2u, last) * K;
  let x3 = min(r0 + 3u, last) * K;
  let x4 = min(r0 + 4u, last) * K;
  let x5 = min(r0 + 5u, last) * K;
  let x6 = min(r0 + 6u, last) * K;
  let x7 = min(r0 + 7u, last) * K;
  var a0 = vec4f();
  var a1 = vec4f();
  var a2 = vec4f();
  var a3 = vec4f();
  var a4 = vec4f();
  var a5 = vec4f();
  var a6 = vec4f();
  var a7 = vec4f();
  let pairs = (K / 2u + KSPLIT - 1u) / KSPLIT;
  let end = min((part + 1u) * pairs, K / 2u);
  for (var pair = part * pairs; pair < end; pair++) {
    let q0 = unpack2x16float(w[w0 + pair * 32u]);
    var even = vec4f(q0.x, 0.0, 0.0, 0.0);
    var odd = vec4f(q0.y, 0.0, 0.0, 0.0);
    if (TN > 1u) {
      let q1 = unpack2x16float(w[w1 + pair * 32u]);
      even.y = q1.x;
      odd.y = q1.y;
    }
    if (TN > 2u) {
      let q2 = unpack2x16float(w[w2 + pair * 32u]);
      let q3 = unpack2x16float(w[w3 + pair * 32u]);
      even.z = q2.x;
      odd.z = q2.y;
      even.w = q3.x;
      odd.w = q3.y;
    }
    let k = 2u * pair;
    a0 += even * x[x0 + k] + odd * x[x0 + k + 1u];
    if (TM > 1u) { a1 += even * x[x1 + k] + odd * x[x1 + k + 1u]; }
    if (TM > 2u) { a2 += even * x[x2 + k] + odd * x[x2 + k + 1u]; }
    if (TM > 3u) { a3 += even * x[x3 + k] + odd * x[x3 + k + 1u]; }
    if (TM > 4u) { a4 += even * x[x4 + k] + odd * x[x4 + k + 1u]; }
    if (TM > 5u) { a5 += even * x[x5 + k] + odd * x[x5 + k + 1u]; }
    if (TM > 6u) { a6 += even * x[x6 + k] + odd * x[x6 + k + 1u]; }
    if (TM > 7u) { a7 += even * x[x7 + k] + odd * x[x7 + k + 1u]; }
  }
  if (KSPLIT > 1u) {
    let at = part * TM * 32u + lane;
    parts[at] = a0;
    if (TM > 1u) { parts[at + 32u] = a1; }
    if (TM > 2u) { parts[at + 64u] = a2; }
    if (TM > 3u) { parts[at + 96u] = a3; }
    if (TM > 4u) { parts[at + 128u] = a4; }
    if (TM > 5u) { parts[at + 160u] = a5; }
    if (TM > 6u) { parts[at + 192u] = a6; }
    if (TM > 7u) { parts[at + 224u] = a7; }
    workgroupBarrier();
    if (part > 0u) { return; }
  }
  finish(r0, rows, first, total(0u, lane, a0));
  if (TM > 1u) { finish(r0 + 1u, rows, first, total(1u, lane, a1)); }
  if (TM > 2u) { finish(r0 + 2u, rows, first, total(2u, lane, a2)); }
  if (TM > 3u) { finish(r0 + 3u, rows, first, total(3u, lane, a3)); }
  if (TM > 4u) { finish(r0 + 4u, rows, first, total(4u, lane, a4)); }
  if (TM > 5u) { finish(r0 + 5u, rows, first, total(5u, lane, a5)); }
  if (TM > 6u) { finish(r0 + 6u, rows, first, total(6u, lane, a6)); }
  if (TM > 7u) { finish(r0 + 7u, rows, first, total(7u, lane, a7)); }
}
