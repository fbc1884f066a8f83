// The loop of matmul.wgsl along K over int8 (FORMAT 1) or int4 (FORMAT 2) weights: blocks of two groups that share a scale.

// Words of a group and of a block, and pairs of values in a word.
override GROUP_WORDS = 16u >> FORMAT;
override BLOCK_WORDS = 32u >> FORMAT;
override WORD_PAIRS = 1u << FORMAT;

// Of the group of the first quad and of the second.
struct Scales {
  first: vec4f,
  second: vec4f,
}

// A field of each word as a number: exact, and without shifts, which cost much where lanes may differ in them.
fn field(q: vec4u, mask: u32, unit: f32, zero: f32) -> vec4f {
  return vec4f(bitcast<vec4i>(q & vec4u(mask))) * unit - zero;
}

// Pair j of a word. The field that holds the sign bit comes out signed as it is; q is turned so that the others are not.
fn pair_of(q: vec4u, j: u32, scale: vec4f) -> Pair {
  var even: vec4f;
  var odd: vec4f;
  if (FORMAT == 1u) {
    let u = q ^ vec4u(0x00808080u);
    if (j == 0u) {
      even = field(u, 0xffu, 1.0, 128.0);
      odd = field(u, 0xff00u, 0x1p-8, 128.0);
    } else {
      even = field(u, 0xff0000u, 0x1p-16, 128.0);
      odd = field(u, 0xff000000u, 0x1p-24, 0.0);
    }
  } else {
    let u = q ^ vec4u(0x80000000u);
    if (j == 0u) {
      even = field(u, 0xfu, 1.0, 8.0);
      odd = field(u, 0xf0u, 0x1p-4, 8.0);
    } else if (j == 1u) {
      even = field(u, 0xf00u, 0x1p-8, 8.0);
      odd = field(u, 0xf000u, 0x1p-12, 8.0);
    } else if (j == 2u) {
      even = field(u, 0xf0000u, 0x1p-16, 8.0);
      odd = field(u, 0xf00000u, 0x1p-20, 8.0);
    } else {
      even = field(u, 0xf000000u, 0x1p-24, 8.0);
      odd = field(u, 0xf0000000u, 0x1p-28, 0.0);
    }
  }
  return Pair(even * scale, odd * scale);
}

// Adds a word of the quads, which meets x from pair `at` on.
fn add_word(a: ptr<function, Sums>, c: ptr<function, Sums>, rows: Rows, at: u32, p: vec4u, q: vec4u, scales: Scales) {
  add(a, c, rows, at, pair_of(p, 0u, scales.first), pair_of(q, 0u, scales.second));
  add(a, c, rows, at + 1u, pair_of(p, 1u, scales.first), pair_of(q, 1u, scales.second));
  if (FORMAT == 1u) { return; }
  add(a, c, rows, at + 2u, pair_of(p, 2u, scales.first), pair_of(q, 2u, scales.second));
  add(a, c, rows, at + 3u, pair_of(p, 3u, scales.first), pair_of(q, 3u, scales.second));
}

// Where a block of the tile of column n begins.
fn block_of(n: u32, block: u32) -> u32 {
  return (n / 32u * (K / 64u) + block) * (BLOCK_WORDS + 1u) * 8u;
}

// Of the quad at column n: the scales of a block's two groups.
fn scales_of(n: u32, block: u32) -> Pair {
  return halves_of(w[block_of(n, block) + BLOCK_WORDS * 8u + n % 32u / 4u]);
}

// Sums over words begin .. end - 1 of the quad at column n, and with TN 8 of that at column m.
fn multiply(a: ptr<function, Sums>, c: ptr<function, Sums>, rows: Rows, n: u32, m: u32, begin: u32, end: u32) {
  for (var group = begin; group < end; group += GROUP_WORDS) {
    let block = group / BLOCK_WORDS;
    let p = block_of(n, block) + n % 32u * PACK / 4u;
    let q = block_of(m, block) + m % 32u * PACK / 4u;
    let first = scales_of(n, block);
    let second = scales_of(m, block);
    var scales = Scales(first.even, second.even);
    if (group % BLOCK_WORDS > 0u) { scales = Scales(first.odd, second.odd); }
    for (var d = 0u; d < GROUP_WORDS; d += TURN) {
      add_turn(a, c, rows, (group + d) * WORD_PAIRS, p, q, group % BLOCK_WORDS + d, scales);
    }
  }
}
