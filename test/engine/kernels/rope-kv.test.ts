/** q, k turned by their position, and k, v written to the sequence's own blocks and nowhere else. */
import { describe, it } from 'vitest';
import { type AttentionShape, attentionConstants, ropeKv, ropeKvGrid } from '../../../engine/kernels/attention.ts';
import { type Geometry, geometryOf } from '../../../engine/models/geometry.ts';
import { angleTable, frequencies } from '../../../engine/transformer/rope.ts';
import { type Batch, makeBatch } from './batches.ts';
import { expectClose } from './close-to.ts';
import { ropeOracle } from './oracles.ts';
import { floats, randomFrom } from './random.ts';
import { asFloats, runKernel } from './run-kernel.ts';
import { cacheOf, expectCache } from './written-cache.ts';

const SHAPES: Omit<AttentionShape, 'blockSize'>[] = [
  { heads: 1, kvHeads: 1, headDim: 64 },
  { heads: 3, kvHeads: 1, headDim: 64 },
  { heads: 9, kvHeads: 3, headDim: 64 },
  { heads: 4, kvHeads: 2, headDim: 128 },
];

const batches: Record<string, () => Batch> = {
  'one decode': () => makeBatch({ decodes: [{ context: 200 }], blocks: 15 }),
  'one prompt token': () => makeBatch({ prefills: [{ rows: 1 }], blocks: 3 }),
  'prompts and decodes': () =>
    makeBatch({
      decodes: [{ context: 15 }, { context: 16 }, { context: 63 }, { context: 64 }],
      prefills: [{ rows: 17 }, { rows: 3 }],
      seed: 3,
      blocks: 24,
    }),
  'a prompt going on': () =>
    makeBatch({ decodes: [{ context: 33 }], chunk: { context: 30, rows: 9 }, seed: 4, blocks: 8 }),
};

describe.each(SHAPES)('$heads heads, $kvHeads of KV, of $headDim', (shape) => {
  it.each(Object.keys(batches))('%s', async (name) => {
    const batch = batches[name]!();
    const { rows } = batch;
    const { heads, kvHeads, headDim } = shape;
    const geometry: Geometry = { ...(geometryOf('llama-3.2-1b') as Geometry), ...shape };
    const qkv = floats(randomFrom(7), rows.length * (heads + 2 * kvHeads) * headDim);
    const positions = 1 + Math.max(...rows.map(({ position }) => position));
    const cacheWords = (batch.totalBlocks * kvHeads * batch.blockSize * headDim) / 2;
    const whole = { ...shape, blockSize: batch.blockSize };
    const [q, k, v] = await runKernel(
      ropeKv,
      attentionConstants(whole),
      [
        batch.data,
        qkv,
        angleTable(geometry, positions),
        { words: rows.length * heads * headDim },
        { words: cacheWords },
        { words: cacheWords },
      ],
      ropeKvGrid(whole, rows.length),
    );
    const want = ropeOracle(rows, shape, qkv, frequencies(geometry));
    expectClose(asFloats(q!), want.q, 'q');
    expectCache(k!, cacheOf(batch, shape, want.k), 'k cache');
    expectCache(v!, cacheOf(batch, shape, want.v), 'v cache');
  });
});
