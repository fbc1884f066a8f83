/** Paged attention at the positions where blocks and strides of 64 begin and end. What no row may see is NaN in the cache. */
import { describe, it } from 'vitest';
import {
  type AttentionShape,
  attention,
  attentionConstants,
  attentionGrid,
} from '../../../engine/kernels/attention.ts';
import { type Batch, makeBatch } from './batches.ts';
import { expectClose } from './close-to.ts';
import { makeCache } from './kv-cache.ts';
import { attentionOracle } from './oracles.ts';
import { floats, randomFrom } from './random.ts';
import { asFloats, runKernel } from './run-kernel.ts';

type Shape = Omit<AttentionShape, 'blockSize'>;
const SHAPES: Shape[] = [
  { heads: 1, kvHeads: 1, headDim: 64 },
  { heads: 9, kvHeads: 3, headDim: 64 },
  { heads: 8, kvHeads: 2, headDim: 128 },
];

const batches: Record<string, () => Batch> = {
  // A prompt of one token is position 0.
  'positions 0, 1, 15, 16, 63, 64, 65 and 200': () =>
    makeBatch({
      decodes: [1, 15, 16, 63, 64, 65, 200].map((context) => ({ context })),
      prefills: [{ rows: 1 }],
      seed: 2,
    }),
  'a prompt of 70 and decodes': () =>
    makeBatch({ decodes: [{ context: 40 }, { context: 3 }], prefills: [{ rows: 70 }], seed: 3 }),
  'a prompt going on at 61': () => makeBatch({ decodes: [{ context: 129 }], chunk: { context: 61, rows: 7 }, seed: 4 }),
  'one row': () => makeBatch({ decodes: [{ context: 130 }], seed: 5 }),
};

describe.each(SHAPES)('$heads heads, $kvHeads of KV, of $headDim', (shape) => {
  it.each(Object.keys(batches))('%s', async (name) => {
    const batch = batches[name]!();
    const { rows } = batch;
    const whole = { ...shape, blockSize: batch.blockSize };
    const width = shape.heads * shape.headDim;
    const q = floats(randomFrom(11), rows.length * width);
    const k = makeCache(batch, shape, 12);
    const v = makeCache(batch, shape, 13);
    const [o] = await runKernel(
      attention,
      attentionConstants(whole),
      [batch.data, q, k.words, v.words, { words: rows.length * width }],
      attentionGrid(whole, rows.length),
    );
    const place = (i: number) =>
      `position ${rows[Math.floor(i / width)]?.position}, head ${Math.floor((i % width) / shape.headDim)}`;
    expectClose(asFloats(o!), attentionOracle(rows, shape, q, k.element, v.element), 'o', place);
  });
});
