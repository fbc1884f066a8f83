// Rows of W' = W + scale · B · A, never held in memory as a matrix:
//   columns   their lengths n, and from DoRA's m the column words that matmul.wgsl reads: f16(m / n - 1) in the low half
//   merge     themselves, times m / n where there is an m, into W (DoRA: Liu et al. 2024, arXiv 2402.09353, equation 5)
//
// A row of W' is an output column of matmul.wgsl. Each invocation goes along four neighbouring ones, four pairs at a time, so
// that each word of A it loads serves four rows; KSPLIT lanes take contiguous parts of K, summed in order afterwards. f32
// throughout; rounding to f16 is by integers, to nearest even, since pack2x16float may round either way.
//
// place: rank, scale (f32 bits), 1 when m is to be looked at, 0, then the adapter's pages
// w: [N, K] of weight-format.ts, which `merge` needs in f16    a: [page][SLICES][8 ranks][K / 2] at A_AT    b: [page][4 rank pairs][N] at B_AT
// m: f32 bits, a column of every group, NaN where a module has none; this group's N begin at FIRST
// marks, likewise: `columns` replaces the low half of each word; `merge` writes 0, or 1 + the first k that f16 cannot hold
// Grid: (N / 32, 1); workgroup 8 * KSPLIT.

override K: u32;
override N: u32;
override SLICES: u32 = 1u;
override SLICE1: u32 = 0xffffffffu; // first column of the second slice
override SLICE2: u32 = 0xffffffffu; // and of the third
override A_AT: u32 = 0u;
override B_AT: u32 = 0u;
override FIRST: u32 = 0u;
override KSPLIT: u32 = 1u; // at most 32
override THREADS: u32 = 8u; // 8 * KSPLIT

@group(0) @binding(0) var<storage, read> place: array<u32>;
@group(0) @binding(1) var<storage, read_write> w: array<u32>;
@group(0) @binding(2) var<storage, read> a: array<u32>;
@group(0) @binding(3) var<storage, read> b: array<u32>;
@group(0) @binding(4) var<storage, read> m: array<u32>;
@group(0) @binding(5) var<storage, read_write> marks: array<u32>;

var<workgroup> squares: array<vec4f, 256>;
var<workgroup> firsts: array<vec4u, 256>;

// Four pairs of neighbouring elements (their even and odd ones) of four rows.
struct Pairs {
  e0: vec4f,
  o0: vec4f,
  e1: vec4f,
  o1: vec4f,
  e2: vec4f,
  o2: vec4f,
  e3: vec4f,
  o3: vec4f,
}

const INFINITE = 0x7c00u;
const LARGEST = 0x7f800000u; // f32 bits: infinite, and above no number

fn f16_bits(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  let sign = (bits >> 16u) & 0x8000u;
  let size = bits & 0x7fffffffu;
  if (size >= 0x477ff000u) { return sign | INFINITE; }
  // Normal: drop 13 bits of the fraction, move the exponent's bias from 127 to 15, carry into it where that rounds up.
  if (size >= 0x38800000u) { return sign | ((size - 0x38000000u + 0xfffu + ((size >> 13u) & 1u)) >> 13u); }
  if (size <= 0x33000000u) { return sign; }
  let shift = 126u - (size >> 23u);
  let fraction = (size & 0x7fffffu) | 0x800000u;
  return sign | ((fraction + (1u << (shift - 1u)) - 1u + ((fraction >> shift) & 1u)) >> shift);
}

fn slice_of(n: u32) -> u32 {
  return select(0u, 1u, n >= SLICE1) + select(0u, 1u, n >= SLICE2);
}

// Values 2 * pair and 2 * pair + 1 of a row of W.
fn pair_of(column: u32, pair: u32) -> vec2f {
  if (FORMAT == 0u) { return unpack2x16float(w[half_word(column, pair, K)]); }
  let bits = select(8u, 4u, FORMAT == 2u);
  let block = (column / 32u * (K / 64u) + pair / 32u) * (2u * bits + 1u) * 32u;
  let first = pair % 32u * 2u * bits; // bit of the first within the column's part of the block
  let word = w[block + word_in_tile(first / 32u, column % 32u)];
  let scales = unpack2x16float(w[block + bits * 64u + column % 32u]);
  // Nibbles are q + 8: with their highest bit turned over, two's complement like the bytes.
  let stored = bitcast<i32>(select(word, word ^ 0x88888888u, FORMAT == 2u));
  let q = vec2i(extractBits(stored, first % 32u, bits), extractBits(stored, first % 32u + bits, bits));
  return vec2f(q) * select(scales.x, scales.y, pair % 32u >= 16u);
}

