/**
 * Text of an exact number of tokens, made of words. In: words that should have so many, a head that stays as it is. Out: the
 * text, checked by encoding it; words at its end are changed until the count is right.
 */
import { BenchError } from '../errors.ts';
import type { Rng } from './rng.ts';
import { type WorkloadTokenizer, wordsOf } from './words.ts';

/** Attempts to repair the length before a tokenizer is given up; each changes the text where it was wrong. */
const ATTEMPTS = 64;

export interface Draft {
  /** What the text begins with; empty where the first word does. */
  head: string;
  /** The rest, in order; changed in place. */
  words: string[];
  tokens: number;
}

/** @throws BenchError UNSUPPORTED: no such text is found */
export function exactText({ head, words, tokens }: Draft, rng: Rng, tokenizer: WorkloadTokenizer): string {
  const { first, next } = wordsOf(tokenizer);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const text = head + words.join('');
    const excess = tokenizer.encode(text).length - tokens;
    if (excess === 0) return text;
    // Words that are not one token each beside their neighbours: shed or add as many as the count is off, and put
    // another word at the end, lest the same text come round again.
    const wanted = Math.max(1, words.length - excess);
    words.length = Math.max(0, Math.min(words.length, wanted) - 1);
    while (words.length < wanted) {
      const list = head === '' && words.length === 0 ? first : next;
      words.push(list[rng.below(list.length)]!);
    }
  }
  throw new BenchError(
    'UNSUPPORTED',
    `no text of exactly ${tokens} tokens was found for the tokenizer "${tokenizer.name}" in ${ATTEMPTS} attempts`,
  );
}
