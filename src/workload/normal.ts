/** A draw from the standard normal distribution: Box-Muller's cosine branch. 1 - u, because the logarithm of 0 is not finite. */
import type { Rng } from './rng.ts';

export const standardNormal = (rng: Rng): number =>
  Math.sqrt(-2 * Math.log(1 - rng.unit())) * Math.cos(2 * Math.PI * rng.unit());
