/**
 * A product on tensor cores in float64, and how far a right computation may lie from it. In: x in f32, W's exact values. Out: a
 * Dot with its bound, for matmulOracle or alone.
 *
 * Three things move it. Sums are f32 in any order; tensor cores may cut instead of rounding, which is twice the error of a sum
 * of n products: 2·n·u·Σ|terms|, and twice that is allowed as elsewhere (oracles.ts). x is rounded to f16 first: WGSL leaves it
 * either neighbour, at most 2^-10 of it, and what is below f16's normal numbers may become 0 (2^-14). Quantised weights are
 * rounded likewise, once: q * scale in f16. Numbers that f16 holds exactly lose nothing, so with such an x and f16 weights the
 * bound is that of the sums alone, and would catch sums in f16.
 */

import { U } from './close-to.ts';
import { type Dot, dot } from './oracles.ts';

const HALF_STEP = 2 ** -10;
const SMALLEST = 2 ** -14;
export const LARGEST_HALF = 65504;

const halfHolds = (v: number): boolean => {
  if (v === 0) return true;
  const step = 2 ** (Math.max(-14, Math.floor(Math.log2(Math.abs(v)))) - 10);
  return Math.abs(v) <= LARGEST_HALF && Math.abs(v) >= SMALLEST && Number.isInteger(v / step);
};

export interface TensorInputs {
  x: Float32Array;
  /** Width of x. */
  k: number;
  /** W[column, i], exact. */
  w(column: number, i: number): number;
}

/** @param from, to the part of K that is summed; all of it by default */
export function tensorDot(
  { x, k, w }: TensorInputs,
  row: number,
  column: number,
  from = 0,
  to = k,
): Dot & { bound: number } {
  let rounding = 0;
  const { value, size } = dot(to - from, (i) => {
    const own = x[row * k + from + i] as number;
    const used = Math.min(LARGEST_HALF, Math.max(-LARGEST_HALF, own));
    const weight = w(column, from + i);
    const ofX = halfHolds(used) ? 0 : Math.max(HALF_STEP * Math.abs(used), Math.abs(used) < SMALLEST ? SMALLEST : 0);
    const ofW = halfHolds(weight)
      ? 0
      : Math.max(HALF_STEP * Math.abs(weight), Math.abs(weight) < SMALLEST ? SMALLEST : 0);
    rounding += ofX * Math.abs(weight) + ofW * Math.abs(used) + ofX * ofW;
    return used * weight;
  });
  return { value, size, bound: 4 * (to - from) * U * (size + rounding) + rounding };
}
