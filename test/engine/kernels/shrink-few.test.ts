/** s = x · Aᵀ as shrink.test.ts has it, by the kernel for few rows: the same words of s written, and no others. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { LoraShape } from '../../../engine/kernels/matmul.ts';
import {
  SHRINK_FEW,
  type ShrinkFewTile,
  shrinkFew,
  shrinkFewConstants,
  shrinkFewGrid,
  shrinkFewTakes,
} from '../../../engine/kernels/shrink-few.ts';
import { type Batch, batchOfRows, makeAdapters, makeBatch, type TestAdapters } from './batches.ts';
import { makeLoraTensors } from './lora-tensors.ts';
import { shrinkOracle } from './oracles.ts';
import { floats, randomFrom } from './random.ts';
import { asFloats, POISON, runKernel } from './run-kernel.ts';

const RANKS = [1, 4, 7, 8, 16, 64];
let all: TestAdapters;
beforeAll(async () => {
  all = await makeAdapters(RANKS);
});

async function check(batch: Batch, k: number, slices: number, tile: ShrinkFewTile = SHRINK_FEW): Promise<void> {
  const starts = Array.from({ length: slices }, (_, i) => 8 * i);
  const lora: LoraShape = { slices: starts, ranks: 64, aAt: 24, bAt: 0, columnsAt: 1 << 16, columnWords: 0 };
  expect(shrinkFewTakes(k, lora)).toBe(true);
  const random = randomFrom(k + slices);
  const tensors = makeLoraTensors(random, all.adapters, all, { k, n: 8 * slices, lora });
  const x = floats(random, batch.rows.length * k);
  const bound = [batch.data, x, tensors.aPool, { words: batch.rows.length * slices * lora.ranks }];
  const grid = shrinkFewGrid(lora, batch.shape, tile);
  const [s] = await runKernel(shrinkFew, shrinkFewConstants(k, lora, tile), bound, grid);
  const got = asFloats(s!);
  batch.rows.forEach(({ adapter }, row) => {
    for (let slice = 0; slice < slices; slice++) {
      for (let r = 0; r < lora.ranks; r++) {
        const at = (row * slices + slice) * lora.ranks + r;
        const where = `row ${row} (${adapter ? `rank ${adapter.rank}` : 'base'}), slice ${slice}, rank ${r}`;
        if (adapter && r < adapter.rank) {
          const { value, bound: most } = shrinkOracle(tensors, adapter, k, x, { row, slice, r });
          if (!(Math.abs(got[at]! - value) <= most))
            throw new Error(`${where}: ${got[at]} where ${value} ± ${most} is right`);
        } else if (adapter && r < 4 * Math.ceil(adapter.rank / 4)) {
          expect(got[at], where).toBe(0);
        } else {
          expect(s![at], `${where} is nobody's`).toBe(POISON);
        }
      }
    }
  });
}

// Less than a piece a lane, some lanes with one more than others, and more than all lanes take in one turn.
describe.each([8, 2056, 4352])('inputs of width %i', (k) => {
  it.each([1, 2, 3, 5, 9])('%i rows over base and mixed ranks', async (rows) => {
    const { adapters } = all;
    await check(batchOfRows(rows, [adapters[2]!, null, adapters[4]!, adapters[0]!], rows), k, 1);
  });
});

it.each([1, 2, 3])('every rank in one batch, %i slices, prompts and decodes, base rows among them', async (slices) => {
  const { adapters } = all;
  const batch = makeBatch({
    decodes: [...adapters, null, adapters[3]!, null].map((adapter, i) => ({ adapter, context: 2 + i })),
    prefills: [
      { adapter: adapters[1]!, rows: 5 },
      { adapter: null, rows: 3 },
    ],
  });
  expect(new Set(batch.rows.map(({ adapter }) => adapter)).size).toBe(RANKS.length + 1);
  await check(batch, 136, slices);
});

it.each<ShrinkFewTile>([
  { ranksEach: 1, threads: 64, unroll: 4 },
  { ranksEach: 2, threads: 128, unroll: 1 },
  { ranksEach: 4, threads: 64, unroll: 4 },
])('$ranksEach ranks a workgroup of $threads, $unroll pieces at a time', async (tile) => {
  const { adapters } = all;
  await check(batchOfRows(5, [adapters[2]!, adapters[0]!, adapters[5]!]), 2568, 2, tile);
});

it('takes whole pieces of 16 bytes', () => {
  const lora: LoraShape = { slices: [0], ranks: 8, aAt: 4, bAt: 0, columnsAt: 0, columnWords: 0 };
  expect(shrinkFewTakes(12, lora)).toBe(false);
  expect(shrinkFewTakes(16, { ...lora, aAt: 2 })).toBe(false);
});
