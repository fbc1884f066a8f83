// Multiplies and adds in registers: the f32 rate without tensor cores (device/ceilings.ts).
// Each invocation runs ROUNDS rounds of 8 vec4 multiply-adds, none of which waits for another of its round: 64 operations.
// y: f32, one for each invocation, so that nothing may be left out    Grid: (any number of workgroups).

override THREADS: u32 = 256u;
override ROUNDS: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>; // two
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let m = vec4f(x[0]);
  let n = vec4f(x[1]);
  var a = vec4f(f32(id.x % 7u));
  var b = a + 1.0;
  var c = a + 2.0;
  var d = a + 3.0;
  var e = a + 4.0;
  var f = a + 5.0;
  var g = a + 6.0;
  var h = a + 7.0;
  for (var round = 0u; round < ROUNDS; round++) {
    a = fma(a, m, n);
    b = fma(b, m, n);
    c = fma(c, m, n);
    d = fma(d, m, n);
    e = fma(e, m, n);
    f = fma(f, m, n);
    g = fma(g, m, n);
    h = fma(h, m, n);
  }
  let sum = a + b + c + d + e + f + g + h;
  y[id.x] = sum.x + sum.y + sum.z + sum.w;
}
