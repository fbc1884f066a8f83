// x[row, :] = table[token(row), :]
// The token comes from the host, or, when bit 31 is set, from row (token & 0x7fffffff) of the previous step's samples.
// A sample of NaN logits is no id (sample.wgsl); the host refuses it a step later, until then the table's last row stands in.
// step: u32, see scheduler/step-data.ts    previous: u32 [sequences]    table: [vocab, hidden], f16 of weight-format.ts
// x: f32 [rows, hidden]    Grid: (ceil(hidden / 128), rows).

override HIDDEN: u32;
override ROWS_AT: u32; // header word that holds the offset of the row section

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> previous: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<u32>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let pair = group.x * 64u + lane;
  if (pair >= HIDDEN / 2u) { return; }
  let row = group.y;
  var token = step[step[ROWS_AT] + row * 4u];
  if ((token & 0x80000000u) != 0u) { token = previous[token & 0x7fffffffu]; }
  token = min(token, arrayLength(&table) / (HIDDEN / 2u) - 1u);
  let v = unpack2x16float(table[half_word(token, pair, HIDDEN)]);
  x[row * HIDDEN + 2u * pair] = v.x;
  x[row * HIDDEN + 2u * pair + 1u] = v.y;
}