// scale · B · A of rows column .. column + 3, pairs first .. first + 3; those past the end repeat the last.
fn change(column: u32, first: u32) -> Pairs {
  let at = min(vec4u(first, first + 1u, first + 2u, first + 3u), vec4u(K / 2u - 1u));
  let slices = vec4u(slice_of(column), slice_of(column + 1u), slice_of(column + 2u), slice_of(column + 3u));
  let rank = place[0];
  var sum = Pairs();
  // One slice, but where its boundary lies within the four.
  for (var slice = slices.x; slice <= slices.w; slice++) {
    let own = slices == vec4u(slice);
    for (var r = 0u; r < rank; r += 2u) {
      let page = place[4u + r / 8u];
      let line = B_AT + (page * 4u + (r % 8u) / 2u) * N + column;
      let b0 = unpack2x16float(b[line]);
      let b1 = unpack2x16float(b[line + 1u]);
      let b2 = unpack2x16float(b[line + 2u]);
      let b3 = unpack2x16float(b[line + 3u]);
      let p = select(vec4f(), vec4f(b0.x, b1.x, b2.x, b3.x), own);
      let q = select(vec4f(), vec4f(b0.y, b1.y, b2.y, b3.y), own);
      let low = A_AT + ((page * SLICES + slice) * 8u + r % 8u) * (K / 2u);
      let high = low + K / 2u;
      let l0 = unpack2x16float(a[low + at.x]);
      let h0 = unpack2x16float(a[high + at.x]);
      sum.e0 += p * l0.x + q * h0.x;
      sum.o0 += p * l0.y + q * h0.y;
      let l1 = unpack2x16float(a[low + at.y]);
      let h1 = unpack2x16float(a[high + at.y]);
      sum.e1 += p * l1.x + q * h1.x;
      sum.o1 += p * l1.y + q * h1.y;
      let l2 = unpack2x16float(a[low + at.z]);
      let h2 = unpack2x16float(a[high + at.z]);
      sum.e2 += p * l2.x + q * h2.x;
      sum.o2 += p * l2.y + q * h2.y;
      let l3 = unpack2x16float(a[low + at.w]);
      let h3 = unpack2x16float(a[high + at.w]);
      sum.e3 += p * l3.x + q * h3.x;
      sum.o3 += p * l3.y + q * h3.y;
    }
  }
  let scale = bitcast<f32>(place[1]);
  return Pairs(
    sum.e0 * scale, sum.o0 * scale, sum.e1 * scale, sum.o1 * scale,
    sum.e2 * scale, sum.o2 * scale, sum.e3 * scale, sum.o3 * scale,
  );
}

// The squares of one pair of four rows of W', added up by row.
fn squared(column: u32, pair: u32, even: vec4f, odd: vec4f) -> vec4f {
  let w0 = pair_of(column, pair);
  let w1 = pair_of(column + 1u, pair);
  let w2 = pair_of(column + 2u, pair);
  let w3 = pair_of(column + 3u, pair);
  let x = vec4f(w0.x, w1.x, w2.x, w3.x) + even;
  let y = vec4f(w0.y, w1.y, w2.y, w3.y) + odd;
  return x * x + y * y;
}

// Σ of the squares of pairs begin .. end - 1 of four rows of W'.
fn squares_of(column: u32, begin: u32, end: u32) -> vec4f {
  var total = vec4f();
  for (var pair = begin; pair < end; pair += 4u) {
    let changed = change(column, pair);
    total += squared(column, pair, changed.e0, changed.o0);
    if (pair + 1u < end) { total += squared(column, pair + 1u, changed.e1, changed.o1); }
    if (pair + 2u < end) { total += squared(column, pair + 2u, changed.e2, changed.o2); }
    if (pair + 3u < end) { total += squared(column, pair + 3u, changed.e3, changed.o3); }
  }
  return total;
}

