/**
 * Prompts of an exact number of tokens. In: a seed, a nonce and the request's number; out: text that the tokenizer turns
 * into exactly so many tokens, checked by encoding it.
 *
 * The nonce goes into every token from the first on, because servers keep prefixes of earlier prompts: a prompt that
 * differs only at its end would be answered from a cache. Within a run the first token differs for every request, too,
 * as long as there are words left. Length, order and everything else of the workload stay those of the seed.
 */
import { createHash } from 'node:crypto';
import { BenchError } from '../errors.ts';
import { rngOf } from './rng.ts';
import { type WorkloadTokenizer, wordsOf } from './words.ts';

export interface PromptSource {
  /** Text of exactly `tokens` tokens (at least 1). `stream` keeps phases apart; `i` is the request's number in it. */
  prompt(stream: string, i: number, tokens: number): string;
}

/** Attempts to repair the length before a tokenizer is given up; each changes the text where it was wrong. */
const ATTEMPTS = 64;

/** `nonce` null: the same prompts in every run of the seed. */
export function promptsOf(seed: number, nonce: string | null, tokenizer: WorkloadTokenizer): PromptSource {
  const { first, next } = wordsOf(tokenizer);
  const key = nonce === null ? 'reuse' : `nonce ${nonce}`;

  // Request numbers walk through the first words in steps that share no factor with their number, from a place that the
  // nonce gives: no first word comes twice before all have come.
  const stride = coprimeStep(first.length);
  const firstWord = (stream: string, i: number): string => {
    const start = createHash('sha256').update(`${seed} ${key} ${stream}`).digest().readUInt32LE(0) % first.length;
    return first[(start + i * stride) % first.length]!;
  };

  return {
    prompt(stream, i, tokens) {
      const rng = rngOf(seed, key, stream, i);
      const words = [firstWord(stream, i)];
      while (words.length < tokens) words.push(next[rng.below(next.length)]!);
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const text = words.join('');
        const excess = tokenizer.encode(text).length - tokens;
        if (excess === 0) return text;
        // Words that are not one token each beside their neighbours: shed or add as many as the count is off, and put
        // another word at the end, lest the same text come round again.
        const wanted = Math.max(1, words.length - excess);
        words.length = Math.min(words.length, wanted) - 1;
        while (words.length < wanted) {
          words.push(words.length === 0 ? first[rng.below(first.length)]! : next[rng.below(next.length)]!);
        }
      }
      throw new BenchError(
        'UNSUPPORTED',
        `no text of exactly ${tokens} tokens was found for the tokenizer "${tokenizer.name}" in ${ATTEMPTS} attempts`,
      );
    },
  };
}

/** A step near the golden section of n that shares no factor with it, so that neighbours start far apart. */
function coprimeStep(n: number): number {
  let step = Math.max(1, Math.round(n * 0.618));
  while (greatestCommonDivisor(step, n) !== 1) step++;
  return step;
}

const greatestCommonDivisor = (a: number, b: number): number => (b === 0 ? a : greatestCommonDivisor(b, a % b));
