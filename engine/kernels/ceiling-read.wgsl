// Reads all of a buffer and keeps nothing: how fast the device's memory can be read (device/ceilings.ts).
// data: any words, a multiple of 4    sink: written only if every word cancels, so that no load may be left out
// Grid: (any number of workgroups), which share the words.

override THREADS: u32 = 256u;

@group(0) @binding(0) var<storage, read> data: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> sink: array<vec4u>;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let stride = groups.x * THREADS;
  let length = arrayLength(&data);
  var a = vec4u();
  var b = vec4u();
  var c = vec4u();
  var d = vec4u();
  var i = id.x;
  // Four loads under way at once.
  for (; i + 3u * stride < length; i += 4u * stride) {
    let p = data[i];
    let q = data[i + stride];
    let r = data[i + 2u * stride];
    let s = data[i + 3u * stride];
    a ^= p;
    b ^= q;
    c ^= r;
    d ^= s;
  }
  for (; i < length; i += stride) { a ^= data[i]; }
  let all_of_it = a ^ b ^ c ^ d;
  if (all(all_of_it == vec4u(0x5eedc0deu))) { sink[0] = all_of_it; }
}
