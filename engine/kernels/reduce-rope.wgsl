// q, k, v: finished sums of what split-k.wgsl left; q and k rotated by their position (rope-kv.wgsl), q stored for attention and
// k, v as f16 into the paged cache.
//
// partials: f32 [SPLIT][PART_ROWS][N], of them (HEADS + 2 KV_HEADS) * HEAD_DIM columns used
// angles: f32 [positions, HEAD_DIM / 2, 2] = (cos, sin)    q: f32 [rows, HEADS * HEAD_DIM]
// k, v: f16 [block][kv head][position in block][HEAD_DIM]    s, b: as in parts/expand-columns.wgsl
// An invocation does eight elements: i .. i + 3 and their partners half a head away.
// Grid: (ceil((HEADS + 2 KV_HEADS) * HEAD_DIM / 8 / 64), rows).

override HEADS: u32;
override KV_HEADS: u32;
override HEAD_DIM: u32; // a multiple of 8
override BLOCK: u32;
override SEQUENCES_AT: u32;
override BLOCKS_AT: u32;

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> partials: array<vec4f>;
@group(0) @binding(2) var<storage, read> s: array<vec2f>;
@group(0) @binding(3) var<storage, read> b: array<vec4u>;
@group(0) @binding(4) var<storage, read> angles: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> q: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> kcache: array<vec2u>;
@group(0) @binding(7) var<storage, read_write> vcache: array<vec2u>;

fn packed(v: vec4f) -> vec2u {
  return vec2u(pack2x16float(v.xy), pack2x16float(v.zw));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let item = group.x * 64u + lane;
  let half = HEAD_DIM / 2u;
  let head = item / (HEAD_DIM / 8u);
  let row = group.y;
  if (head >= HEADS + 2u * KV_HEADS || row >= step[ROW_COUNT]) { return; }
  let i = item % (HEAD_DIM / 8u) * 4u;
  let low = projected(row, head * HEAD_DIM + i);
  let high = projected(row, head * HEAD_DIM + half + i);
  let entry = step[ROWS_AT] + row * 4u;
  let position = step[entry + 1u];
  let t0 = angles[(position * half + i) / 2u];
  let t1 = angles[(position * half + i) / 2u + 1u];
  let c = vec4f(t0.xz, t1.xz);
  let d = vec4f(t0.yw, t1.yw);
  let turned_low = low * c - high * d;
  let turned_high = high * c + low * d;
  if (head < HEADS) {
    let to = ((row * HEADS + head) * HEAD_DIM + i) / 4u;
    q[to] = turned_low;
    q[to + half / 4u] = turned_high;
    return;
  }
  let blocks = step[BLOCKS_AT] + step[step[SEQUENCES_AT] + step[entry + 2u]];
  let block = step[blocks + position / BLOCK];
  let kv_head = (head - HEADS) % KV_HEADS;
  let to = (((block * KV_HEADS + kv_head) * BLOCK + position % BLOCK) * HEAD_DIM + i) / 4u;
  if (head < HEADS + KV_HEADS) {
    kcache[to] = packed(turned_low);
    kcache[to + half / 4u] = packed(turned_high);
  } else {
    vcache[to] = packed(low);
    vcache[to + half / 4u] = packed(high);
  }
}
