// y[row, :] = finish( g ⊙ (x[row, :] · Wᵀ + scale · s[row, slice, :] · B[slot(row)]ᵀ) + bias )     the projections, the head
//
// The LoRA term is part of the epilogue, before the nonlinearity: each row adds its own adapter's B over that adapter's
// true rank; rows of the base model skip it. finish is nothing, + residual (RESIDUAL), or silu(gate) * up (SWIGLU).
//
// W: as weight-format.ts lays it out (FORMAT, PACK), read by parts/multiply-*.wgsl and parts/words-*.wgsl
// x: f32 [rows, K]    y, residual: f32 [rows, OUT]
// s: f32 [rows, SLICES, RANKS], written by shrink.wgsl    b: f16 pool, see parts/expand-columns.wgsl
// Each invocation makes TM rows of four neighbouring columns (TN 8: of two such quads at once), all of K in order; with
// KSPLIT > 1 the KSPLIT lanes of a quad take contiguous parts of K, summed in order afterwards.
// With SWIGLU, W holds gate rows and then up rows (N / 2 each): an invocation makes a quad of gates and their ups.
// Grid: (N / (LANES * columns of an invocation), ceil(rows / TM)); workgroup LANES * KSPLIT. f32 accumulation throughout.

override K: u32;
override N: u32;
override OUT: u32;
override TM: u32 = 8u; // 1, 2, 4 or 8
override TN: u32 = 4u; // columns at once: 4 or 8
override LANES: u32 = 32u;
override KSPLIT: u32 = 1u; // KSPLIT * TM * LANES <= 512
override THREADS: u32 = 32u; // LANES * KSPLIT
override RESIDUAL: u32 = 0u;
override SWIGLU: u32 = 0u;
override FORMAT: u32 = 0u; // 0 f16, 1 int8, 2 int4
override PACK: u32 = 1u;
override ROW_COUNT: u32; // header word that holds the number of rows

// Of one column: its words, and those of them that lanes which split K must not share.
override WORDS = K / (2u << FORMAT);
override SHARE = select(16u >> FORMAT, TURN, FORMAT == 0u);
// Quads of an invocation.
override QUADS = select(1u, 2u, SWIGLU != 0u || TN == 8u);

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> w: array<vec4u>;
@group(0) @binding(2) var<storage, read> x: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read> s: array<vec2f>;
@group(0) @binding(6) var<storage, read> b: array<vec4u>;

var<workgroup> parts: array<vec4f, 1024>; // [quad][part][row][lane]

// Of up to 8 rows: where x begins, in pairs.
struct Rows {
  r0: u32,
  r1: u32,
  r2: u32,
  r3: u32,
  r4: u32,
  r5: u32,
  r6: u32,
  r7: u32,
}

// Sums of a quad for each row.
struct Sums {
  s0: vec4f,
  s1: vec4f,
  s2: vec4f,
  s3: vec4f,
  s4: vec4f,
  s5: vec4f,
  s6: vec4f,
  s7: vec4f,
}

// Two neighbouring values of the four columns of a quad.
struct Pair {
  even: vec4f,
  odd: vec4f,
}

fn halves_of(q: vec4u) -> Pair {
  let c0 = unpack2x16float(q.x);
  let c1 = unpack2x16float(q.y);
  let c2 = unpack2x16float(q.z);
  let c3 = unpack2x16float(q.w);
  return Pair(vec4f(c0.x, c1.x, c2.x, c3.x), vec4f(c0.y, c1.y, c2.y, c3.y));
}

// Adds pair `at` of x times a pair of the first quad, and with TN 8 of the second.
fn add(a: ptr<function, Sums>, c: ptr<function, Sums>, rows: Rows, at: u32, p: Pair, q: Pair) {
  let x0 = x[rows.r0 + at];
  (*a).s0 += p.even * x0.x + p.odd * x0.y;
  if (TN == 8u) { (*c).s0 += q.even * x0.x + q.odd * x0.y; }
  if (TM == 1u) { return; }
  let x1 = x[rows.r1 + at];
  (*a).s1 += p.even * x1.x + p.odd * x1.y;
  if (TN == 8u) { (*c).s1 += q.even * x1.x + q.odd * x1.y; }
  if (TM == 2u) { return; }
  let x2 = x[rows.r2 + at];
  (*a).s2 += p.even * x2.x + p.odd * x2.y;
  if (TN == 8u) { (*c).s2 += q.even * x2.x + q.odd * x2.y; }
  let x3 = x[rows.r3 + at];
  (*a).s3 += p.even * x3.x + p.odd * x3.y;
  if (TN == 8u) { (*c).s3 += q.even * x3.x + q.odd * x3.y; }
  if (TM == 4u) { return; }
  let x4 = x[rows.r4 + at];
  (*a).s4 += p.even * x4.x + p.odd * x4.y;
  if (TN == 8u) { (*c).s4 += q.even * x4.x + q.odd * x4.y; }
  let x5 = x[rows.r5 + at];
  (*a).s5 += p.even * x5.x + p.odd * x5.y;
  if (TN == 8u) { (*c).s5 += q.even * x5.x + q.odd * x5.y; }
  let x6 = x[rows.r6 + at];
  (*a).s6 += p.even * x6.x + p.odd * x6.y;
  if (TN == 8u) { (*c).s6 += q.even * x6.x + q.odd * x6.y; }
  let x7 = x[rows.r7 + at];
  (*a).s7 += p.even * x7.x + p.odd * x7.y;
  if (TN == 8u) { (*c).s7 += q.even * x7.x + q.odd * x7.y; }
}

