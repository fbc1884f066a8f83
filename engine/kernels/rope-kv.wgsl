// Rotates q and k by their position (RoPE, Su et al. 2021, in the half-split form Llama checkpoints use), stores q for
// attention and k, v as f16 into the paged cache.
//
// qkv: f32 [rows, (HEADS + 2 KV_HEADS) * HEAD_DIM]    angles: f32 [positions, HEAD_DIM / 2, 2] = (cos, sin)
// q: f32 [rows, HEADS * HEAD_DIM]    k, v: f16 [block][kv head][position in block][HEAD_DIM] in u32 pairs
// An invocation does four elements: i, i + 1 and their partners half a head away.
// Grid: (ceil((HEADS + 2 KV_HEADS) * HEAD_DIM / 4 / 64), rows).

override HEADS: u32;
override KV_HEADS: u32;
override HEAD_DIM: u32;
override BLOCK: u32;
override ROWS_AT: u32;
override SEQUENCES_AT: u32;
override BLOCKS_AT: u32;

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;
@group(0) @binding(2) var<storage, read> angles: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> q: array<f32>;
@group(0) @binding(4) var<storage, read_write> kcache: array<u32>;
@group(0) @binding(5) var<storage, read_write> vcache: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let item = group.x * 64u + lane;
  let quarter = HEAD_DIM / 4u;
  let head = item / quarter;
  if (head >= HEADS + 2u * KV_HEADS) { return; }
  let i = (item % quarter) * 2u;
  let half = HEAD_DIM / 2u;
  let row = group.y;
  let entry = step[ROWS_AT] + row * 4u;
  let position = step[entry + 1u];
  let base = row * (HEADS + 2u * KV_HEADS) * HEAD_DIM + head * HEAD_DIM + i;
  let a = vec2f(qkv[base], qkv[base + 1u]);
  let b = vec2f(qkv[base + half], qkv[base + half + 1u]);
  let t0 = angles[position * half + i];
  let t1 = angles[position * half + i + 1u];
  let c = vec2f(t0.x, t1.x);
  let d = vec2f(t0.y, t1.y);
  let low = a * c - b * d;
  let high = b * c + a * d;
  if (head < HEADS) {
    let to = (row * HEADS + head) * HEAD_DIM + i;
    q[to] = low.x;
    q[to + 1u] = low.y;
    q[to + half] = high.x;
    q[to + half + 1u] = high.y;
    return;
  }
  let blocks = step[BLOCKS_AT] + step[step[SEQUENCES_AT] + step[entry + 2u]];
  let block = step[blocks + position / BLOCK];
  let kv_head = (head - HEADS) % KV_HEADS;
  let to = ((block * KV_HEADS + kv_head) * BLOCK + position % BLOCK) * half + i / 2u;
  if (head < HEADS + KV_HEADS) {
    kcache[to] = pack2x16float(low);
    kcache[to + half / 2u] = pack2x16float(high);
  } else {
    vcache[to] = pack2x16float(a);
    vcache[to + half / 2u] = pack2x16float(b);
  }
}
