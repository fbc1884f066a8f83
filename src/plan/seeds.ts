/**
 * The seed of a run, derived from the scenario's seed, what is sent, and the replicate.
 *
 * Model and adapters are left out on purpose: cells that differ only in these get the same lengths and arrival times
 * (common random numbers), so that a comparison between them is not blurred by different draws. Nothing depends on the
 * position in the sweep, so other cells may come and go. Prompts differ all the same, by the nonce of each run.
 */
import { sha256Of } from '../scenario/hash.ts';
import type { Cell } from './plan.ts';

/** A non-negative integer below 2^31. */
export function runSeed(
  scenarioSeed: number,
  cell: Pick<Cell, 'prompt' | 'output' | 'load'>,
  replicate: number,
): number {
  const { prompt, output, load } = cell;
  return Number.parseInt(sha256Of({ scenarioSeed, prompt, output, load, replicate }).slice(0, 8), 16) >>> 1;
}
