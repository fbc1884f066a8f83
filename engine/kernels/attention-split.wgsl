// o[row, head, :] = softmax(q · Kᵀ / sqrt(HEAD_DIM)) · V for decode rows, or a piece's part of it (FlashDecoding, Dao et al.
// 2023): a row's positions are split over workgroups, which all read other keys; attention-merge.wgsl puts the pieces
// together. Where a row is one piece, o is written here.
//
// A workgroup does one piece of one row for the GROUP query heads that share a KV head, so that each key and value is read
// once. It has 8 teams of LANES lanes. A team takes a position at a time, 4 of them under way, a lane 8 of its elements
// (16 bytes) at a time; it keeps a running maximum, sum and output of its own (Milakov & Gimelshein 2018), so that teams
// meet only at the end. A vec4 holds four heads; where the group has fewer, the rest is computed and dropped.
//
// q, o: f32 [rows, HEADS, HEAD_DIM]    kcache, vcache: as rope-kv.wgsl writes them. HEAD_DIM a multiple of 8 * LANES.
// pieces: f32 [decode, head, split, HEAD_DIM + 4]: output not yet divided, maximum, sum, 0, 0
// Grid: (splits, KV_HEADS, decodes).

override HEADS: u32;
override BLOCK: u32;
override QUERIES_AT: u32;

// fixed: HEAD_DIM, GROUP, LANES, THREADS (8 * LANES)
const TEAMS = 8u;
const LOADS = 4u; // positions a team has under way
const VECTORS = HEAD_DIM / 8u / LANES; // loads a lane makes of a position
const QUADS = (GROUP + 3u) / 4u; // vec4s of heads
const DIMS = 8u * VECTORS; // elements a lane has
const NONE = vec4f(-3.4e38);

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> q: array<f32>;
@group(0) @binding(2) var<storage, read> kcache: array<vec4u>;
@group(0) @binding(3) var<storage, read> vcache: array<vec4u>;
@group(0) @binding(4) var<storage, read_write> pieces: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> o: array<vec4f>;

