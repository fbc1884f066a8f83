/**
 * Attention of decode rows, split and merged, at the positions where blocks, passes and pieces begin and end; the sums of lanes
 * once within subgroups and once through workgroup memory. What no row may see is NaN in the cache, and so are the pieces
 * before they are made.
 */
import { describe, expect, it } from 'vitest';
import type { AttentionShape } from '../../../engine/kernels/attention.ts';
import {
  attentionMerge,
  attentionMergeConstants,
  attentionMergeGrid,
  attentionSplit,
  attentionSplitConstants,
  attentionSplitGrid,
  MOST_SPLITS,
  pieceBytes,
  splitsOf,
  splitTeam,
} from '../../../engine/kernels/attention-split.ts';
import { testDevice } from '../../support/device.ts';
import { type Batch, makeBatch } from './batches.ts';
import { type Expected, expectClose, partOf } from './close-to.ts';
import { makeCache } from './kv-cache.ts';
import { attentionOracle } from './oracles.ts';
import { floats, randomFrom } from './random.ts';
import { asFloats, runKernel } from './run-kernel.ts';

type Shape = Omit<AttentionShape, 'blockSize'>;
/** Groups of 1, 3, 4 and 8 query heads. */
const SHAPES: Shape[] = [
  { heads: 2, kvHeads: 2, headDim: 64 },
  { heads: 6, kvHeads: 2, headDim: 64 },
  { heads: 8, kvHeads: 2, headDim: 128 },
  { heads: 8, kvHeads: 1, headDim: 128 },
];
const { subgroups } = (await testDevice()).facts;
/**
 * Sums through workgroup memory for the shapes at either end. Without subgroups on the device they are the only ones that are
 * run; the null backend compiles the others.
 */
const kinds = (shape: Shape) =>
  !subgroups ? [false] : [SHAPES[0], SHAPES.at(-1)].includes(shape) ? [true, false] : [true];

const decodes = (...contexts: number[]) => contexts.map((context) => ({ context }));
const batches: Record<string, () => Batch> = {
  'positions 0, 1, 15, 16, 31, 32, 33, 63, 64, 65 and 200': () =>
    makeBatch({ decodes: decodes(1, 15, 16, 31, 32, 33, 63, 64, 65, 200), prefills: [{ rows: 1 }], seed: 2 }),
  'one row at 1,100': () => makeBatch({ decodes: decodes(1100), seed: 3 }),
  'decodes around a prompt, whose rows stay as they are': () =>
    makeBatch({ decodes: decodes(129, 3), prefills: [{ rows: 20 }], seed: 4 }),
};

/** What is not a decode's is left as it was. */
function expectDecodesOnly({ step, rows }: Batch, width: number, o: Float32Array, want: Expected): void {
  const decoding = new Set(step.parts.filter(({ count }) => count === 1).map(({ sequence }) => sequence));
  rows.forEach(({ sequence, position }, row) => {
    const [from, to] = [row * width, (row + 1) * width];
    const got = o.subarray(from, to);
    if (decoding.has(sequence)) expectClose(got, partOf(want, from, to), 'o', (i) => `position ${position}, [${i}]`);
    else expect(got.every(Number.isNaN), `row ${row} is written`).toBe(true);
  });
}

describe.each(SHAPES)('$heads heads, $kvHeads of KV, of $headDim', (shape) => {
  describe.each(kinds(shape))('sums within a subgroup: %s', (within) => {
    it.each(Object.keys(batches))('%s', async (name) => {
      const batch = batches[name]!();
      const whole = { ...shape, blockSize: batch.blockSize };
      const width = shape.heads * shape.headDim;
      const words = batch.rows.length * width;
      const q = floats(randomFrom(11), words);
      const k = makeCache(batch, shape, 12);
      const v = makeCache(batch, shape, 13);
      const [pieces, direct] = await runKernel(
        attentionSplit(whole, splitTeam(shape.headDim, { subgroups: within ? subgroups : null })),
        attentionSplitConstants(whole),
        [batch.data, q, k.words, v.words, { words: pieceBytes(shape) / 4 }, { words }],
        attentionSplitGrid(whole, batch.shape),
      );
      let o = direct!;
      if (splitsOf(shape, batch.shape) > 1) {
        expect(direct!.every((word) => Number.isNaN(asFloats(Uint32Array.of(word))[0]))).toBe(true);
        [o] = (await runKernel(
          attentionMerge,
          attentionMergeConstants(whole),
          [batch.data, pieces!, { words }],
          attentionMergeGrid(whole, batch.shape),
        )) as [typeof o];
      }
      expectDecodesOnly(batch, width, asFloats(o), attentionOracle(batch.rows, shape, q, k.element, v.element));
    });
  });
});

it('makes no more pieces than keep a device busy, and none below 64 positions', () => {
  const of = (rows: number, longest: number) => splitsOf({ kvHeads: 8 }, { decodes: rows, longest });
  expect([of(1, 1), of(1, 64), of(1, 65), of(1, 2048), of(1, 8192)]).toEqual([1, 1, 2, 32, 128]);
  expect([of(32, 512), of(32, 8192), of(64, 8192), of(65, 8192), of(4096, 8192)]).toEqual([4, 4, 2, 1, 1]);
  for (const kvHeads of [1, 3, 8, 32]) {
    for (let rows = 1; rows < 2000; rows = Math.ceil(rows * 1.3)) {
      for (const longest of [1, 63, 64, 65, 1000, 131_072]) {
        const pieces = splitsOf({ kvHeads }, { decodes: rows, longest });
        if (pieces > 1) expect(rows * kvHeads * pieces).toBeLessThanOrEqual(MOST_SPLITS);
      }
    }
  }
});
