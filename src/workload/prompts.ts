/**
 * Prompts of an exact number of tokens. In: a seed, a nonce and the request's number; out: text that the tokenizer turns
 * into exactly so many tokens, checked by encoding it.
 *
 * The nonce goes into every token from the first on, because servers keep prefixes of earlier prompts: a prompt that
 * differs only at its end would be answered from a cache. Within a run the first token differs for every request, too,
 * as long as there are words left. Length, order and everything else of the workload stay those of the seed.
 *
 * Prompts that share a prefix begin with one text of its own exact length, nonce and all, and go on apart.
 */
import { createHash } from 'node:crypto';
import { exactText } from './exact-text.ts';
import { rngOf } from './rng.ts';
import { type WorkloadTokenizer, wordsOf } from './words.ts';

export interface PromptSource {
  /** Text of exactly `tokens` tokens (at least 1). `stream` keeps phases apart; `i` is the request's number in it. */
  prompt(stream: string, i: number, tokens: number): string;
  /** The same, beginning with `head`, a text of `headTokens` tokens, fewer than `tokens`. */
  promptAfter(head: string, headTokens: number, stream: string, i: number, tokens: number): string;
}

/** What makes texts those of one run, or of all: a part of every random stream they are drawn from. */
export const textKey = (nonce: string | null): string => (nonce === null ? 'reuse' : `nonce ${nonce}`);

/** `nonce` null: the same prompts in every run of the seed. */
export function promptsOf(seed: number, nonce: string | null, tokenizer: WorkloadTokenizer): PromptSource {
  const { first, next } = wordsOf(tokenizer);
  const key = textKey(nonce);

  // Request numbers walk through the first words in steps that share no factor with their number, from a place that the
  // nonce gives: no first word comes twice before all have come.
  const stride = coprimeStep(first.length);
  const firstWord = (stream: string, i: number): string => {
    const start = createHash('sha256').update(`${seed} ${key} ${stream}`).digest().readUInt32LE(0) % first.length;
    return first[(start + i * stride) % first.length]!;
  };

  const filled = (head: string, words: string[], stream: string, i: number, count: number, tokens: number): string => {
    const rng = rngOf(seed, key, stream, i);
    while (words.length < count) words.push(next[rng.below(next.length)]!);
    return exactText({ head, words, tokens }, rng, tokenizer);
  };

  return {
    prompt: (stream, i, tokens) => filled('', [firstWord(stream, i)], stream, i, tokens, tokens),
    promptAfter: (head, headTokens, stream, i, tokens) => filled(head, [], stream, i, tokens - headTokens, tokens),
  };
}

/** A step near the golden section of n that shares no factor with it, so that neighbours start far apart. */
function coprimeStep(n: number): number {
  let step = Math.max(1, Math.round(n * 0.618));
  while (greatestCommonDivisor(step, n) !== 1) step++;
  return step;
}

const greatestCommonDivisor = (a: number, b: number): number => (b === 0 ? a : greatestCommonDivisor(b, a % b));
