/** s = x · Aᵀ for every row with an adapter, over that adapter's own rank, and not a word for the rows of the base model. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { LoraShape } from '../../../engine/kernels/matmul.ts';
import { shrink, shrinkConstants, shrinkGrid } from '../../../engine/kernels/shrink.ts';
import { type Batch, batchOfRows, makeAdapters, makeBatch, type TestAdapters } from './batches.ts';
import { makeLoraTensors } from './lora-tensors.ts';
import { floats, randomFrom } from './random.ts';
import { runKernel } from './run-kernel.ts';
import { expectShrunk } from './shrunk.ts';

const RANKS = [1, 4, 7, 8, 16, 64];
let all: TestAdapters;
beforeAll(async () => {
  all = await makeAdapters(RANKS);
});

async function check(batch: Batch, k: number, slices: number): Promise<void> {
  const lora: LoraShape = {
    slices: Array.from({ length: slices }, (_, i) => 8 * i),
    ranks: 64,
    aAt: 24,
    bAt: 0,
    columnsAt: 1 << 16,
    columnWords: 0,
  };
  const random = randomFrom(k + slices);
  const tensors = makeLoraTensors(random, all.adapters, all, { k, n: 8 * slices, lora });
  const x = floats(random, batch.rows.length * k);
  const words = batch.rows.length * slices * lora.ranks;
  const [s] = await runKernel(
    shrink,
    shrinkConstants(k, lora),
    [batch.data, x, tensors.aPool, { words }],
    shrinkGrid(lora, batch.shape),
  );
  expectShrunk(batch, s!, { tensors, k, x, slices, ranks: lora.ranks });
}

describe.each([2, 62, 130, 576])('inputs of width %i', (k) => {
  it.each([1, 2, 3, 4, 5, 8, 9, 33])('%i rows over base and mixed ranks', async (rows) => {
    const { adapters } = all;
    await check(batchOfRows(rows, [adapters[2]!, null, adapters[4]!, adapters[0]!], rows), k, 1);
    await check(batchOfRows(rows, [adapters[5]!], rows), k, 1);
  });
});

it.each([1, 2, 3])('every rank in one batch, %i slices, prompts and decodes, base rows among them', async (slices) => {
  const { adapters } = all;
  const batch = makeBatch({
    decodes: [...adapters, null, adapters[3]!, null].map((adapter, i) => ({ adapter, context: 2 + i })),
    prefills: [
      { adapter: adapters[1]!, rows: 5 },
      { adapter: null, rows: 3 },
      { adapter: adapters[5]!, rows: 7 },
    ],
    chunk: { adapter: adapters[2]!, context: 0, rows: 6 },
  });
  expect(new Set(batch.rows.map(({ adapter }) => adapter)).size).toBe(RANKS.length + 1);
  await check(batch, 130, slices);
});

it('has nothing to do for a batch of base rows', () => {
  const { shape } = batchOfRows(9, [null]);
  expect(shape).toMatchObject({ tiles: 0, maxRank: 0, loraRows: 0 });
});
