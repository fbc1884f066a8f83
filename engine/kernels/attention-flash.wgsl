// o[row, head, :] = softmax(q · Kᵀ / sqrt(HEAD_DIM)) · V over positions 0..position(row), for neighbouring rows of one sequence
//
// Paged, as a chunk of a prompt runs: a workgroup takes up to ROWS rows and HEADS_TILE query heads of one KV head, and all
// of them share each tile of KEYS keys and values, staged in workgroup memory (FlashAttention, Dao et al. 2022). Softmax is
// taken online, with a running maximum and sum a row (Milakov & Gimelshein 2018). A query vector, of a row and a head, has
// number m = head * ROWS + row; lane (ty, tx) of (M / 4, 8) has vectors ty, ty + M / 4, .. and of those KEYS / 8
// neighbouring scores and HEAD_DIM / 8 elements of o. Staged vectors are permuted by their number's low bits, so that lanes
// side by side read different banks.
//
// q, o: f32 [rows, HEADS, HEAD_DIM]    kcache, vcache: as rope-kv.wgsl writes them
// Grid: (tiles of queries, HEADS / HEADS_TILE, QUERY_ROWS / ROWS); SKIP_DECODES: the decodes are not among the tiles

override HEADS: u32;
override KV_HEADS: u32;
override BLOCK: u32;
override QUERIES_AT: u32;
override DECODES: u32;
override SKIP_DECODES: u32;

// fixed: HEAD_DIM, ROWS, HEADS_TILE, THREADS (2 * ROWS * HEADS_TILE)
const KEYS = 32u;
const M = ROWS * HEADS_TILE;
const ACROSS = M / 4u; // vectors lie this far apart in a lane
const QUARTER = HEAD_DIM / 4u;
const PIECES = KEYS * HEAD_DIM / 8u; // 16-byte pieces of a tile
const LOADS = (PIECES + THREADS - 1u) / THREADS; // of those a lane loads
const CHUNKS = HEAD_DIM / 32u; // vec4s of o that a lane has of a vector
const NONE = -3.4e38;

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> kcache: array<vec4u>;
@group(0) @binding(3) var<storage, read> vcache: array<vec4u>;
@group(0) @binding(4) var<storage, read_write> o: array<vec4f>;

var<workgroup> queries: array<vec4f, M * QUARTER>;
var<workgroup> staged: array<vec2u, KEYS * QUARTER>; // keys, then values, of the tile
var<workgroup> weights: array<vec4f, M * KEYS / 4u>;

fn query_at(m: u32, i: u32) -> u32 { return m * QUARTER + (i ^ (m % 8u)); }
fn staged_at(key: u32, i: u32) -> u32 { return key * QUARTER + (i ^ (key / 4u % 8u)); }
fn weight_at(m: u32, i: u32) -> u32 { return m * (KEYS / 4u) + (i ^ (m % 8u)); }

// Where in the cache a lane's i-th load of a tile lies. Past the last position that one is read again, with weight 0:
// nothing unwritten is touched.
fn line_of(blocks: u32, kv_head: u32, base: u32, last: u32, load: u32) -> u32 {
  let position = min(base + load / (HEAD_DIM / 8u), last);
  let line = (step[blocks + position / BLOCK] * KV_HEADS + kv_head) * BLOCK + position % BLOCK;
  return line * (HEAD_DIM / 8u) + load % (HEAD_DIM / 8u);
}

fn stage(load: u32, words: vec4u) {
  if (load >= PIECES) { return; }
  let key = load / (HEAD_DIM / 8u);
  let i = 2u * (load % (HEAD_DIM / 8u));
  staged[staged_at(key, i)] = words.xy;
  staged[staged_at(key, i + 1u)] = words.zw;
}

