/** Tokens per chunk from each source, and that the shortcut for long texts counts as the real tokenizer does. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunkTokens } from '../../src/client/chunk-tokens.ts';

const texts = (...list: string[]) => list.map((text) => ({ text, running: null }));
const letters = (text: string) => text.length;

describe('chunkTokens', () => {
  it('takes the running count apart', () => {
    const chunks = [2, 3, 3, 7].map((running) => ({ text: 'x', running }));
    expect(chunkTokens(chunks, 7, letters)).toEqual({ tokens: [2, 1, 0, 4], source: 'continuous_usage' });
  });

  it('does not believe a running count that falls or is not on every chunk', () => {
    const falling = [3, 2].map((running) => ({ text: 'ab', running }));
    expect(chunkTokens(falling, 4, letters).source).toBe('tokenizer');
    expect(chunkTokens([...texts('ab'), { text: 'c', running: 3 }], 3, null).source).toBe('unknown');
  });

  it('counts the growth of the text so far', () => {
    expect(chunkTokens(texts('ab', '', 'c'), null, letters)).toEqual({ tokens: [2, 0, 1], source: 'tokenizer' });
  });

  it('adds nothing while a longer text takes fewer tokens than before', () => {
    const counts: Record<string, number> = { a: 1, ab: 2, abc: 1, abcd: 3 };
    const count = (text: string) => counts[text] as number;
    expect(chunkTokens(texts('a', 'b', 'c', 'd'), null, count).tokens).toEqual([1, 1, 0, 1]);
  });

  it('counts one each where the server counted as many as there were chunks, else knows nothing', () => {
    expect(chunkTokens(texts('a', 'b'), 2, null)).toEqual({ tokens: [1, 1], source: 'one_per_chunk' });
    expect(chunkTokens(texts('a', 'b'), 3, null)).toEqual({ tokens: [null, null], source: 'unknown' });
    expect(chunkTokens(texts('a', 'b'), null, null).source).toBe('unknown');
    expect(chunkTokens([], 0, letters)).toEqual({ tokens: [], source: 'unknown' });
  });

  it("gives Llama 3's tokenizer's own count of the whole text, however long", async () => {
    const { default: tokenizer } = await import('llama3-tokenizer-js');
    const count = (text: string) => tokenizer.encode(text, { bos: false, eos: false }).length;
    const word = fc.constantFrom(
      'the',
      ' adapter',
      ' 漢字',
      ' naïve',
      '123',
      ' 42',
      '\n\n',
      '  ',
      "'s",
      '-',
      ' serves',
      ' 🎂',
      ',',
      ' A',
      ' x',
    );
    fc.assert(
      fc.property(fc.array(word, { minLength: 100, maxLength: 400 }), (words) => {
        const { tokens } = chunkTokens(texts(...words), null, count);
        // Exact but for what a fall in the count leaves behind, which the growth counts once more.
        const sum = tokens.reduce((total: number, n) => total + (n as number), 0);
        let highest = 0;
        let text = '';
        const direct = words.map((piece) => {
          text += piece;
          const total = count(text);
          const added = Math.max(0, total - highest);
          highest = Math.max(highest, total);
          return added;
        });
        expect(tokens).toEqual(direct);
        expect(sum).toBe(highest);
      }),
      { numRuns: 8 },
    );
  });
});