fn total_of(lane: u32) -> vec4f {
  var sum = vec4f();
  for (var part = 0u; part < KSPLIT; part++) { sum += squares[part * 8u + lane]; }
  return sum;
}

fn pairs_each() -> u32 {
  return (K / 2u + KSPLIT - 1u) / KSPLIT;
}

fn is_number(bits: u32) -> bool {
  return (bits & 0x7fffffffu) <= LARGEST;
}

// Whether a row has a length to divide by. Asked before any arithmetic: compilers may take it that nothing is infinite.
fn has_length(square: f32) -> bool {
  return square != 0.0 && (bitcast<u32>(square) & 0x7fffffffu) < LARGEST;
}

@compute @workgroup_size(THREADS)
fn columns(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) index: u32) {
  let lane = index % 8u;
  let part = index / 8u;
  let column = group.x * 32u + 4u * lane;
  squares[index] = squares_of(column, part * pairs_each(), min((part + 1u) * pairs_each(), K / 2u));
  workgroupBarrier();
  if (part > 0u) { return; }
  let total = total_of(lane);
  for (var row = 0u; row < 4u; row++) {
    let at = FIRST + column + row;
    let given = m[at];
    var word = marks[at] & 0xffff0000u;
    if (is_number(given)) {
      if (has_length(total[row])) {
        let n = sqrt(total[row]);
        word |= f16_bits((bitcast<f32>(given) - n) / n);
      } else {
        word |= INFINITE;
      }
    }
    marks[at] = word;
  }
}

// One element of W' as f16; what does not change keeps its bits.
fn merged(bits: u32, old: f32, change_of: f32, g: f32) -> u32 {
  if (change_of == 0.0 && g == 1.0) { return bits; }
  return f16_bits(g * (old + change_of));
}

// Replaces one pair of four rows. Gives `marked`, or where that is 0 and f16 cannot hold an element, 1 + its k.
fn replaced(column: u32, pair: u32, even: vec4f, odd: vec4f, g: vec4f, marked: vec4u) -> vec4u {
  var mark = marked;
  for (var row = 0u; row < 4u; row++) {
    let at = half_word(column + row, pair, K);
    let bits = w[at];
    let old = unpack2x16float(bits);
    let low = merged(bits & 0xffffu, old.x, even[row], g[row]);
    let high = merged(bits >> 16u, old.y, odd[row], g[row]);
    if (mark[row] == 0u && (low & INFINITE) == INFINITE) { mark[row] = 1u + 2u * pair; }
    if (mark[row] == 0u && (high & INFINITE) == INFINITE) { mark[row] = 2u + 2u * pair; }
    w[at] = low | (high << 16u);
  }
  return mark;
}

@compute @workgroup_size(THREADS)
fn merge(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) index: u32) {
  let lane = index % 8u;
  let part = index / 8u;
  let column = group.x * 32u + 4u * lane;
  let begin = part * pairs_each();
  let end = min(begin + pairs_each(), K / 2u);
  var g = vec4f(1.0);
  var first = vec4u();
  if (place[2] != 0u) {
    squares[index] = squares_of(column, begin, end);
    workgroupBarrier();
    let total = total_of(lane);
    for (var row = 0u; row < 4u; row++) {
      let given = m[FIRST + column + row];
      if (!is_number(given)) { continue; }
      if (has_length(total[row])) { g[row] = bitcast<f32>(given) / sqrt(total[row]); } else { first[row] = 1u; }
    }
  }
  for (var pair = begin; pair < end; pair += 4u) {
    let changed = change(column, pair);
    first = replaced(column, pair, changed.e0, changed.o0, g, first);
    if (pair + 1u < end) { first = replaced(column, pair + 1u, changed.e1, changed.o1, g, first); }
    if (pair + 2u < end) { first = replaced(column, pair + 2u, changed.e2, changed.o2, g, first); }
    if (pair + 3u < end) { first = replaced(column, pair + 3u, changed.e3, changed.o3, g, first); }
  }
  firsts[index] = first;
  workgroupBarrier();
  if (part > 0u) { return; }
  for (var row = 0u; row < 4u; row++) {
    var mark = 0u;
    for (var other = 0u; other < KSPLIT; other++) {
      if (mark == 0u) { mark = firsts[other * 8u + lane][row]; }
    }
    marks[FIRST + column + row] = mark;
  }
}
