// Copies one buffer into another: how fast the device's memory can be read and written (device/ceilings.ts).
// data, into: any words, a multiple of 4, as many
// Grid: (any number of workgroups), which share the words.

override THREADS: u32 = 256u;

@group(0) @binding(0) var<storage, read> data: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> into: array<vec4u>;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let stride = groups.x * THREADS;
  for (var i = id.x; i < arrayLength(&data); i += stride) { into[i] = data[i]; }
}
