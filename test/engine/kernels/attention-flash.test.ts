/**
 * Attention of prompts, whole, in chunks and among decodes, around the ends of tiles of queries and of keys, in the tiles of
 * devices with much workgroup memory and with little. What no row may see is NaN in the cache.
 */
import { describe, expect, it } from 'vitest';
import type { AttentionShape } from '../../../engine/kernels/attention.ts';
import {
  attentionFlash,
  attentionFlashConstants,
  attentionFlashGrid,
  flashBytes,
  flashTile,
} from '../../../engine/kernels/attention-flash.ts';
import { testDevice } from '../../support/device.ts';
import { type Batch, makeBatch } from './batches.ts';
import { expectClose, partOf } from './close-to.ts';
import { makeCache } from './kv-cache.ts';
import { attentionOracle } from './oracles.ts';
import { floats, randomFrom } from './random.ts';
import { asFloats, runKernel } from './run-kernel.ts';

type Shape = Omit<AttentionShape, 'blockSize'>;
/** Groups of 1, 3 and 8 query heads, the last of them two workgroups' work. */
const SHAPES: Shape[] = [
  { heads: 2, kvHeads: 2, headDim: 64 },
  { heads: 6, kvHeads: 2, headDim: 64 },
  { heads: 8, kvHeads: 1, headDim: 128 },
];
const SMALLEST = 16_384;
const { maxWorkgroupBytes } = (await testDevice()).facts;

const batches: Record<string, () => Batch> = {
  'prompts of 2, 15, 16, 17 and 33, and decodes': () =>
    makeBatch({
      decodes: [{ context: 40 }, { context: 3 }],
      prefills: [{ rows: 2 }, { rows: 15 }, { rows: 16 }, { rows: 17 }, { rows: 33 }],
      seed: 3,
    }),
  'a prompt going on at 29': () => makeBatch({ decodes: [{ context: 9 }], chunk: { context: 29, rows: 20 }, seed: 4 }),
};

async function attend(batch: Batch, shape: Shape, bytes: number, rows: 'prompts' | 'all') {
  const whole = { ...shape, blockSize: batch.blockSize };
  const words = batch.rows.length * shape.heads * shape.headDim;
  const q = floats(randomFrom(11), words);
  const k = makeCache(batch, shape, 12);
  const v = makeCache(batch, shape, 13);
  const tile = flashTile(shape, { maxWorkgroupBytes: bytes });
  const [o] = await runKernel(
    attentionFlash(whole, tile),
    attentionFlashConstants(whole, rows),
    [batch.data, q, k.words, v.words, { words }],
    attentionFlashGrid(whole, tile, batch.shape, rows),
  );
  return { o: asFloats(o!), want: attentionOracle(batch.rows, shape, q, k.element, v.element) };
}

describe.each(SHAPES)('$heads heads, $kvHeads of KV, of $headDim', (shape) => {
  it.each(Object.keys(batches))('%s', async (name) => {
    const batch = batches[name]!();
    const width = shape.heads * shape.headDim;
    const { o, want } = await attend(batch, shape, maxWorkgroupBytes, 'all');
    const place = (i: number) =>
      `position ${batch.rows[Math.floor(i / width)]?.position}, head ${Math.floor((i % width) / shape.headDim)}`;
    expectClose(o, want, 'o', place);
  });
});

it('a prompt going on at 1,029', async () => {
  const batch = makeBatch({ decodes: [{ context: 9 }], chunk: { context: 1029, rows: 18 }, seed: 4 });
  const { o, want } = await attend(batch, SHAPES[0]!, maxWorkgroupBytes, 'all');
  expectClose(o, want, 'o');
});

it('with the least workgroup memory, too', async () => {
  const batch = batches['prompts of 2, 15, 16, 17 and 33, and decodes']!();
  const { o, want } = await attend(batch, SHAPES[1]!, SMALLEST, 'all');
  expectClose(o, want, 'o');
});

it('leaves decodes alone when only prompts are asked for', async () => {
  const batch = batches['prompts of 2, 15, 16, 17 and 33, and decodes']!();
  const shape = SHAPES[0]!;
  const width = shape.heads * shape.headDim;
  const { o, want } = await attend(batch, shape, maxWorkgroupBytes, 'prompts');
  const decoding = new Set(batch.step.parts.filter(({ count }) => count === 1).map(({ sequence }) => sequence));
  expect(decoding.size).toBe(2);
  batch.rows.forEach(({ sequence }, row) => {
    const [from, to] = [row * width, (row + 1) * width];
    const got = o.subarray(from, to);
    if (decoding.has(sequence)) expect(got.every(Number.isNaN), `row ${row} is written`).toBe(true);
    else expectClose(got, partOf(want, from, to), `row ${row}`);
  });
});

it('takes the largest tile that fits', () => {
  const of = (heads: number, kvHeads: number, headDim: number, bytes: number) =>
    flashTile({ heads, kvHeads, headDim }, { maxWorkgroupBytes: bytes });
  expect(of(32, 8, 128, 49_152)).toEqual({ rows: 16, heads: 4 });
  expect(of(64, 8, 128, 49_152)).toEqual({ rows: 16, heads: 4 });
  expect(of(64, 8, 128, 32_768)).toEqual({ rows: 8, heads: 4 });
  expect(of(9, 3, 64, 32_768)).toEqual({ rows: 16, heads: 3 });
  expect(of(32, 32, 128, 49_152)).toEqual({ rows: 16, heads: 1 });
  for (const headDim of [64, 128]) {
    for (const [heads, kvHeads] of [
      [8, 1],
      [9, 3],
      [4, 4],
    ] as const) {
      const tile = of(heads, kvHeads, headDim, SMALLEST);
      expect(flashBytes({ headDim }, tile)).toBeLessThanOrEqual(SMALLEST);
    }
  }
});
