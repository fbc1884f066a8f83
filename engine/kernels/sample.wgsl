// ids[i] = the next token of the i-th sampled sequence
//
// temperature 0: the largest logit, the lowest id among equals. Else the Gumbel-max trick (Gumbel 1954): the largest of
// logit / temperature + g, g = -log(e), e = -log(1 - w), w uniform from a hash of (seed, id), over the ids that both top-k
// and top-p (of the whole softmax) leave; that is a draw from the softmax. The cut-offs are found by bisecting the logit
// below which ids fall out, so no sort is needed; ids tied with the last one kept stay in. End ids are left out while a
// sequence is below its min_tokens.
//
// logits: f32 [sequences, VOCAB]    ids: u32 [sequences]    Grid: (sequences).

override VOCAB: u32;
override SAMPLES_AT: u32;
override SAMPLE_WORDS: u32;
override END_IDS: u32; // header word of the first of 4 end ids (0xffffffff: none)

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> ids: array<u32>;

const NONE = -3.4e38;

var<workgroup> values: array<f32, 64>;
var<workgroup> counts: array<f32, 64>;
var<workgroup> indices: array<u32, 64>;
// What every lane goes on to use has places of its own, never overwritten before its last use: Mesa's llvmpipe (22.3) loads
// workgroup memory only where the value is used, past the barrier that ought to keep it from the next round's writes.
var<workgroup> largest_logit: f32;
var<workgroup> largest_id: u32;
var<workgroup> wanted_mass: f32;
var<workgroup> kept: array<vec2f, 2>; // mass and number, of even and of odd rounds

// An id wins by a small e, so a small w must be fine-grained and its e exact: WGSL's log may be 2^-21 off around 1, where a
// series is not. w stays below 1, which would lose every id it came to.
fn gumbel(hash: u32) -> f32 {
  let w = min((f32(hash) + 0.5) / 4294967296.0, 0.99999994);
  return -log(select(-log(1.0 - w), w * (1.0 + w * (0.5 + w / 3.0)), w < 0.01));
}

fn masked(id: u32) -> bool {
  return id == step[END_IDS] || id == step[END_IDS + 1u] || id == step[END_IDS + 2u] || id == step[END_IDS + 3u];
}

// Leaves the largest value and its lowest index in values[0], indices[0].
fn reduce_max(lane: u32, value: f32, index: u32) {
  values[lane] = value;
  indices[lane] = index;
  workgroupBarrier();
  for (var width = 32u; width > 0u; width >>= 1u) {
    if (lane < width) {
      let v = values[lane + width];
      let i = indices[lane + width];
      if (v > values[lane] || (v == values[lane] && i < indices[lane])) {
        values[lane] = v;
        indices[lane] = i;
      }
    }
    workgroupBarrier();
  }
}

// Leaves the sums in values[0], counts[0].
fn reduce_sum(lane: u32, value: f32, count: f32) {
  values[lane] = value;
  counts[lane] = count;
  workgroupBarrier();
  for (var width = 32u; width > 0u; width >>= 1u) {
    if (lane < width) {
      values[lane] += values[lane + width];
      counts[lane] += counts[lane + width];
    }
    workgroupBarrier();
  }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let entry = step[SAMPLES_AT] + group.x * SAMPLE_WORDS;
  let base = group.x * VOCAB;
  let temperature = bitcast<f32>(step[entry + 1u]);
  let top_p = bitcast<f32>(step[entry + 2u]);
  let top_k = step[entry + 3u];
  let seed = step[entry + 4u];
  let mask_ends = step[entry + 5u] != 0u;

  var best = NONE;
  var which = 0xffffffffu;
  for (var i = lane; i < VOCAB; i += 64u) {
    let v = logits[base + i];
    if (v > best && !(mask_ends && masked(i))) {
      best = v;
      which = i;
    }
  }
  reduce_max(lane, best, which);
  if (lane == 0u) {
    largest_logit = values[0];
    largest_id = indices[0];
  }
  let largest = workgroupUniformLoad(&largest_logit);
  let greedy = workgroupUniformLoad(&largest_id);
  // No id above NONE means that every logit was NaN: end with an id no vocabulary has, which the host refuses.
  if (temperature == 0.0 || greedy == 0xffffffffu) {
    if (lane == 0u) { ids[group.x] = greedy; }
    return;
  }

  var threshold = NONE;
  if (top_p < 1.0 || top_k > 0u) {
    var mass = 0.0;
    for (var i = lane; i < VOCAB; i += 64u) {
      if (!(mask_ends && masked(i))) { mass += exp((logits[base + i] - largest) / temperature); }
    }
    reduce_sum(lane, mass, 0.0);
    if (lane == 0u) { wanted_mass = values[0] * top_p; }
    // Of low, "there is enough mass, or there are top_k ids, at or above it" stays true while it closes in on high: what
    // falls out below it is cut by one of the two.
    var low = largest - 88.0 * temperature;
    var high = largest;
    for (var round = 0u; round < 32u; round++) {
      let middle = 0.5 * (low + high);
      var mass_here = 0.0;
      var count = 0.0;
      for (var i = lane; i < VOCAB; i += 64u) {
        let v = logits[base + i];
        if (v >= middle && !(mask_ends && masked(i))) {
          mass_here += exp((v - largest) / temperature);
          count += 1.0;
        }
      }
      reduce_sum(lane, mass_here, count);
      if (lane == 0u) { kept[round % 2u] = vec2f(values[0], counts[0]); }
      workgroupBarrier();
      let enough_mass = kept[round % 2u].x >= wanted_mass;
      let enough_ids = top_k > 0u && kept[round % 2u].y >= f32(top_k);
      if ((top_p < 1.0 && enough_mass) || enough_ids) { low = middle; } else { high = middle; }
    }
    threshold = low;
  }

  best = NONE;
  which = 0xffffffffu;
  for (var i = lane; i < VOCAB; i += 64u) {
    let v = logits[base + i];
    if (v >= threshold && !(mask_ends && masked(i))) {
      let noisy = (v - largest) / temperature + gumbel(lowbias32(i ^ seed));
      if (noisy > best) {
        best = noisy;
        which = i;
      }
    }
  }
  reduce_max(lane, best, which);
  if (lane == 0u) { ids[group.x] = indices[0]; }
}