var<workgroup> tops: array<vec4f, TEAMS * QUADS>;
var<workgroup> totals: array<vec4f, TEAMS * QUADS>;
var<workgroup> outs: array<vec4f, TEAMS / 2u * HEAD_DIM>;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let kv_head = group.y;
  let entry = step[QUERIES_AT] + group.z * 4u;
  let row = step[entry];
  let length = step[entry + 2u] + 1u;
  let blocks = step[entry + 3u];
  let positions = split_positions();
  let begin = group.x * positions;
  if (begin >= length) { return; }
  let end = min(length, begin + positions);
  let team = lane / LANES;
  let member = lane % LANES;

  // An element's place: vector i of this lane holds elements 8 * (i * LANES + member) and on.
  let scale = 1.0 / sqrt(f32(HEAD_DIM));
  var query: array<vec4f, QUADS * DIMS>;
  for (var head = 0u; head < GROUP; head++) {
    let at = (row * HEADS + kv_head * GROUP + head) * HEAD_DIM + 8u * member;
    for (var d = 0u; d < DIMS; d++) {
      query[head / 4u * DIMS + d][head % 4u] = q[at + d / 8u * 8u * LANES + d % 8u] * scale;
    }
  }

  var out: array<vec4f, QUADS * DIMS>;
  var maximum: array<vec4f, QUADS>;
  var sum: array<vec4f, QUADS>;
  for (var quad = 0u; quad < QUADS; quad++) { maximum[quad] = NONE; }
  for (var base = begin; base < end; base += TEAMS * LOADS) {
    var k: array<vec4u, LOADS * VECTORS>;
    var v: array<vec4u, LOADS * VECTORS>;
    for (var j = 0u; j < LOADS; j++) {
      // Past the end the last position is read again, and gets weight 0: nothing unwritten is touched.
      let position = min(base + j * TEAMS + team, end - 1u);
      let line = ((step[blocks + position / BLOCK] * KV_HEADS + kv_head) * BLOCK + position % BLOCK) * (HEAD_DIM / 8u);
      for (var i = 0u; i < VECTORS; i++) {
        k[j * VECTORS + i] = kcache[line + i * LANES + member];
        v[j * VECTORS + i] = vcache[line + i * LANES + member];
      }
    }
    var weights = array<vec4f, LOADS * QUADS>(); // said, since webgpu 0.6.2 keeps what a loop's variable held
    for (var j = 0u; j < LOADS; j++) {
      for (var i = 0u; i < VECTORS; i++) {
        for (var word = 0u; word < 4u; word++) {
          let pair = unpack2x16float(k[j * VECTORS + i][word]);
          for (var quad = 0u; quad < QUADS; quad++) {
            let at = quad * DIMS + 8u * i + 2u * word;
            weights[j * QUADS + quad] += pair.x * query[at] + pair.y * query[at + 1u];
          }
        }
      }
      for (var quad = 0u; quad < QUADS; quad++) {
        let score = sum_lanes(lane, weights[j * QUADS + quad]);
        weights[j * QUADS + quad] = select(NONE, score, base + j * TEAMS + team < end);
      }
    }
    for (var quad = 0u; quad < QUADS; quad++) {
      var largest = maximum[quad];
      for (var j = 0u; j < LOADS; j++) { largest = max(largest, weights[j * QUADS + quad]); }
      let shrink = exp(maximum[quad] - largest);
      maximum[quad] = largest;
      sum[quad] *= shrink;
      for (var d = 0u; d < DIMS; d++) { out[quad * DIMS + d] *= shrink; }
      for (var j = 0u; j < LOADS; j++) {
        let weight = select(vec4f(), exp(weights[j * QUADS + quad] - largest), base + j * TEAMS + team < end);
        weights[j * QUADS + quad] = weight;
        sum[quad] += weight;
      }
    }
    for (var j = 0u; j < LOADS; j++) {
      for (var i = 0u; i < VECTORS; i++) {
        for (var word = 0u; word < 4u; word++) {
          let pair = unpack2x16float(v[j * VECTORS + i][word]);
          for (var quad = 0u; quad < QUADS; quad++) {
            let at = quad * DIMS + 8u * i + 2u * word;
            out[at] += pair.x * weights[j * QUADS + quad];
            out[at + 1u] += pair.y * weights[j * QUADS + quad];
          }
        }
      }
    }
  }

  // The teams' maxima and sums, then their outputs on the scale of the largest.
  if (member == 0u) {
    for (var quad = 0u; quad < QUADS; quad++) {
      tops[team * QUADS + quad] = maximum[quad];
      totals[team * QUADS + quad] = sum[quad];
    }
  }
  workgroupBarrier();
  for (var quad = 0u; quad < QUADS; quad++) {
    var largest = NONE;
    for (var i = 0u; i < TEAMS; i++) { largest = max(largest, tops[i * QUADS + quad]); }
    var total = vec4f();
    for (var i = 0u; i < TEAMS; i++) { total += totals[i * QUADS + quad] * exp(tops[i * QUADS + quad] - largest); }
    let shrink = exp(maximum[quad] - largest);
    for (var d = 0u; d < DIMS; d++) { out[quad * DIMS + d] *= shrink; }
    maximum[quad] = largest;
    sum[quad] = total;
    for (var half = TEAMS / 2u; half > 0u; half /= 2u) {
      let at = team % half * HEAD_DIM + member;
      if (team >= half && team < 2u * half) {
        for (var d = 0u; d < DIMS; d++) { outs[at + d * LANES] = out[quad * DIMS + d]; }
      }
      workgroupBarrier();
      if (team < half) {
        for (var d = 0u; d < DIMS; d++) { out[quad * DIMS + d] += outs[at + d * LANES]; }
      }
      workgroupBarrier();
    }
  }
  if (team > 0u) { return; }

  let whole = groups.x == 1u;
  for (var head = 0u; head < GROUP; head++) {
    let quad = head / 4u;
    let mine = head % 4u;
    let shared_head = kv_head * GROUP + head;
    let piece = ((group.z * HEADS + shared_head) * groups.x + group.x) * (HEAD_DIM / 4u + 1u);
    for (var i = 0u; i < DIMS / 4u; i++) {
      let at = quad * DIMS + 4u * i;
      let four = vec4f(out[at][mine], out[at + 1u][mine], out[at + 2u][mine], out[at + 3u][mine]);
      let place = 2u * (i / 2u * LANES + member) + i % 2u;
      if (whole) {
        o[(row * HEADS + shared_head) * (HEAD_DIM / 4u) + place] = four / sum[quad][mine];
      } else {
        pieces[piece + place] = four;
      }
    }
    if (!whole && member == 0u) {
      pieces[piece + HEAD_DIM / 4u] = vec4f(maximum[quad][mine], sum[quad][mine], 0.0, 0.0);
    }
  }
}
