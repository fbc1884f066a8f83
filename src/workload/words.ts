/**
 * Words that are one token each under a tokenizer, from its own vocabulary: what prompts of an exact length are made of.
 *
 * `first` holds words that are one token at the start of a text, `next` those that are one token with a space before
 * them. A tokenizer of the usual kind never merges across the space, so a text of n such words has n tokens; prompts.ts
 * checks it all the same. Plain lower-case letters only: no server's JSON, template or moderation treats them specially.
 */
import type { Tokenizer } from '../../engine/models/tokenizer.ts';
import { BenchError } from '../errors.ts';

/** What prompts need of a tokenizer. */
export type WorkloadTokenizer = Pick<Tokenizer, 'name' | 'vocab' | 'encode' | 'decode'>;

export interface Words {
  first: string[];
  /** Each with its leading space. */
  next: string[];
}

/** Enough that prompts differ everywhere; few enough that finding them takes milliseconds. */
const WANTED = 4096;
const FEWEST = 16;

const found = new WeakMap<WorkloadTokenizer, Words>();

/** The words of a tokenizer, found once for each. Low ids first: these are the common tokens in a BPE vocabulary. */
export function wordsOf(tokenizer: WorkloadTokenizer): Words {
  const known = found.get(tokenizer);
  if (known) return known;
  const words: Words = { first: [], next: [] };
  for (let id = 0; id < tokenizer.vocab && (words.first.length < WANTED || words.next.length < WANTED); id++) {
    const text = tokenizer.decode([id]);
    const list = /^[a-z]{2,12}$/.test(text) ? words.first : /^ [a-z]{2,12}$/.test(text) ? words.next : null;
    if (list === null || list.length >= WANTED) continue;
    const ids = tokenizer.encode(text);
    if (ids.length === 1 && ids[0] === id) list.push(text);
  }
  if (words.first.length < FEWEST || words.next.length < FEWEST) {
    const have = `${words.first.length} that can start a text and ${words.next.length} after a space`;
    throw new BenchError('UNSUPPORTED', `the tokenizer "${tokenizer.name}" has too few one-token words: ${have}`, {
      hint: 'prompts of an exact length are made of such words; name another tokenizer in target.tokenizer',
    });
  }
  found.set(tokenizer, words);
  return words;
}
