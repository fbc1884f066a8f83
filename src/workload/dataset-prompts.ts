/**
 * Prompts from a dataset. In: its entries, a seed and a nonce. Out: the next request's text with its tokens.
 *
 * Entries are drawn without replacement; when all have been sent, they come round in another order. Seven words of the nonce
 * and the end of a line come before each text (DATASET_NONCE_TOKENS), the same in a whole round: what the texts of a dataset
 * share is not hidden from a prefix cache, but no text is known from an earlier round, run or server. Reused prompts are sent
 * as they are.
 */

import { DATASET_NONCE_TOKENS } from '../plan/dataset-nonce.ts';
import type { DatasetFile } from '../scenario/prompt-files/entries.ts';
import type { PromptOf, PromptSeeds } from './next-prompt.ts';
import { textKey } from './prompts.ts';
import { rngOf } from './rng.ts';
import { type WorkloadTokenizer, wordsOf } from './words.ts';

export function datasetPrompts(
  { entries }: Pick<DatasetFile, 'entries'>,
  { seed, nonce }: PromptSeeds,
  tokenizer: WorkloadTokenizer,
): PromptOf {
  let order: number[] = [];
  let prefix = '';
  return (i) => {
    const place = i % entries.length;
    if (place === 0) {
      const round = i / entries.length;
      order = rngOf(seed, 'dataset order', round).shuffle(Array.from(entries, (_, k) => k));
      prefix = nonce === null ? '' : noncePrefix(seed, nonce, round, tokenizer);
    }
    const { text, promptTokens, outputTokens } = entries[order[place]!]!;
    if (prefix === '') return { text, tokens: promptTokens, outputTokens };
    const whole = prefix + text;
    return { text: whole, tokens: tokenizer.encode(whole).length, outputTokens };
  };
}

function noncePrefix(seed: number, nonce: string, round: number, tokenizer: WorkloadTokenizer): string {
  const { first, next } = wordsOf(tokenizer);
  const rng = rngOf(seed, textKey(nonce), 'dataset nonce', round);
  const words = [first[rng.below(first.length)]!];
  while (words.length < DATASET_NONCE_TOKENS - 1) words.push(next[rng.below(next.length)]!);
  return `${words.join('')}\n`;
}
