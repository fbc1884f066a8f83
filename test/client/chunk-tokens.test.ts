/** Tokens per chunk from each source, held against the server's usage, and that pieces count as the whole does. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadTokenizer, type Tokenizer } from '../../engine/models/tokenizer.ts';
import { runningTokens, type TokenBytes, uncountedTokens } from '../../src/client/chunk-tokens.ts';

const texts = (...list: string[]) => list.map((text) => ({ text, running: null }));
/** A token a letter; and tokens of these many bytes. */
const letters: TokenBytes = (text) => Array.from(text, (letter) => Buffer.byteLength(letter));
const cut =
  (...bytes: number[]): TokenBytes =>
  () =>
    bytes;

let tokenizer: Tokenizer;
const llama: TokenBytes = (text) => Array.from(tokenizer.encode(text), (id) => tokenizer.bytesOf(id).length);
beforeAll(async () => {
  tokenizer = await loadTokenizer('llama-3');
});

describe('runningTokens', () => {
  it('takes the running count apart', () => {
    const chunks = [2, 3, 3, 7].map((running) => ({ text: 'x', running }));
    expect(runningTokens(chunks)).toEqual({ tokens: [2, 1, 0, 4], source: 'continuous_usage' });
    expect(runningTokens([])).toEqual({ tokens: [], source: 'unknown' });
  });

  it('does not believe a running count that falls or is not on every chunk', () => {
    expect(runningTokens([3, 2].map((running) => ({ text: 'ab', running })))).toBe(null);
    expect(runningTokens([...texts('ab'), { text: 'c', running: 3 }])).toBe(null);
  });
});

describe('uncountedTokens', () => {
  it('gives each token to the chunk that brought its last byte', async () => {
    expect(await uncountedTokens(texts('ab', '', 'c'), null, letters)).toEqual({
      tokens: [2, 0, 1],
      source: 'tokenizer',
    });
    expect((await uncountedTokens(texts('a', 'bc', '', 'def', 'g'), null, cut(2, 1, 4))).tokens).toEqual([
      0, 2, 0, 0, 1,
    ]);
    expect((await uncountedTokens(texts('é', '漢字', ''), null, cut(2, 2, 1, 3))).tokens).toEqual([1, 3, 0]);
  });

  it('keeps its count where the server found as many', async () => {
    expect(await uncountedTokens(texts('ab', 'c'), 3, letters)).toEqual({ tokens: [2, 1], source: 'tokenizer' });
  });

  it("gives way where the server's count says that the tokenizer is another model's", async () => {
    expect(await uncountedTokens(texts('ab', 'c'), 2, letters)).toEqual({ tokens: [1, 1], source: 'one_per_chunk' });
    expect(await uncountedTokens(texts('ab', 'c'), 4, letters)).toEqual({ tokens: [null, null], source: 'unknown' });
  });

  it('without a tokenizer counts one each where that is the sum, else knows nothing', async () => {
    expect(await uncountedTokens(texts('a', 'b'), 2, null)).toEqual({ tokens: [1, 1], source: 'one_per_chunk' });
    expect(await uncountedTokens(texts('a', 'b'), 3, null)).toEqual({ tokens: [null, null], source: 'unknown' });
    expect((await uncountedTokens(texts('a', 'b'), null, null)).source).toBe('unknown');
  });

  it('does not cut up what is too long to be an answer', async () => {
    const cuts: number[] = [];
    const spy: TokenBytes = (text) => {
      cuts.push(text.length);
      return letters(text);
    };
    const huge = texts('x'.repeat(600_000), 'y'.repeat(600_000));
    expect(await uncountedTokens(huge, null, spy)).toEqual({ tokens: [null, null], source: 'unknown' });
    expect((await uncountedTokens(huge, 2, spy)).source).toBe('one_per_chunk');
    expect(cuts).toEqual([]);
    expect((await uncountedTokens(huge.slice(0, 1), null, spy)).tokens).toEqual([600_000]);
  });

  it("gives Llama 3's tokenizer's own cut of the whole text, however long", async () => {
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
    await fc.assert(
      fc.asyncProperty(fc.array(word, { minLength: 100, maxLength: 400 }), async (words) => {
        const { tokens } = await uncountedTokens(texts(...words), null, llama, async () => {});
        const ends = words.map((_, i) => Buffer.byteLength(words.slice(0, i + 1).join('')));
        const direct = words.map(() => 0);
        let end = 0;
        for (const bytes of Array.from(llama(words.join('')))) {
          end += bytes;
          direct[ends.findIndex((chunkEnd) => chunkEnd >= end)]!++;
        }
        expect(tokens).toEqual(direct);
      }),
      { numRuns: 8 },
    );
  });

  it('encodes each character once, and lets others run between small pieces', async () => {
    const words = Array.from({ length: 400 }, (_, i) => (i % 7 === 0 ? ', and' : ' latency'));
    const encoded: string[] = [];
    let pauses = 0;
    const spy: TokenBytes = (text) => {
      encoded.push(text);
      return letters(text);
    };
    await uncountedTokens(texts(...words), null, spy, async () => void pauses++);
    expect(encoded.join('')).toBe(words.join(''));
    expect(pauses).toBe(encoded.length);
    expect(Math.max(...encoded.map(({ length }) => length))).toBeLessThan(300);
  });
});