fn four(words: vec2u) -> vec4f { return vec4f(unpack2x16float(words.x), unpack2x16float(words.y)); }

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  // The last tiles of a prompt have the most keys, so they begin first.
  let skipped = select(0u, step[DECODES], SKIP_DECODES != 0u);
  let entry = step[QUERIES_AT] + (skipped + groups.x - 1u - group.x) * 4u;
  let skip_rows = group.z * ROWS;
  let rows_here = step[entry + 1u];
  if (skip_rows >= rows_here) { return; }
  let rows = min(ROWS, rows_here - skip_rows);
  let row = step[entry] + skip_rows;
  let first = step[entry + 2u] + skip_rows;
  let blocks = step[entry + 3u];
  let last = first + rows - 1u;
  let head = group.y * HEADS_TILE;
  let kv_head = head / (HEADS / KV_HEADS);
  let ty = lane / 8u;
  let tx = lane % 8u;

  let scale = 1.0 / sqrt(f32(HEAD_DIM));
  for (var item = lane; item < M * QUARTER; item += THREADS) {
    let m = item / QUARTER;
    let i = item % QUARTER;
    var value = vec4f();
    if (m % ROWS < rows) { value = q[((row + m % ROWS) * HEADS + head + m / ROWS) * QUARTER + i] * scale; }
    queries[query_at(m, i)] = value;
  }
  var ahead: array<vec4u, LOADS>;
  for (var i = 0u; i < LOADS; i++) { ahead[i] = kcache[line_of(blocks, kv_head, 0u, last, lane + i * THREADS)]; }

  var out = array<vec4f, 4u * CHUNKS>();
  var maximum = vec4f(NONE);
  var sum = vec4f();
  for (var base = 0u; base <= last; base += KEYS) {
    workgroupBarrier();
    for (var i = 0u; i < LOADS; i++) { stage(lane + i * THREADS, ahead[i]); }
    workgroupBarrier();
    for (var i = 0u; i < LOADS; i++) { ahead[i] = vcache[line_of(blocks, kv_head, base, last, lane + i * THREADS)]; }
    var scores = array<vec4f, 4>(); // of the lane's four vectors, at its four keys
    for (var i = 0u; i < QUARTER; i++) {
      let k0 = four(staged[staged_at(4u * tx, i)]);
      let k1 = four(staged[staged_at(4u * tx + 1u, i)]);
      let k2 = four(staged[staged_at(4u * tx + 2u, i)]);
      let k3 = four(staged[staged_at(4u * tx + 3u, i)]);
      for (var r = 0u; r < 4u; r++) {
        let a = queries[query_at(ty + r * ACROSS, i)];
        scores[r] += vec4f(dot(a, k0), dot(a, k1), dot(a, k2), dot(a, k3));
      }
    }
    let positions = vec4u(0u, 1u, 2u, 3u) + base + 4u * tx;
    for (var r = 0u; r < 4u; r++) {
      let m = ty + r * ACROSS;
      scores[r] = select(vec4f(NONE), scores[r], positions <= vec4u(first + min(m % ROWS, rows - 1u)));
      weights[weight_at(m, tx)] = scores[r];
    }
    workgroupBarrier();
    // The eight lanes of a vector find the same maximum. Position 0 is in the first tile, so it is a score from then on.
    var shrink = vec4f();
    for (var r = 0u; r < 4u; r++) {
      var most = vec4f(maximum[r]);
      for (var i = 0u; i < KEYS / 4u; i++) { most = max(most, weights[weight_at(ty + r * ACROSS, i)]); }
      let largest = max(max(most.x, most.y), max(most.z, most.w));
      shrink[r] = exp(maximum[r] - largest);
      maximum[r] = largest;
    }
    workgroupBarrier();
    for (var r = 0u; r < 4u; r++) {
      let weight = exp(scores[r] - maximum[r]);
      weights[weight_at(ty + r * ACROSS, tx)] = weight;
      sum[r] = sum[r] * shrink[r] + dot(weight, vec4f(1.0));
      for (var c = 0u; c < CHUNKS; c++) { out[r * CHUNKS + c] *= shrink[r]; }
    }
    for (var i = 0u; i < LOADS; i++) { stage(lane + i * THREADS, ahead[i]); }
    workgroupBarrier();
    for (var i = 0u; i < LOADS; i++) {
      ahead[i] = kcache[line_of(blocks, kv_head, base + KEYS, last, lane + i * THREADS)];
    }
    for (var i = 0u; i < KEYS / 4u; i++) {
      let w0 = weights[weight_at(ty, i)];
      let w1 = weights[weight_at(ty + ACROSS, i)];
      let w2 = weights[weight_at(ty + 2u * ACROSS, i)];
      let w3 = weights[weight_at(ty + 3u * ACROSS, i)];
      for (var j = 0u; j < 4u; j++) {
        for (var c = 0u; c < CHUNKS; c++) {
          let v = four(staged[staged_at(4u * i + j, tx + 8u * c)]);
          out[c] += w0[j] * v;
          out[CHUNKS + c] += w1[j] * v;
          out[2u * CHUNKS + c] += w2[j] * v;
          out[3u * CHUNKS + c] += w3[j] * v;
        }
      }
    }
  }

  workgroupBarrier();
  for (var r = 0u; r < 4u; r++) { weights[weight_at(ty + r * ACROSS, tx)] = vec4f(sum[r]); }
  workgroupBarrier();
  for (var r = 0u; r < 4u; r++) {
    let m = ty + r * ACROSS;
    var total = 0.0;
    for (var i = 0u; i < 8u; i++) { total += weights[weight_at(m, i)].x; }
    if (m % ROWS < rows) {
      let at = ((row + m % ROWS) * HEADS + head + m / ROWS) * QUARTER + tx;
      for (var c = 0u; c < CHUNKS; c++) { o[at + 8u * c] = out[r * CHUNKS + c] / total; }
    }
  }
}
