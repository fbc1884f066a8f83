// The columns of a packed weight matrix (weight-format.ts), for parts/tensor-product.wgsl.

override N: u32; // columns of W

fn exists(n: u32) -> bool {
  return n < N;
}

fn f16_vector(n: u32, k: u32) -> u32 {
  return (n / 32u * (K / 16u) + k / 16u) * 64u + n % 32u * 2u + k % 16u / 8u;
}
