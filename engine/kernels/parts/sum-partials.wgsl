// A product's finished columns n .. n + 3 from the parts split-k.wgsl left, in the parts' order. The kernel binds partials, f32
// [SPLIT][PART_ROWS][N], as vec4f; adapt() is of parts/expand-columns.wgsl.

override N: u32; // columns of W, padded
override SPLIT: u32;
override PART_ROWS: u32;
override ROW_COUNT: u32; // header word that holds the number of rows

fn projected(row: u32, n: u32) -> vec4f {
  var sum = vec4f();
  var at = (row * N + n) / 4u;
  for (var part = 0u; part < SPLIT; part++) {
    sum += partials[at];
    at += PART_ROWS * N / 4u;
  }
  return adapt(row, n, sum);
}
