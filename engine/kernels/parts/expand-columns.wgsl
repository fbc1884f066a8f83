// What a projection does to a row's product before it is stored, of four neighbouring columns: the row's own adapter.
//
//   g ⊙ (product + scale · s[row, slice, :] · B[slot(row)]ᵀ) + bias      over the adapter's true rank
//
// As parts/epilogue.wgsl, which does columns wherever they lie; neighbouring ones are 16 bytes that a lane loads at once. n,
// slices, B_AT, COLUMNS_AT and COLUMN_WORDS are multiples of 4 here. The kernel binds step as u32, s as vec2f, b as vec4u.

override LORA: u32 = 0u;
override SLICES: u32 = 1u;
override SLICE1: u32 = 0xffffffffu; // first column of the second slice
override SLICE2: u32 = 0xffffffffu; // and of the third
override RANKS: u32 = 8u;
override B_AT: u32 = 0u;
override COLUMNS_AT: u32 = 0u;
override COLUMN_WORDS: u32 = 0u;
override ROWS_AT: u32;
override SLOTS_AT: u32;
override PAGES_AT: u32;

fn adapt(row: u32, n: u32, product: vec4f) -> vec4f {
  if (LORA == 0u) { return product; }
  let slot = step[step[ROWS_AT] + row * 4u + 3u];
  if (slot == 0xffffffffu) { return product; }
  let entry = step[SLOTS_AT] + slot * 4u;
  let rank = step[entry];
  let pages = step[PAGES_AT] + step[entry + 2u];
  let slice = select(0u, 1u, n >= SLICE1) + select(0u, 1u, n >= SLICE2);
  let at = (row * SLICES + slice) * (RANKS / 2u);
  var sum = vec4f();
  for (var r = 0u; r < rank; r += 8u) {
    let line = (B_AT + step[pages + r / 8u] * 4u * N + n) / 4u;
    sum += ranks_of(line, at + r / 2u);
    if (r + 2u < rank) { sum += ranks_of(line + N / 4u, at + r / 2u + 1u); }
    if (r + 4u < rank) { sum += ranks_of(line + N / 2u, at + r / 2u + 2u); }
    if (r + 6u < rank) { sum += ranks_of(line + N / 4u * 3u, at + r / 2u + 3u); }
  }
  let adapted = product + sum * bitcast<f32>(step[entry + 1u]);
  let columns = step[entry + 3u];
  if (columns == 0u) { return adapted; }
  let word = b[(COLUMNS_AT + (columns - 1u) * COLUMN_WORDS + n) / 4u];
  return adapted + (adapted * low_halves(word) + high_halves(word));
}

// Of two ranks. Those past the adapter's own are zero, in s up to the next four.
fn ranks_of(line: u32, at: u32) -> vec4f {
  let pair = b[line];
  let both = s[at];
  return low_halves(pair) * both.x + high_halves(pair) * both.y;
}

fn low_halves(word: vec4u) -> vec4f {
  return vec4f(
    unpack2x16float(word.x).x,
    unpack2x16float(word.y).x,
    unpack2x16float(word.z).x,
    unpack2x16float(word.w).x,
  );
}

fn high_halves(word: vec4u) -> vec4f {
  return vec4f(
    unpack2x16float(word.x).y,
    unpack2x16float(word.y).y,
    unpack2x16float(word.z).y,
    unpack2x16float(word.w).y,
  );
}

fn silu(v: vec4f) -> vec4f {
  return v / (1.0 + exp(-v));
}
