// What a projection does to a product before it is stored: the row's own adapter, then SwiGLU or the residual.
//
//   adapt    g ⊙ (product + scale · s[row, slice, :] · B[slot(row)]ᵀ) + bias      over the adapter's true rank
//   adapt4   the same of four columns, which may lie anywhere
//   silu     v / (1 + e^-v)
//   store    y = v, or residual + v with RESIDUAL; nothing for columns of padding
//
// Rows of the base model skip the adapter's part. g (DoRA's m / n of each output column; Liu et al. 2024, arXiv 2402.09353,
// equation 5) and bias are read for the rows whose slot entry's fourth word is not 0: it is 1 + the number of the slot whose
// column words hold them.
//
// The kernel binds step, y and residual (f32 [rows, OUT]), s (f32 [rows, SLICES, RANKS], written by shrink.wgsl; ranks past an
// adapter's own are zero up to the next four) and b (f16 pool, [page][4 rank pairs][N] at B_AT, and behind all pages the
// column words, f16(g - 1) low and f16(bias) high: slots are COLUMN_WORDS apart, this projection's N at COLUMNS_AT).

override N: u32; // columns of W, padded
override OUT: u32; // width of y
override RESIDUAL: u32 = 0u;
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

const BASE_ROW = 0xffffffffu;

// A row's adapter in the step: its slot entry, or BASE_ROW.
fn adapter_of(row: u32) -> u32 {
  let slot = step[step[ROWS_AT] + row * 4u + 3u];
  return select(step[SLOTS_AT] + slot * 4u, BASE_ROW, slot == BASE_ROW);
}

fn slice_of(n: u32) -> u32 {
  return select(0u, 1u, n >= SLICE1) + select(0u, 1u, n >= SLICE2);
}

// The line of B that holds ranks r and r + 1.
fn line_of(pages: u32, r: u32) -> u32 {
  return B_AT + (step[pages + r / 8u] * 4u + (r % 8u) / 2u) * N;
}

fn adapt(row: u32, n: u32, product: f32) -> f32 {
  let entry = adapter_of(row);
  if (LORA == 0u || entry == BASE_ROW) { return product; }
  let rank = step[entry];
  let pages = step[PAGES_AT] + step[entry + 2u];
  let at = (row * SLICES + slice_of(n)) * RANKS;
  var sum = 0.0;
  for (var r = 0u; r < rank; r += 2u) {
    let pair = unpack2x16float(b[line_of(pages, r) + n]);
    sum += pair.x * s[at + r] + pair.y * s[at + r + 1u];
  }
  let adapted = product + sum * bitcast<f32>(step[entry + 1u]);
  let columns = step[entry + 3u];
  if (columns == 0u) { return adapted; }
  let word = unpack2x16float(b[COLUMNS_AT + (columns - 1u) * COLUMN_WORDS + n]);
  return adapted + (adapted * word.x + word.y);
}

fn adapt4(row: u32, n: vec4u, product: vec4f) -> vec4f {
  let entry = adapter_of(row);
  if (LORA == 0u || entry == BASE_ROW) { return product; }
  let rank = step[entry];
  let pages = step[PAGES_AT] + step[entry + 2u];
  let at = (vec4u(row * SLICES) + vec4u(slice_of(n.x), slice_of(n.y), slice_of(n.z), slice_of(n.w))) * RANKS;
  var sum = vec4f();
  for (var r = 0u; r < rank; r += 2u) {
    let line = line_of(pages, r);
    let b0 = unpack2x16float(b[line + n.x]);
    let b1 = unpack2x16float(b[line + n.y]);
    let b2 = unpack2x16float(b[line + n.z]);
    let b3 = unpack2x16float(b[line + n.w]);
    let low = vec4f(s[at.x + r], s[at.y + r], s[at.z + r], s[at.w + r]);
    let high = vec4f(s[at.x + r + 1u], s[at.y + r + 1u], s[at.z + r + 1u], s[at.w + r + 1u]);
    sum += vec4f(b0.x, b1.x, b2.x, b3.x) * low + vec4f(b0.y, b1.y, b2.y, b3.y) * high;
  }
  let adapted = product + sum * bitcast<f32>(step[entry + 1u]);
  let columns = step[entry + 3u];
  if (columns == 0u) { return adapted; }
  let words = vec4u(COLUMNS_AT + (columns - 1u) * COLUMN_WORDS) + n;
  let c0 = unpack2x16float(b[words.x]);
  let c1 = unpack2x16float(b[words.y]);
  let c2 = unpack2x16float(b[words.z]);
  let c3 = unpack2x16float(b[words.w]);
  return adapted + (adapted * vec4f(c0.x, c1.x, c2.x, c3.x) + vec4f(c0.y, c1.y, c2.y, c3.y));
}

fn silu(v: f32) -> f32 {
  return v / (1.0 + exp(-v));
}

fn store(row: u32, n: u32, v: f32) {
  if (n >= OUT) { return; }
  let i = row * OUT + n;
  if (RESIDUAL != 0u) { y[i] = residual[i] + v; } else { y[i] = v; }
}
