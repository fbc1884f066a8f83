// The loop of matmul.wgsl along K over f16 weights.

// Pairs of values in a word.
const WORD_PAIRS = 1u;

// Nothing: f16 has none.
struct Scales {
  none: u32,
}

// Adds a word of the quads, which meets pair `at` of x.
fn add_word(a: ptr<function, Sums>, c: ptr<function, Sums>, rows: Rows, at: u32, p: vec4u, q: vec4u, scales: Scales) {
  add(a, c, rows, at, halves_of(p), halves_of(q));
}

// Where the data words of the quad at column n begin.
fn tile_of(n: u32) -> u32 {
  return n / 32u * WORDS * 8u + n % 32u * PACK / 4u;
}

// Sums over words begin .. end - 1 of the quad at column n, and with TN 8 of that at column m.
fn multiply(a: ptr<function, Sums>, c: ptr<function, Sums>, rows: Rows, n: u32, m: u32, begin: u32, end: u32) {
  let p = tile_of(n);
  let q = tile_of(m);
  for (var d = begin; d < end; d += TURN) { add_turn(a, c, rows, d, p, q, d, Scales()); }
}
