// o[row, head, :] = softmax(q · Kᵀ / sqrt(HEAD_DIM)) · V over positions 0..position(row) of the row's sequence
//
// Paged: the sequence's block table says where 16 positions of K and V lie. Flash-style: 64 positions at a time with a
// running maximum and sum (Milakov & Gimelshein 2018), so nothing of the context's length is stored. The order of the sums
// depends on the row's own position only, so a result is the same whatever else is in the batch and however a prompt was
// cut into chunks.
//
// q, o: f32 [rows, HEADS * HEAD_DIM]    kcache, vcache: as rope-kv.wgsl writes them. HEAD_DIM 64 or 128 (at most 128).
// Grid: (rows, HEADS).

override HEADS: u32;
override KV_HEADS: u32;
override HEAD_DIM: u32;
override BLOCK: u32;
override ROWS_AT: u32;
override SEQUENCES_AT: u32;
override BLOCKS_AT: u32;

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> q: array<f32>;
@group(0) @binding(2) var<storage, read> kcache: array<u32>;
@group(0) @binding(3) var<storage, read> vcache: array<u32>;
@group(0) @binding(4) var<storage, read_write> o: array<f32>;

var<workgroup> query: array<f32, 128>;
var<workgroup> scores: array<f32, 64>;
var<workgroup> weights: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.x;
  let head = group.y;
  let half = HEAD_DIM / 2u;
  let kv_head = head / (HEADS / KV_HEADS);
  let entry = step[ROWS_AT] + row * 4u;
  let length = step[entry + 1u] + 1u;
  let blocks = step[BLOCKS_AT] + step[step[SEQUENCES_AT] + step[entry + 2u]];
  let scale = 1.0 / sqrt(f32(HEAD_DIM));
  let at = (row * HEADS + head) * HEAD_DIM;
  for (var i = lane; i < HEAD_DIM; i += 64u) { query[i] = q[at + i] * scale; }
  workgroupBarrier();

  var maximum = -3.4e38;
  var sum = 0.0;
  var out = vec2f();
  for (var base = 0u; base < length; base += 64u) {
    let count = min(64u, length - base);
    var score = -3.4e38;
    if (lane < count) {
      let position = base + lane;
      let line = ((step[blocks + position / BLOCK] * KV_HEADS + kv_head) * BLOCK + position % BLOCK) * half;
      score = 0.0;
      for (var i = 0u; i < half; i++) {
        let k = unpack2x16float(kcache[line + i]);
        score += k.x * query[2u * i] + k.y * query[2u * i + 1u];
      }
    }
    scores[lane] = score;
    workgroupBarrier();
    // Every lane finds the same maximum and sum; 64 reads of workgroup memory are cheaper than a tree of barriers here.
    var largest = maximum;
    for (var i = 0u; i < count; i++) { largest = max(largest, scores[i]); }
    let shrink = exp(maximum - largest);
    weights[lane] = select(0.0, exp(score - largest), lane < count);
    workgroupBarrier();
    var added = 0.0;
    for (var i = 0u; i < count; i++) { added += weights[i]; }
    sum = sum * shrink + added;
    if (lane < half) {
      out *= shrink;
      for (var i = 0u; i < count; i++) {
        let position = base + i;
        let line = ((step[blocks + position / BLOCK] * KV_HEADS + kv_head) * BLOCK + position % BLOCK) * half;
        out += weights[i] * unpack2x16float(vcache[line + lane]);
      }
    }
    maximum = largest;
    workgroupBarrier();
  }
  if (lane < half) {
    o[at + 2u * lane] = out.x / sum;
    o[at + 2u * lane + 1u] = out.y / sum;
  }
}