fn keep(at: u32, sums: Sums) {
  parts[at] = sums.s0;
  if (TM > 1u) { parts[at + LANES] = sums.s1; }
  if (TM > 2u) {
    parts[at + 2u * LANES] = sums.s2;
    parts[at + 3u * LANES] = sums.s3;
  }
  if (TM > 4u) {
    parts[at + 4u * LANES] = sums.s4;
    parts[at + 5u * LANES] = sums.s5;
    parts[at + 6u * LANES] = sums.s6;
    parts[at + 7u * LANES] = sums.s7;
  }
}

// Rows and quads are gone through in loops once they are summed: compilers take long over sixteen copies of what follows.
fn sum_of(sums: Sums, row: u32) -> vec4f {
  var sum = sums.s0;
  if (TM > 1u) { sum = select(sum, sums.s1, row == 1u); }
  if (TM > 2u) {
    sum = select(sum, sums.s2, row == 2u);
    sum = select(sum, sums.s3, row == 3u);
  }
  if (TM > 4u) {
    sum = select(sum, sums.s4, row == 4u);
    sum = select(sum, sums.s5, row == 5u);
    sum = select(sum, sums.s6, row == 6u);
    sum = select(sum, sums.s7, row == 7u);
  }
  return sum;
}

// The product of a row and a quad. `own` is this lane's sum of it.
fn total(quad: u32, row: u32, lane: u32, own: vec4f) -> vec4f {
  if (KSPLIT == 1u) { return own; }
  var sum = vec4f();
  for (var part = 0u; part < KSPLIT; part++) { sum += parts[((quad * KSPLIT + part) * TM + row) * LANES + lane]; }
  return sum;
}

fn store_one(row: u32, n: u32, v: f32) {
  if (n >= OUT) { return; }
  let at = row * OUT + n;
  if (RESIDUAL != 0u) { y[at] = residual[at] + v; } else { y[at] = v; }
}

fn store(row: u32, n: u32, v: vec4f) {
  store_one(row, n, v.x);
  store_one(row, n + 1u, v.y);
  store_one(row, n + 2u, v.z);
  store_one(row, n + 3u, v.w);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) index: u32) {
  let count = step[ROW_COUNT];
  let lane = index % LANES;
  let part = index / LANES;
  let r0 = group.y * TM;
  let last = count - 1u;
  let rows = Rows(
    min(r0, last) * (K / 2u),
    min(r0 + 1u, last) * (K / 2u),
    min(r0 + 2u, last) * (K / 2u),
    min(r0 + 3u, last) * (K / 2u),
    min(r0 + 4u, last) * (K / 2u),
    min(r0 + 5u, last) * (K / 2u),
    min(r0 + 6u, last) * (K / 2u),
    min(r0 + 7u, last) * (K / 2u),
  );
  let n = (group.x * LANES + lane) * select(4u, 8u, TN == 8u && SWIGLU == 0u);
  let m = select(n + 4u, N / 2u + n, SWIGLU != 0u);
  let each = (WORDS / SHARE + KSPLIT - 1u) / KSPLIT * SHARE;
  let begin = min(part * each, WORDS);
  let end = min(begin + each, WORDS);
  var a = Sums();
  var c = Sums();
  if (SWIGLU != 0u && TN == 4u) {
    // Twice around one loop, not two loops: compilers on the CPU keep less in registers the longer a shader is.
    var none = Sums();
    for (var quad = 0u; quad < 2u; quad++) {
      a = c;
      c = Sums();
      multiply(&c, &none, rows, select(n, m, quad == 1u), m, begin, end);
    }
  } else {
    multiply(&a, &c, rows, n, m, begin, end);
  }
  if (KSPLIT > 1u) {
    keep(part * TM * LANES + lane, a);
    if (QUADS == 2u) { keep((KSPLIT + part) * TM * LANES + lane, c); }
    workgroupBarrier();
    if (part > 0u) { return; }
  }
  for (var row = 0u; row < min(TM, count - r0); row++) {
    var gate: vec4f;
    for (var quad = 0u; quad < QUADS; quad++) {
      var own = sum_of(a, row);
      if (QUADS == 2u) { own = select(own, sum_of(c, row), quad == 1u); }
      let column = select(n, m, quad == 1u);
      let v = adapt(r0 + row, column, total(quad, row, lane, own));
      if (SWIGLU == 0u) {
        store(r0 + row, column, v);
      } else if (quad == 0u) {
        gate = v;
      } else {
        store(r0 + row, n, silu(gate) * v);
      }
    }
  }
}
