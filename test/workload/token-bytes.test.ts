import { expect, it } from 'vitest';
import { loadTokenizer } from '../../engine/models/tokenizer.ts';
import { tokenBytesOf } from '../../src/workload/token-bytes.ts';

it('gives the bytes of each token, also of those that end inside a character', async () => {
  const tokenBytes = tokenBytesOf(await loadTokenizer('llama-3'));
  expect([...tokenBytes('the adapter, the')]).toEqual([3, 8, 1, 4]);
  for (const text of ['naïve 漢字 🎂🧁', '', '\n\n  x', 'ᚠᛇᚻ']) {
    expect(tokenBytes(text).reduce((sum, n) => sum + n, 0)).toBe(Buffer.byteLength(text));
  }
  expect(tokenBytes('ᚠ').length).toBeGreaterThan(1);
});
