// ids[i] = the next token of the i-th sampled sequence
//
// temperature 0: the largest logit, the lowest id among equals. Else the Gumbel-max trick (Gumbel 1954): the largest of
// logit / temperature + g, g = -log(e), e = -log(1 - w), w uniform from a hash of (seed, id), over the ids that both top-k
// and top-p (of the whole softmax) leave; that is a draw from the softmax. The cut-offs are found by bisecting the logit
// below which ids fall out, so no sort is needed; ids tied with the last one kept stay in. Where there is room for
// CANDIDATES, the logits between the two ends of the search are gathered once they are so few, and the rest of it looks at
// them alone. End ids are left out while a sequence is below its min_tokens. Every sum has one order, so a draw depends on its
// own row only.
//
// logits: f32 [sequences, VOCAB]    ids: u32 [sequences]    Grid: (sequences). LANES: a power of two.

override VOCAB: u32;
override SAMPLES_AT: u32;
override SAMPLE_WORDS: u32;
override END_IDS: u32; // header word of the first of 4 end ids (0xffffffff: none)
override LANES: u32;

// fixed: LOADS; CANDIDATES, logits there is room for (0: none are gathered)

@group(0) @binding(0) var<storage, read> step: array<u32>;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> ids: array<u32>;

const NONE = -3.4e38;
const EVERY = 3.4e38;
const ROUNDS = 32u;

var<workgroup> values: array<f32, LANES>;
var<workgroup> counts: array<f32, LANES>;
var<workgroup> indices: array<u32, LANES>;
var<workgroup> candidates: array<f32, max(1u, CANDIDATES)>;
// What every lane goes on to use has places of its own, never overwritten before its last use: Mesa's llvmpipe (22.3) loads
// workgroup memory only where the value is used, past the barrier that ought to keep it from the next round's writes.
var<workgroup> largest_logit: f32;
var<workgroup> largest_id: u32;
var<workgroup> wanted_mass: f32;
var<workgroup> kept: array<vec2f, 2>; // mass and number, of even and of odd rounds

// The workgroup's row, and whether its end ids are left out.
var<private> row_at: u32;
var<private> mask_ends: bool;

// An id wins by a small e, so a small w must be fine-grained and its e exact: WGSL's log may be 2^-21 off around 1, where a
// series is not. w stays below 1, which would lose every id it came to.
fn gumbel(hash: u32) -> f32 {
  let w = min((f32(hash) + 0.5) / 4294967296.0, 0.99999994);
  return -log(select(-log(1.0 - w), w * (1.0 + w * (0.5 + w / 3.0)), w < 0.01));
}

// NONE for an end id left out and past the vocabulary.
fn logit(id: u32) -> f32 {
  if (id >= VOCAB) { return NONE; }
  if (mask_ends) {
    for (var i = 0u; i < 4u; i++) {
      if (id == step[END_IDS + i]) { return NONE; }
    }
  }
  return logits[row_at + id];
}

// LOADS of them on their way at once: a lane's own ids, LANES apart.
fn own_logits(id: u32) -> array<f32, LOADS> {
  var v: array<f32, LOADS>;
  for (var j = 0u; j < LOADS; j++) { v[j] = logit(id + j * LANES); }
  return v;
}

