/**
 * Prompts of a trace. In: its entries, a seed and a nonce. Out: the next request's text with its tokens.
 *
 * A hash id is a block of 512 tokens: wherever it stands it gives the same words, so that prompts that shared a prefix when
 * the trace was taken share one again, and a prefix cache sees what it saw then. The last block is cut to the prompt's
 * length. (The very first word of a prompt has no space before it, and so is another token than within a prompt; ids of a
 * trace name whole prefixes, and keep their place.) The nonce is in every block: no run finds the blocks of another. A trace
 * that is sent more than once, in a closed loop, has other blocks each time.
 */
import { TRACE_BLOCK_TOKENS, type TraceFile } from '../scenario/prompt-files/entries.ts';
import { exactText } from './exact-text.ts';
import type { PromptOf, PromptSeeds } from './next-prompt.ts';
import { type PromptSource, textKey } from './prompts.ts';
import { rngOf } from './rng.ts';
import { type WorkloadTokenizer, wordsOf } from './words.ts';

export function tracePrompts(
  { entries }: Pick<TraceFile, 'entries'>,
  { seed, nonce }: PromptSeeds,
  made: PromptSource,
  tokenizer: WorkloadTokenizer,
): PromptOf {
  const blocks = blocksOf(seed, textKey(nonce), tokenizer);
  return (i) => {
    const place = i % entries.length;
    const { promptTokens: tokens, outputTokens, hashIds } = entries[place]!;
    // Reused prompts are the same whenever their entry comes round.
    const round = nonce === null ? 0 : Math.floor(i / entries.length);
    const own = nonce === null ? place : i;
    const text = hashIds === null ? made.prompt('measure', own, tokens) : blocks({ ids: hashIds, tokens, round, own });
    return { text, tokens, outputTokens };
  };
}

function blocksOf(seed: number, key: string, tokenizer: WorkloadTokenizer) {
  const { first, next } = wordsOf(tokenizer);

  const wordsOfBlock = (id: number, round: number, count: number): string[] => {
    const rng = rngOf(seed, key, 'block', round, id);
    return Array.from({ length: count }, () => next[rng.below(next.length)]!);
  };

  return ({ ids, tokens, round, own }: { ids: readonly number[]; tokens: number; round: number; own: number }) => {
    const rng = rngOf(seed, key, 'rest', own);
    const blocks = ids.map((id, k) =>
      wordsOfBlock(id, round, Math.min(TRACE_BLOCK_TOKENS, tokens - k * TRACE_BLOCK_TOKENS)),
    );
    // What no id stands for: a trace may leave out the id of a block that is not full.
    const rest = tokens - blocks.reduce((sum, block) => sum + block.length, 0);
    if (rest > 0) blocks.push(Array.from({ length: rest }, () => next[rng.below(next.length)]!));
    blocks[0]![0] = first[rngOf(seed, key, 'block start', round, ids[0]!).below(first.length)]!;
    const words = blocks.pop()!;
    return exactText({ head: blocks.map((block) => block.join('')).join(''), words, tokens }, rng, tokenizer);
  };
}
