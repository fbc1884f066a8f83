// o[row, head, :] of decode rows, from the pieces attention-split.wgsl left: their outputs on the scale of the largest maximum,
// over the sum of their sums on that scale.
//
// pieces: f32 [decode, head, split, HEAD_DIM + 4]: output not yet divided, maximum, sum, 0, 0    o: f32 [rows, HEADS, HEAD_DIM]
// A lane does four elements of a head. Grid: (ceil(HEADS * HEAD_DIM / 4 / 64), decodes).

override HEADS: u32;
override HEAD_DIM: u32;
override QUERIES_AT: u32;

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> pieces: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> o: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let quarter = HEAD_DIM / 4u;
  let item = group.x * 64u + lane;
  if (item >= HEADS * quarter) { return; }
  let head = item / quarter;
  let place = item % quarter;
  let entry = step[QUERIES_AT] + group.y * 4u;
  let row = step[entry];
  let length = step[entry + 2u] + 1u;
  let positions = split_positions();
  let splits = (step[LONGEST] + positions - 1u) / positions;
  let mine = (length + positions - 1u) / positions;
  let first = (group.y * HEADS + head) * splits * (quarter + 1u);
  var largest = -3.4e38;
  for (var i = 0u; i < mine; i++) { largest = max(largest, pieces[first + i * (quarter + 1u) + quarter].x); }
  var out = vec4f();
  var sum = 0.0;
  for (var i = 0u; i < mine; i++) {
    let at = first + i * (quarter + 1u);
    let piece = pieces[at + quarter];
    let shrink = exp(piece.x - largest);
    sum += piece.y * shrink;
    out += pieces[at + place] * shrink;
  }
  o[row * HEADS * quarter + item] = out / sum;
}
