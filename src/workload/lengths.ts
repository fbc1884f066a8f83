/** Draws token counts. In: what the scenario asks for; out: a function that gives the next count, a whole number >= 1. */
import type { Lengths } from '../plan/plan.ts';
import type { Rng } from './rng.ts';

export function lengthsOf(lengths: Lengths, rng: Rng): () => number {
  if (lengths.kind === 'fixed') return () => lengths.tokens;
  const { min, max } = lengths;
  if (lengths.kind === 'uniform') return () => min + rng.below(max - min + 1);
  const { mean, stddev } = lengths;
  return () => Math.min(max, Math.max(min, Math.round(mean + stddev * standardNormal(rng))));
}

/** Box-Muller's cosine branch. 1 - u, because the logarithm of u = 0 is not finite. */
const standardNormal = (rng: Rng): number =>
  Math.sqrt(-2 * Math.log(1 - rng.unit())) * Math.cos(2 * Math.PI * rng.unit());
