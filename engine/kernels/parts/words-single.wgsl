// Words of a weight matrix of which each column's lie apart (PACK 1): one 16-byte load gives a word of four columns.

// Words that a turn of the loop along K takes.
const TURN = 1u;

// Adds word d of the quads whose data words begin at p and q, in loads of 16 bytes. They meet x from pair `at` on.
fn add_turn(
  a: ptr<function, Sums>,
  c: ptr<function, Sums>,
  rows: Rows,
  at: u32,
  p: u32,
  q: u32,
  d: u32,
  scales: Scales,
) {
  var second: vec4u;
  if (TN == 8u) { second = w[q + d * 8u]; }
  add_word(a, c, rows, at, w[p + d * 8u], second, scales);
}
