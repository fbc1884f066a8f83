/** Keys or values that a step's kernels wrote to the paged cache, against an oracle's: the rows' own places, and no other. */
import { expect } from 'vitest';
import { f16Value } from '../../../engine/lora/random-f16.ts';
import type { Batch } from './batches.ts';
import { type Expected, expectClose, expected } from './close-to.ts';
import { POISON } from './run-kernel.ts';

/** What the cache must hold, [block][kv head][position in block][headDim], NaN where nothing is written. */
export function cacheOf(
  batch: Batch,
  { kvHeads, headDim }: { kvHeads: number; headDim: number },
  want: Expected,
): Expected {
  const cache = expected(batch.totalBlocks * kvHeads * batch.blockSize * headDim);
  cache.values.fill(Number.NaN);
  batch.rows.forEach(({ sequence, position }, row) => {
    const block = sequence.blocks[Math.floor(position / batch.blockSize)] as number;
    for (let head = 0; head < kvHeads; head++) {
      const to = ((block * kvHeads + head) * batch.blockSize + (position % batch.blockSize)) * headDim;
      for (let i = 0; i < headDim; i++) {
        const value = want.values[(row * kvHeads + head) * headDim + i] as number;
        cache.values[to + i] = value;
        // One rounding to f16, to either neighbour as WGSL allows; what is below the normal numbers may become zero.
        cache.bounds[to + i] =
          (want.bounds[(row * kvHeads + head) * headDim + i] as number) + 2 ** -10 * Math.abs(value) + 2 ** -14;
      }
    }
  });
  return cache;
}

export function expectCache(words: Uint32Array, want: Expected, what: string): void {
  let written = 0;
  const halves = new Uint16Array(words.buffer, words.byteOffset, words.length * 2);
  const got = Float64Array.from(halves, (bits) => ((bits & 0x7c00) === 0 ? 0 : f16Value(bits)));
  for (let i = 0; i < words.length; i++) {
    if (!Number.isNaN(want.values[2 * i])) {
      written++;
      continue;
    }
    if (words[i] !== POISON) throw new Error(`${what}: word ${i} is written, though no row is there`);
    got.fill(0, 2 * i, 2 * i + 2);
    want.values.fill(0, 2 * i, 2 * i + 2);
  }
  expect(written).toBeGreaterThan(0);
  expectClose(got, want, what);
}
