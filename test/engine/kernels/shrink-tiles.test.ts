/** s = x · Aᵀ on tensor cores: for every row with an adapter over its own rank, and not a word for the rows of the base model. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { LoraShape } from '../../../engine/kernels/matmul.ts';
import {
  shrinkTile,
  shrinkTiles,
  shrinkTilesConstants,
  shrinkTilesGrid,
} from '../../../engine/kernels/shrink-tiles.ts';
import { type TensorCores, type TensorTile, tensorCoresOf } from '../../../engine/kernels/tensor-product.ts';
import { HEADER } from '../../../engine/scheduler/step-data.ts';
import { testDevice } from '../../support/device.ts';
import { type Batch, batchOfRows, makeAdapters, makeBatch, type TestAdapters } from './batches.ts';
import { makeLoraTensors } from './lora-tensors.ts';
import { floats, randomFrom } from './random.ts';
import { runKernel } from './run-kernel.ts';
import { expectShrunk } from './shrunk.ts';
import { tensorDot } from './tensor-oracle.ts';

const { facts } = await testDevice();
const cores = tensorCoresOf(facts);
let all: TestAdapters;
beforeAll(async () => {
  all = await makeAdapters([1, 4, 7, 8, 16, 64]);
});

/** As small as the matrices allow on a processor (split-k.test.ts); a GPU takes its own choice as well. */
function tilesFor(k: number): TensorTile[] {
  const { m, n } = (cores as TensorCores).matrix;
  const small = {
    rows: 16,
    columns: 32,
    subgroupRows: m,
    subgroupColumns: n,
    depth: 32,
    buffers: 1,
    direct: false,
  } as const;
  const chosen = facts.software ? null : shrinkTile(k, cores as TensorCores);
  return chosen ? [small, chosen] : [small];
}

async function check(batch: Batch, slices: number): Promise<void> {
  const k = 320;
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
  for (const tile of tilesFor(k)) {
    const [s] = await runKernel(
      shrinkTiles(tile, cores as TensorCores),
      shrinkTilesConstants(k, lora),
      [batch.data, tensors.aPool, x, { words }],
      shrinkTilesGrid(lora, tile, batch.shape),
    );
    const oracle: Parameters<typeof expectShrunk>[2]['oracle'] = (adapter, { row, slice, r }) =>
      tensorDot({ x, k, w: (_, i) => tensors.a(adapter, slice, r, i) }, row, 0);
    expectShrunk(batch, s!, { tensors, k, x, slices, ranks: lora.ranks, oracle });
  }
}

it('a step has its queries right behind its tiles, by which kernels count the tiles', () => {
  const batch = batchOfRows(33, [all.adapters[4]!, null, all.adapters[5]!]);
  expect(batch.data[HEADER.QUERIES_AT]! - batch.data[HEADER.TILES_AT]!).toBe(4 * batch.shape.tiles);
});

describe.skipIf(!cores)('on a device with subgroup matrices (skipped on others: SwiftShader has none)', () => {
  it.each([1, 15, 16, 17, 33, 70])('%i rows over base and mixed ranks', async (rows) => {
    const { adapters } = all;
    await check(batchOfRows(rows, [adapters[2]!, null, adapters[4]!, adapters[0]!], rows), 1);
    await check(batchOfRows(rows, [adapters[5]!], rows), 1);
  });

  it.each([2, 3])('every rank in one batch, %i slices, prompts and decodes, base rows among them', async (slices) => {
    const { adapters } = all;
    const batch = makeBatch({
      decodes: [...adapters, null, adapters[3]!, null].map((adapter, i) => ({ adapter, context: 2 + i })),
      prefills: [
        { adapter: adapters[1]!, rows: 21 },
        { adapter: null, rows: 3 },
        { adapter: adapters[5]!, rows: 38 },
      ],
    });
    await check(batch, slices);
  });
});
