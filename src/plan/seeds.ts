/**
 * The seed of a run, derived from the scenario's seed, what is sent, and the replicate.
 *
 * Model and adapters are left out on purpose: cells that differ only in these get the same lengths and arrival times
 * (common random numbers), so that a comparison between them is not blurred by different draws. Nothing depends on the
 * position in the sweep, so other cells may come and go. Prompts differ all the same, by the nonce of each run;
 * prompts that a scenario wants reused have a seed of their own, which leaves out all but their lengths.
 */
import { sha256Of } from '../scenario/hash.ts';
import type { Cell, Lengths, PromptFile } from './plan.ts';

/** A non-negative integer below 2^31. */
export function runSeed(
  scenarioSeed: number,
  cell: Pick<Cell, 'prompt' | 'output' | 'load'>,
  replicate: number,
): number {
  const { output, load } = cell;
  const { lengths, reuse, file } = cell.prompt;
  return seedOf({ scenarioSeed, prompt: { lengths, reuse, file: file?.hash }, output, load, replicate });
}

/** The seed of prompts that are to be the same in every run and in every cell with these lengths, or of this file. */
export function reusedPromptsSeed(scenarioSeed: number, lengths: Lengths, file?: PromptFile): number {
  return seedOf({ scenarioSeed, reusedPrompts: lengths, file: file?.hash });
}

const seedOf = (what: object): number => Number.parseInt(sha256Of(what).slice(0, 8), 16) >>> 1;
