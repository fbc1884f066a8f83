// Words of a weight matrix of which PACK of each column lie together: one 16-byte load gives four words of a column.

// Words that a turn of the loop along K takes.
const TURN = 4u;

// Words d .. d + 3 of a quad.
struct Words {
  d0: vec4u,
  d1: vec4u,
  d2: vec4u,
  d3: vec4u,
}

fn words_of(begin: u32, d: u32) -> Words {
  let line = begin + (d - d % PACK) * 8u + d % PACK / 4u;
  let c0 = w[line];
  let c1 = w[line + PACK / 4u];
  let c2 = w[line + PACK / 2u];
  let c3 = w[line + PACK / 4u * 3u];
  return Words(
    vec4u(c0.x, c1.x, c2.x, c3.x),
    vec4u(c0.y, c1.y, c2.y, c3.y),
    vec4u(c0.z, c1.z, c2.z, c3.z),
    vec4u(c0.w, c1.w, c2.w, c3.w),
  );
}

// Adds words d .. d + 3 of the quads whose data words begin at p and q, in loads of 16 bytes. They meet x from pair `at` on.
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
  let first = words_of(p, d);
  var second: Words;
  if (TN == 8u) { second = words_of(q, d); }
  add_word(a, c, rows, at, first.d0, second.d0, scales);
  add_word(a, c, rows, at + WORD_PAIRS, first.d1, second.d1, scales);
  add_word(a, c, rows, at + 2u * WORD_PAIRS, first.d2, second.d2, scales);
  add_word(a, c, rows, at + 3u * WORD_PAIRS, first.d3, second.d3, scales);
}
