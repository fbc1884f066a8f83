import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadTokenizer, type Tokenizer } from '../../engine/models/tokenizer.ts';
import { promptsOf } from '../../src/workload/prompts.ts';
import { type WorkloadTokenizer, wordsOf } from '../../src/workload/words.ts';

let llama: Tokenizer;
beforeAll(async () => {
  llama = await loadTokenizer('llama-3');
});

describe("with Llama 3's tokenizer", () => {
  test('every prompt has exactly the tokens asked for, from 1 up, with or without surrounding space trimmed', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.string({ maxLength: 8 }),
        fc.nat(10_000),
        fc.integer({ min: 1, max: 400 }),
        (seed, nonce, i, n) => {
          const text = promptsOf(seed, nonce, llama).prompt('measure', i, n);
          expect(llama.encode(text)).toHaveLength(n);
          expect(text).toBe(text.trim());
          expect(text).toMatch(/^[a-z]+( [a-z]+)*$/);
        },
      ),
    );
  });

  test('the same seed, nonce and number give the same text', () => {
    const text = () => promptsOf(3, 'n', llama).prompt('measure', 5, 50);
    expect(text()).toBe(text());
  });

  test('another nonce changes the text from the first token on', () => {
    const first = (nonce: string, i: number) => llama.encode(promptsOf(3, nonce, llama).prompt('measure', i, 40))[0];
    const nonces = Array.from({ length: 50 }, (_, k) => `nonce-${k}`);
    const firsts = nonces.map((nonce) => first(nonce, 0));
    expect(new Set(firsts).size).toBeGreaterThan(45); // one of 4,096 words each: two alike are rare, not excluded

    const [a, b] = nonces.map((nonce) => llama.encode(promptsOf(3, nonce, llama).prompt('measure', 0, 200)));
    const alike = a!.filter((id, k) => id === b![k]).length;
    expect(alike).toBeLessThan(10);
  });

  test('within a run no two prompts start alike, nor do warm-up and measured ones share their text', () => {
    const prompts = promptsOf(3, 'n', llama);
    const firsts = Array.from({ length: 2000 }, (_, i) => prompts.prompt('measure', i, 1));
    expect(new Set(firsts).size).toBe(2000);
    expect(prompts.prompt('warmup', 0, 30)).not.toBe(prompts.prompt('measure', 0, 30));
  });

  test('without a nonce the text is that of the seed', () => {
    expect(promptsOf(3, null, llama).prompt('measure', 1, 20)).toBe(promptsOf(3, null, llama).prompt('measure', 1, 20));
    expect(promptsOf(3, null, llama).prompt('measure', 1, 20)).not.toBe(
      promptsOf(4, null, llama).prompt('measure', 1, 20),
    );
  });
});

/** Two-letter words and spaces; "ab ba" and the like become fewer or more tokens than their words. */
function oddTokenizer(rule: (words: string[]) => number): WorkloadTokenizer {
  const letters = 'abcdefghijklmnopqrstuvwxyz';
  const words = [...letters].flatMap((x) => [...letters].map((y) => x + y));
  const texts = [...words, ...words.map((word) => ` ${word}`)];
  const idOf = new Map(texts.map((text, id) => [text, id]));
  return {
    name: 'odd',
    vocab: texts.length,
    decode: (ids) => Array.from(ids, (id) => texts[id]).join(''),
    encode(text) {
      const single = idOf.get(text);
      if (single !== undefined) return Uint32Array.of(single);
      return new Uint32Array(rule(text.split(' ')));
    },
  };
}

describe('with a tokenizer that does not keep words apart', () => {
  test('the length is repaired when neighbours merge', () => {
    const merging = oddTokenizer(
      (words) => words.filter((word, i) => !(i > 0 && word < words[i - 1]! && word < 'fa')).length,
    );
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 60 }), (seed, n) => {
        expect(merging.encode(promptsOf(seed, 'n', merging).prompt('measure', 0, n))).toHaveLength(n);
      }),
    );
  });

  test('the length is repaired when words split', () => {
    const splitting = oddTokenizer((words) => words.reduce((sum, word) => sum + (word < 'cz' ? 2 : 1), 0));
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 2, max: 60 }), (seed, n) => {
        expect(splitting.encode(promptsOf(seed, 'n', splitting).prompt('measure', 0, n))).toHaveLength(n);
      }),
    );
  });

  test('a length that cannot be had is an error, not a wrong prompt', () => {
    const even = oddTokenizer((words) => 2 * words.length);
    expect(() => promptsOf(1, 'n', even).prompt('measure', 0, 7)).toThrow('no text of exactly 7 tokens');
  });

  test('a vocabulary without words is refused', () => {
    const bytes: WorkloadTokenizer = {
      name: 'bytes',
      vocab: 256,
      encode: (text) => Uint32Array.from(Buffer.from(text)),
      decode: (ids) => Buffer.from(Array.from(ids)).toString(),
    };
    expect(() => wordsOf(bytes)).toThrow('the tokenizer "bytes" has too few one-token words');
  });
});
