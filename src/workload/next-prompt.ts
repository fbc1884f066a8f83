/**
 * What a cell's requests say, one after the other: made of a given length, or from a file. In: a cell, the run's seeds and
 * nonce. Out: a function of the request's number.
 */
import type { Cell } from '../plan/plan.ts';
import { datasetPrompts } from './dataset-prompts.ts';
import { lengthsOf } from './lengths.ts';
import type { PromptSource } from './prompts.ts';
import { rngOf } from './rng.ts';
import { sharedPrefixes } from './shared-prefixes.ts';
import { tracePrompts } from './trace-prompts.ts';
import type { WorkloadTokenizer } from './words.ts';

export interface NextPrompt {
  text: string;
  tokens: number;
  /** null: the file doesn't say, or there is none. */
  outputTokens: number | null;
}

export interface PromptSeeds {
  /** Decides lengths and texts: the run's, or one that runs share where prompts are reused. */
  seed: number;
  /** null where prompts are reused. */
  nonce: string | null;
}

/** Called with 0, 1, 2, .. in turn, and with the adapter that the request names. */
export type PromptOf = (i: number, adapter: string | null) => NextPrompt;

export function nextPromptOf(
  cell: Cell,
  seeds: PromptSeeds,
  made: PromptSource,
  tokenizer: WorkloadTokenizer,
): PromptOf {
  const { file, lengths, sharedPrefix } = cell.prompt;
  if (file?.kind === 'dataset') return datasetPrompts(file, seeds, tokenizer);
  if (file?.kind === 'trace') return tracePrompts(file, seeds, made, tokenizer);
  if (lengths.kind === 'file') throw new TypeError('a cell has the lengths of a file, and no file');
  const tokensOf = lengthsOf(lengths, rngOf(seeds.seed, 'prompt lengths'));
  const prefixOf = sharedPrefix === undefined ? null : sharedPrefixes(cell, sharedPrefix, seeds.seed, made);
  return (i, adapter) => {
    const tokens = tokensOf();
    const text =
      prefixOf === null || sharedPrefix === undefined
        ? made.prompt('measure', i, tokens)
        : made.promptAfter(prefixOf(adapter), sharedPrefix.tokens, 'measure', i, tokens);
    return { text, tokens, outputTokens: null };
  };
}
