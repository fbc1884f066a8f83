// Seeded random weights, made on the device: an integer hash of (tensor key, row * in + column) straight to f16 bits,
// uniform in (-a, a) and never subnormal, so that TypeScript (lora/random-f16.ts) and numpy give the same bits.
//
//   h = lowbias32(index ^ key)                     (Chris Wellons' "hash-prospector")
//   m = max(((h & 0x7fff) * magnitude) >> 15, smallest)     value = ±m * 2^-exponent, mantissa cut to 11 bits
//
// Quantised ones are the same numbers, quantised as a checkpoint's are (weight-format.ts), by integers too: a group's scale is
// its largest m / 127 or / 7, rounded to 11 bits, and each q is a rounded quotient of two integers.
//
// Layouts (two f16 in a u32, the even column in the low half):
//   base    f16 of weight-format.ts              one dispatch a tensor, from the word where its rows begin in a joined matrix
//   blocks  int8 and int4 of weight-format.ts    likewise; an invocation makes one column of a block
//   lora_a  [page][slice][8 ranks][in / 2]       ranks past the adapter's own are zero
//   lora_b  [page][4 rank pairs][out]            likewise
// Grid: x over words, or columns of blocks, in workgroups of 64, y when x would pass 65,535.

struct Params {
  key: u32,
  magnitude: u32,
  exponent: u32,
  smallest: u32,
  // base: words of this tensor, first word, in / 2; blocks: invocations; lora_a and lora_b: see their entry points
  words: u32,
  first: u32,
  half_in: u32,
  // lora: true rank, index of the page within the adapter, rows of the tensor
  rank: u32,
  page: u32,
  rows: u32,
  // base and blocks: words of a column that lie together; bits of a q
  pack: u32,
  bits: u32,
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
  let in_tile = i % (32u * p.half_in);
  let column = (in_tile / p.pack) % 32u;
  let pair = in_tile / (32u * p.pack) * p.pack + in_tile % p.pack;
  let row = (i / (32u * p.half_in)) * 32u + column;
  w[p.first + i] = word(row * 2u * p.half_in + 2u * pair);
}

// |value| * 2^exponent of an element, cut to 11 bits as f16 holds it.
fn size_of(index: u32) -> u32 {
  let h = lowbias32(index ^ p.key);
  let m = max(((h & 0x7fffu) * p.magnitude) >> 15u, p.smallest);
  let dropped = max(31u - countLeadingZeros(m), 10u) - 10u;
  return (m >> dropped) << dropped;
}

// n / d to the nearest, ties to even.
fn rounded(n: u32, d: u32) -> u32 {
  let floor = n / d;
  let twice = 2u * (n % d);
  return floor + select(0u, 1u, twice > d || (twice == d && (floor & 1u) == 1u));
}

// A scale: f16 bits, and the fraction that a size is multiplied by to give q's size, n / d.
struct Scale {
  bits: u32,
  n: u32,
  d: u32,
}

// scale = S * 2^-f, the largest size * 2^-exponent over the largest q, with 1024 <= S < 2048 and f at most 24: 2^-14 or more.
fn scale_of(largest: u32, most: u32) -> Scale {
  let shifted = largest << 13u;
  let dropped = max(31u - countLeadingZeros(shifted / most), 11u) - 10u;
  var s = rounded(shifted, most << dropped);
  var f = p.exponent + 13u - dropped;
  if (s == 2048u) {
    s = 1024u;
    f -= 1u;
  }
  if (f > 24u) {
    s = 1024u;
    f = 24u;
  }
  let up = max(f, p.exponent) - p.exponent;
  let down = p.exponent - min(f, p.exponent);
  return Scale(((25u - f) << 10u) | (s - 1024u), 1u << up, s << down);
}

@compute @workgroup_size(64)
fn blocks(@builtin(global_invocation_id) g: vec3u, @builtin(num_workgroups) n: vec3u) {
  let i = global_index(g, n);
  if (i >= p.words) { return; }
  let deep = p.half_in / 32u; // blocks along in
  let lane = i % 32u;
  let block = i / 32u;
  let row = block / deep * 32u + lane;
  let data = 2u * p.bits;
  let at = p.first + block * (data + 1u) * 32u;
  let each = 32u / p.bits;
  let mask = (1u << p.bits) - 1u;
  let most = mask / 2u;
  let zero = select(0u, 8u, p.bits == 4u);
  var scales = 0u;
  for (var group = 0u; group < 2u; group++) {
    let first = row * 2u * p.half_in + block % deep * 64u + group * 32u;
    var largest = 0u;
    for (var k = 0u; k < 32u; k++) { largest = max(largest, size_of(first + k)); }
    let scale = scale_of(largest, most);
    scales |= scale.bits << (16u * group);
    for (var d = 0u; d < p.bits; d++) {
      var packed = 0u;
      for (var v = 0u; v < each; v++) {
        let index = first + d * each + v;
        let q = rounded(size_of(index) * scale.n, scale.d);
        let negative = lowbias32(index ^ p.key) >> 31u;
        packed |= (((q ^ (0u - negative)) + negative + zero) & mask) << (v * p.bits);
      }
      let word = group * p.bits + d;
      w[at + (word - word % p.pack) * 32u + lane * p.pack + word % p.pack] = packed;
    }
  }
  w[at + data * 32u + lane] = scales;
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
