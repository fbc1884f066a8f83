/** y = x * weight / rms(x) by the kernel for few rows, of all rows and of the sampled ones. */
import { expect, it } from 'vitest';
import { rmsnormGrid } from '../../../engine/kernels/rmsnorm.ts';
import { rmsnormWide, rmsnormWideConstants } from '../../../engine/kernels/rmsnorm-wide.ts';
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
  const constants = rmsnormWideConstants(hidden, eps, gather);
  const [y] = await runKernel(rmsnormWide, constants, bound, rmsnormGrid(sources.length));
  const want = rmsnormOracle(sources, hidden, eps, x, weight);
  const place = (i: number) => `row ${Math.floor(i / hidden)}, column ${i % hidden}`;
  expectClose(asFloats(y!), want, `${sources.length} rows of ${hidden}`, place);
}

// Fewer quads than lanes, as many, and some lanes with one more.
it.each([4, 64, 576, 1024, 1028])('normalises rows of width %i', async (hidden) => {
  for (const rows of [1, 3, 8]) await check(batchOfRows(rows, [null]), hidden, 1e-5, false);
});

it('adds eps under the root', () => check(batchOfRows(2, [null]), 64, 0.5, false));

it('gathers the sampled rows of a mixed batch', async () => {
  const batch = makeBatch({ decodes: [{ context: 5 }], prefills: [{ rows: 4 }], chunk: { context: 0, rows: 6 } });
  expect(batch.sampledRows).toEqual([0, 4]);
  await check(batch, 576, 1e-5, true);
});