// Leaves the largest value and its lowest index in values[0], indices[0].
fn reduce_max(lane: u32, value: f32, index: u32) {
  values[lane] = value;
  indices[lane] = index;
  workgroupBarrier();
  for (var width = LANES / 2u; width > 0u; width >>= 1u) {
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
  for (var width = LANES / 2u; width > 0u; width >>= 1u) {
    if (lane < width) {
      values[lane] += values[lane + width];
      counts[lane] += counts[lane + width];
    }
    workgroupBarrier();
  }
}

// The sum of the lanes' counts before this one.
fn count_before(lane: u32, count: f32) -> f32 {
  counts[lane] = count;
  workgroupBarrier();
  var sum = count;
  for (var width = 1u; width < LANES; width <<= 1u) {
    var added = 0.0;
    if (lane >= width) { added = counts[lane - width]; }
    workgroupBarrier();
    sum += added;
    counts[lane] = sum;
    workgroupBarrier();
  }
  return sum - count;
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let entry = step[SAMPLES_AT] + group.x * SAMPLE_WORDS;
  row_at = group.x * VOCAB;
  let temperature = bitcast<f32>(step[entry + 1u]);
  let top_p = bitcast<f32>(step[entry + 2u]);
  let top_k = step[entry + 3u];
  let seed = step[entry + 4u];
  mask_ends = step[entry + 5u] != 0u;

  var best = NONE;
  var which = 0xffffffffu;
  for (var first = lane; first < VOCAB; first += LOADS * LANES) {
    var v = own_logits(first);
    for (var j = 0u; j < LOADS; j++) {
      if (v[j] > best) {
        best = v[j];
        which = first + j * LANES;
      }
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
    if (top_p < 1.0) {
      var mass = 0.0;
      for (var first = lane; first < VOCAB; first += LOADS * LANES) {
        var v = own_logits(first);
        for (var j = 0u; j < LOADS; j++) {
          if (v[j] > NONE) { mass += exp((v[j] - largest) / temperature); }
        }
      }
      reduce_sum(lane, mass, 0.0);
      if (lane == 0u) { wanted_mass = values[0] * top_p; }
    }
    let wanted = workgroupUniformLoad(&wanted_mass);
    // Of low, "there is enough mass, or there are top_k ids, at or above it" stays true while it closes in on high: what
    // falls out below it is cut by one of the two.
    var low = largest - 88.0 * temperature;
    var high = largest;
    // How many logits are at or above low (at most) and ceiling, which is high once that has been looked at, in all and of
    // this lane's; and the mass at or above ceiling.
    var ceiling = EVERY;
    var from_low = f32(VOCAB);
    var from_ceiling = vec2f(); // mass, number
    var own_low = f32((VOCAB + LANES - 1u - lane) / LANES);
    var own_ceiling = 0.0;
    var round = 0u;
    for (; round < ROUNDS && (CANDIDATES == 0u || from_low - from_ceiling.y > f32(CANDIDATES)); round++) {
      let middle = 0.5 * (low + high);
      var mass_here = 0.0;
      var count = 0.0;
      for (var first = lane; first < VOCAB; first += LOADS * LANES) {
        var v = own_logits(first);
        for (var j = 0u; j < LOADS; j++) {
          if (v[j] >= middle && v[j] > NONE) {
            mass_here += exp((v[j] - largest) / temperature);
            count += 1.0;
          }
        }
      }
      reduce_sum(lane, mass_here, count);
      if (lane == 0u) { kept[round % 2u] = vec2f(values[0], counts[0]); }
      let found = workgroupUniformLoad(&kept[round % 2u]);
      let enough_mass = top_p < 1.0 && found.x >= wanted;
      if (enough_mass || (top_k > 0u && found.y >= f32(top_k))) {
        low = middle;
        from_low = found.y;
        own_low = count;
      } else {
        high = middle;
        ceiling = middle;
        from_ceiling = found;
        own_ceiling = count;
      }
    }
    if (CANDIDATES > 0u && round < ROUNDS) {
      // Each lane's share lies behind those of the lanes before it, whatever their speed, so that sums have one order.
      for (var i = lane; i < CANDIDATES; i += LANES) { candidates[i] = NONE; }
      var at = u32(count_before(lane, own_low - own_ceiling));
      for (var first = lane; first < VOCAB; first += LOADS * LANES) {
        var v = own_logits(first);
        for (var j = 0u; j < LOADS; j++) {
          if (v[j] >= low && v[j] < ceiling && v[j] > NONE) {
            candidates[at] = v[j];
            at++;
          }
        }
      }
      workgroupBarrier();
      for (; round < ROUNDS; round++) {
        let middle = 0.5 * (low + high);
        var mass_here = 0.0;
        var count = 0.0;
        for (var i = lane; i < CANDIDATES; i += LANES) {
          let v = candidates[i];
          if (v >= middle && v > NONE) {
            mass_here += exp((v - largest) / temperature);
            count += 1.0;
          }
        }
        reduce_sum(lane, mass_here, count);
        if (lane == 0u) { kept[round % 2u] = vec2f(values[0], counts[0]) + from_ceiling; }
        let found = workgroupUniformLoad(&kept[round % 2u]);
        let enough_mass = top_p < 1.0 && found.x >= wanted;
        if (enough_mass || (top_k > 0u && found.y >= f32(top_k))) { low = middle; } else { high = middle; }
      }
    }
    threshold = low;
  }

  best = NONE;
  which = 0xffffffffu;
  for (var first = lane; first < VOCAB; first += LOADS * LANES) {
    var v = own_logits(first);
    for (var j = 0u; j < LOADS; j++) {
      if (v[j] >= threshold && v[j] > NONE) {
        let id = first + j * LANES;
        let noisy = (v[j] - largest) / temperature + gumbel(lowbias32(id ^ seed));
        if (noisy > best) {
          best = noisy;
          which = id;
        }
      }
    }
  }
  reduce_max(lane, best, which);
  if (lane == 0u) { ids[group.x] = indices[0]; }
}
