// Products of f16 matrices summed in f32, operands kept in registers: the rate of the tensor cores (device/ceilings.ts).
// Each subgroup runs ROUNDS rounds of 8 products of SM x SK by SK x SN, none of which waits for another of its round.
// left, right: f16, one matrix each    y: f32 [subgroups of the grid][8][SM * SN]    Grid: (any number of workgroups).

override THREADS: u32; // a multiple of the device's widest subgroup
override ROUNDS: u32;

@group(0) @binding(0) var<storage, read> left: array<f16>;
@group(0) @binding(1) var<storage, read> right: array<f16>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_size) width: u32,
) {
  let a = subgroupMatrixLoad<subgroup_matrix_left<f16, SK, SM>, row_major>(&left, 0u, SK);
  let b = subgroupMatrixLoad<subgroup_matrix_right<f16, SN, SK>, row_major>(&right, 0u, SN);
  var c0: subgroup_matrix_result<f32, SN, SM>;
  var c1: subgroup_matrix_result<f32, SN, SM>;
  var c2: subgroup_matrix_result<f32, SN, SM>;
  var c3: subgroup_matrix_result<f32, SN, SM>;
  var c4: subgroup_matrix_result<f32, SN, SM>;
  var c5: subgroup_matrix_result<f32, SN, SM>;
  var c6: subgroup_matrix_result<f32, SN, SM>;
  var c7: subgroup_matrix_result<f32, SN, SM>;
  for (var round = 0u; round < ROUNDS; round++) {
    c0 = subgroupMatrixMultiplyAccumulate(a, b, c0);
    c1 = subgroupMatrixMultiplyAccumulate(a, b, c1);
    c2 = subgroupMatrixMultiplyAccumulate(a, b, c2);
    c3 = subgroupMatrixMultiplyAccumulate(a, b, c3);
    c4 = subgroupMatrixMultiplyAccumulate(a, b, c4);
    c5 = subgroupMatrixMultiplyAccumulate(a, b, c5);
    c6 = subgroupMatrixMultiplyAccumulate(a, b, c6);
    c7 = subgroupMatrixMultiplyAccumulate(a, b, c7);
  }
  let at = (group.x * (THREADS / width) + lane / width) * 8u * SM * SN;
  subgroupMatrixStore<row_major>(&y, at, c0, SN);
  subgroupMatrixStore<row_major>(&y, at + SM * SN, c1, SN);
  subgroupMatrixStore<row_major>(&y, at + 2u * SM * SN, c2, SN);
  subgroupMatrixStore<row_major>(&y, at + 3u * SM * SN, c3, SN);
  subgroupMatrixStore<row_major>(&y, at + 4u * SM * SN, c4, SN);
  subgroupMatrixStore<row_major>(&y, at + 5u * SM * SN, c5, SN);
  subgroupMatrixStore<row_major>(&y, at + 6u * SM * SN, c6, SN);
  subgroupMatrixStore<row_major>(&y, at + 7u * SM * SN, c7, SN);
}
