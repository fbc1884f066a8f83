/** Draws token counts. In: what the scenario asks for; out: a function that gives the next count, a whole number >= 1. */
import type { Lengths as ScenarioLengths } from '../scenario/scenario.ts';
import { standardNormal } from './normal.ts';
import type { Rng } from './rng.ts';

export function lengthsOf(lengths: ScenarioLengths, rng: Rng): () => number {
  if (lengths.kind === 'fixed') return () => lengths.tokens;
  const { min, max } = lengths;
  if (lengths.kind === 'uniform') return () => min + rng.below(max - min + 1);
  const { mean, stddev } = lengths;
  return () => Math.min(max, Math.max(min, Math.round(mean + stddev * standardNormal(rng))));
}
