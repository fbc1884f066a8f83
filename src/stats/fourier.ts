/**
 * The discrete Fourier transform of a power of two of points, in place. In: real and imaginary parts. Out: the same arrays,
 * transformed; forwards, without scaling. O(n log n).
 *
 * Cooley & Tukey (1965), "An Algorithm for the Machine Calculation of Complex Fourier Series".
 */

/** @throws RangeError when the length is no power of two, or the parts differ in length */
export function transform(real: Float64Array, imaginary: Float64Array): void {
  const n = real.length;
  if (n === 0 || (n & (n - 1)) !== 0 || imaginary.length !== n) {
    throw new RangeError(`a transform takes a power of two of points, not ${n} and ${imaginary.length}`);
  }
  reorder(real, imaginary);
  for (let size = 2; size <= n; size *= 2) {
    const half = size / 2;
    const cosines = Float64Array.from({ length: half }, (_, i) => Math.cos((-2 * Math.PI * i) / size));
    const sines = Float64Array.from({ length: half }, (_, i) => Math.sin((-2 * Math.PI * i) / size));
    for (let start = 0; start < n; start += size) {
      for (let i = 0; i < half; i++) {
        const a = start + i;
        const b = a + half;
        const [cos, sin] = [cosines[i] as number, sines[i] as number];
        const [re, im] = [real[b] as number, imaginary[b] as number];
        const x = re * cos - im * sin;
        const y = re * sin + im * cos;
        real[b] = (real[a] as number) - x;
        imaginary[b] = (imaginary[a] as number) - y;
        real[a] = (real[a] as number) + x;
        imaginary[a] = (imaginary[a] as number) + y;
      }
    }
  }
}

/** Puts every point where the bits of its place, read backwards, say. */
function reorder(real: Float64Array, imaginary: Float64Array): void {
  const n = real.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; (j & bit) !== 0; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i >= j) continue;
    const [re, im] = [real[i] as number, imaginary[i] as number];
    real[i] = real[j] as number;
    imaginary[i] = imaginary[j] as number;
    real[j] = re;
    imaginary[j] = im;
  }
}
