// Seeded random weights, made on the device: an integer hash of (tensor key, row * in + column) straight to f16 bits,
// uniform in (-a, a) and never subnormal, so that TypeScript (lora/random-f16.ts) and numpy give the same bits.
//
//   h = lowbias32(index ^ key)                     (Chris Wellons' "hash-prospector")
//   m = max(((h & 0x7fff) * magnitude) >> 15, smallest)     value = ±m * 2^-exponent, mantissa cut to 11 bits
//
// Layouts (two f16 in a u32, the even column in the low half):
//   base    [out / 32][in / 2][32]               one dispatch a tensor; rows start at ROW0 in the concatenated matrix
//   lora_a  [page][slice][8 ranks][in / 2]       ranks past the adapter's own are zero
//   lora_b  [page][4 rank pairs][out]            likewise
// Grid: x over words in workgroups of 64, y when x would pass 65,535.

struct Params {
  key: u32,
  magnitude: u32,
  exponent: u32,
  smallest: u32,
  // base: words of this tensor, first word, in / 2; lora_a and lora_b: see their entry points
  words: u32,
  first: u32,
  half_in: u32,
  // lora: true rank, index of the page within the adapter, rows of the tensor
  rank: u32,
  page: u32,
  rows: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> w: array<u32>;

fn f16_bits(index: u32) -> u32 {
  let h = lowbias32(index ^ p.key);
  let m = max(((h & 0x7fffu) * p.magnitude) >> 15u, p.smallest);
  let e = 31u - countLeadingZeros(m);
  return ((h >> 31u) << 15u) | ((e + 15u - p.exponent) << 10u) | (((m << (15u - e)) >> 5u) & 0x3ffu);
}

fn word(index: u32) -> u32 {
  return f16_bits(index) | (f16_bits(index + 1u) << 16u);
}

fn global_index(g: vec3u, n: vec3u) -> u32 {
  return g.y * n.x * 64u + g.x;
}

@compute @workgroup_size(64)
fn base(@builtin(global_invocation_id) g: vec3u, @builtin(num_workgroups) n: vec3u) {
  let i = global_index(g, n);
  if (i >= p.words) { return; }
  let column = i % 32u;
  let pair = (i / 32u) % p.half_in;
  let row = (i / (32u * p.half_in)) * 32u + column;
  w[p.first + i] = word(row * 2u * p.half_in + 2u * pair);
}

// One slice of one page: words = 8 * in / 2.
@compute @workgroup_size(64)
fn lora_a(@builtin(global_invocation_id) g: vec3u, @builtin(num_workgroups) n: vec3u) {
  let i = global_index(g, n);
  if (i >= p.words) { return; }
  let r = p.page * 8u + i / p.half_in;
  w[p.first + i] = select(0u, word(r * 2u * p.half_in + 2u * (i % p.half_in)), r < p.rank);
}

// One slice of one page: threads = 4 * rows; half_in is the stride between rank pairs (the pool's padded out).
@compute @workgroup_size(64)
fn lora_b(@builtin(global_invocation_id) g: vec3u, @builtin(num_workgroups) n: vec3u) {
  let i = global_index(g, n);
  if (i >= p.words) { return; }
  let row = i % p.rows;
  let pair = i / p.rows;
  let r = p.page * 8u + 2u * pair;
  let low = select(0u, f16_bits(row * p.rank + r), r < p.rank);
  let high = select(0u, f16_bits(row * p.rank + r + 1u), r + 1u < p.rank);
  w[p.first + pair * p.half_in + row] = low | (high << 16u);
}
