/** y = x * weight / rms(x), of all rows and of the sampled ones. */
import { expect, it } from 'vitest';
import { rmsnorm, rmsnormConstants, rmsnormGrid } from '../../../engine/kernels/rmsnorm.ts';
import { type Batch, batchOfRows, makeBatch } from './batches.ts';
import { expectClose } from './close-to.ts';
import { rmsnormOracle } from './oracles.ts';
import { floats, randomFrom } from './random.ts';
import { asFloats, runKernel } from './run-kernel.ts';

async function check(batch: Batch, hidden: number, eps: number, gather: boolean): Promise<void> {
  const random = randomFrom(hidden);
  const x = floats(random, batch.shape.rows * hidden);
  const weight = floats(random, hidden);
  const sources = gather ? batch.sampledRows : batch.rows.map((_, row) => row);
  const bound = [batch.data, x, weight, { words: sources.length * hidden }];
  const [y] = await runKernel(rmsnorm, rmsnormConstants(hidden, eps, gather), bound, rmsnormGrid(sources.length));
  const place = (i: number) => `row ${Math.floor(i / hidden)}, column ${i % hidden}`;
  expectClose(
    asFloats(y!),
    rmsnormOracle(sources, hidden, eps, x, weight),
    `${sources.length} rows of ${hidden}`,
    place,
  );
}

it.each([1, 2, 63, 64, 65, 200, 576])('normalises rows of width %i', async (hidden) => {
  for (const rows of [1, 2, 3, 8, 33]) await check(batchOfRows(rows, [null]), hidden, 1e-5, false);
});

it('adds eps under the root', () => check(batchOfRows(2, [null]), 64, 0.5, false));

it.each([1, 65, 576])('gathers the sampled rows of a mixed batch, width %i', async (hidden) => {
  const batch = makeBatch({
    decodes: [{ context: 5 }, { context: 9 }],
    prefills: [{ rows: 4 }, { rows: 1 }],
    chunk: { context: 0, rows: 6 },
  });
  expect(batch.sampledRows).toEqual([0, 1, 5, 6]);
  await check(batch, hidden, 1e-5, true);
});
