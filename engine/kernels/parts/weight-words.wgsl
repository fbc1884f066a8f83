// Where the words of a weight matrix [n, k] are, and the values in them: weight-format.ts says why they lie so.

override FORMAT: u32 = 0u; // 0 f16, 1 int8, 2 int4
override PACK: u32 = 1u; // words of one column that lie together

// Data word d of a column, from where its tile (f16) or block begins.
fn word_in_tile(d: u32, lane: u32) -> u32 {
  return (d - d % PACK) * 32u + lane * PACK + d % PACK;
}

// f16: the word that holds values 2 * pair and 2 * pair + 1 of a column.
fn half_word(column: u32, pair: u32, k: u32) -> u32 {
  return column / 32u * (k / 2u) * 32u + word_in_tile(pair, column % 32u);
}
