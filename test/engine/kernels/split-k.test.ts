/**
 * Partial sums on tensor cores, in every tile the device can choose and a few it would not, against float64.
 *
 * Behind x lie numbers, as those of earlier steps do in the engine; partial sums of rows beyond the batch must be 0 all the same.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import type { LoraShape } from '../../../engine/kernels/matmul.ts';
import { type SplitK, splitK, splitKConstants, splitKGrid, splitKTile } from '../../../engine/kernels/split-k.ts';
import {
  fits,
  type TensorCores,
  type TensorTile,
  tensorCoresOf,
  tensorTileKey,
} from '../../../engine/kernels/tensor-product.ts';
import {
  decodeColumns,
  encodeColumns,
  WEIGHT_FORMATS,
  type WeightLayout,
  widePack,
} from '../../../engine/kernels/weight-format.ts';
import { testDevice } from '../../support/device.ts';
import { type Batch, batchOfRows, makeAdapters, makeBatch, type TestAdapters } from './batches.ts';
import { expectClose, expected } from './close-to.ts';
import { makeLoraTensors } from './lora-tensors.ts';
import { floats, halves, randomFrom } from './random.ts';
import { asFloats, runKernel } from './run-kernel.ts';
import { expectShrunk } from './shrunk.ts';
import { LARGEST_HALF, tensorDot } from './tensor-oracle.ts';

const { facts } = await testDevice();
const cores = tensorCoresOf(facts);
const LAYOUTS: WeightLayout[] = WEIGHT_FORMATS.map((format) => ({ format, pack: widePack(format) }));
const F16 = LAYOUTS[0] as WeightLayout;

let all: TestAdapters;
beforeAll(async () => {
  all = await makeAdapters([1, 4, 7, 8, 16, 64]);
});

interface Tried {
  rows: number;
  k: number;
  n: number;
  layout: WeightLayout;
  x?: Float32Array<ArrayBuffer>;
}

/** W of that format, quantised from numbers of several magnitudes. */
export function makeWide(n: number, k: number, layout: WeightLayout) {
  const numbers = Float32Array.from(halves(randomFrom(n + k), n * k).values);
  const words = encodeColumns(numbers, n, k, layout);
  const values = decodeColumns(words, n, k, layout);
  return { words, at: (column: number, i: number) => values[column * k + i] as number };
}

async function check({ rows, k, n, layout, x: given }: Tried, how: SplitK): Promise<void> {
  const w = makeWide(n, k, layout);
  const x = given ?? floats(randomFrom(rows + k), rows * k);
  const xAndMore = new Float32Array(x.length + 64 * k).fill(7);
  xAndMore.set(x);
  const { tile, split } = how;
  const constants = splitKConstants({ k, n, lora: null }, how);
  const batch = batchOfRows(rows, [null]);
  const bound = [batch.data, w.words, xAndMore, { words: split * tile.rows * n }, new Uint32Array(4), { words: 4 }];
  const kernel = splitK(tile, layout, cores as TensorCores);
  const [partials] = await runKernel(kernel, constants, bound, splitKGrid({ n, lora: null }, how, batch.shape));
  const want = expected(split * tile.rows * n);
  const chunks = k / tile.depth;
  for (let part = 0; part < split; part++) {
    const [from, to] = [part, part + 1].map((p) => Math.floor((p * chunks) / split) * tile.depth) as [number, number];
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < n; column++) {
        const at = (part * tile.rows + row) * n + column;
        const { value, bound: error } = tensorDot({ x, k, w: w.at }, row, column, from, to);
        want.values[at] = value;
        want.bounds[at] = error;
      }
    }
  }
  const place = (i: number) =>
    `part ${Math.floor(i / n / tile.rows)}, row ${Math.floor(i / n) % tile.rows}, column ${i % n}`;
  expectClose(asFloats(partials!), want, `${layout.format}, ${tensorTileKey(tile)} in ${split}`, place);
}

/**
 * What is tried. A GPU runs the tile it would choose as well; a processor takes minutes to compile that one, as it unrolls each
 * product of matrices into its multiply-adds, so there the tiles are as small as the matrices allow.
 */
function tilesFor({ rows, k, n, layout }: Tried): SplitK[] {
  const { matrix } = cores as TensorCores;
  const rowsOf = Math.ceil(rows / 16) * 16;
  const small = { rows: rowsOf, columns: 64, subgroupRows: matrix.m, subgroupColumns: matrix.n, depth: 32 };
  const tall = { ...small, subgroupRows: Math.min(rowsOf, 2 * matrix.m), subgroupColumns: 2 * matrix.n, depth: 16 };
  const tiles: TensorTile[] = [
    { ...small, buffers: 1, direct: false },
    { ...tall, buffers: 2, direct: layout.format === 'f16' },
  ];
  const chosen = facts.software ? [] : [splitKTile(rows, { k, n, weights: layout }, cores as TensorCores)];
  return [
    ...tiles.filter((tile) => fits(tile, k, layout, cores as TensorCores)).map((tile) => ({ tile, split: 3 })),
    ...chosen.filter((one) => one !== null),
  ];
}

async function checkAll(tried: Tried): Promise<void> {
  const hows = tilesFor(tried);
  expect(hows.length).toBeGreaterThan(0);
  for (const how of hows) await check(tried, how);
}

/** The product beside shrinks is right, and s is x · Aᵀ, with nothing written that is nobody's. */
async function checkShrink(batch: Batch, slices: number): Promise<void> {
  const [k, n, rows] = [320, 128, batch.rows.length];
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
  const x = floats(random, rows * k);
  const w = makeWide(n, k, F16);
  const [how] = tilesFor({ rows, k, n, layout: F16 }) as [SplitK];
  const words = rows * slices * lora.ranks;
  const [partials, s] = await runKernel(
    splitK(how.tile, F16, cores as TensorCores),
    splitKConstants({ k, n, lora }, how),
    [batch.data, w.words, x, { words: how.split * how.tile.rows * n }, tensors.aPool, { words }],
    splitKGrid({ n, lora }, how, batch.shape),
  );
  expectShrunk(batch, s!, { tensors, k, x, slices, ranks: lora.ranks });
  const sums = asFloats(partials!);
  for (let row = 0; row < rows; row++) {
    const { value, bound } = tensorDot({ x, k, w: w.at }, row, n - 1);
    let sum = 0;
    for (let part = 0; part < how.split; part++) sum += sums[(part * how.tile.rows + row) * n + n - 1] as number;
    expect(Math.abs(sum - value)).toBeLessThanOrEqual(bound);
  }
}

describe.skipIf(!cores)('on a device with subgroup matrices (skipped on others: SwiftShader has none)', () => {
  const exact = (rows: number, k: number) => Float32Array.from(halves(randomFrom(rows), rows * k).values);

  describe.each(LAYOUTS)('$format', (layout) => {
    // Five chunks in three parts of unequal length; columns that do not fill a workgroup of the default tile.
    it.each([1, 5, 16, 17])('%i rows', (rows) => checkAll({ rows, k: 320, n: 128, layout }));

    it('an x that f16 holds, with the bound of f32 sums where the weights are f16', () =>
      checkAll({ rows: 9, k: 320, n: 128, layout, x: exact(9, 320) }));
  });

  describe.each([1, 2, 3])('with adapters, %i slices', (slices) => {
    it.each(['one adapter', 'all ranks and base rows, prompts and decodes'])('%s', async (name) => {
      const { adapters } = all;
      const batch =
        name === 'one adapter'
          ? batchOfRows(9, [adapters[4]!])
          : makeBatch({
              decodes: [...adapters, null, adapters[3]!].map((adapter, i) => ({ adapter, context: 2 + i })),
              prefills: [
                { adapter: adapters[1]!, rows: 7 },
                { adapter: null, rows: 3 },
                { adapter: adapters[5]!, rows: 9 },
              ],
            });
      await checkShrink(batch, slices);
    });
  });

  it.runIf(!facts.software)('64 rows of a wide matrix (a processor takes minutes to compile that)', () =>
    checkAll({ rows: 64, k: 4096, n: 384, layout: F16 }),
  );

  it('f16 weights 48 deep, no multiple of 32', () => checkAll({ rows: 7, k: 48, n: 128, layout: F16 }));

  it('numbers beyond f16 count as its largest, and give no infinity', () => {
    const x = Float32Array.from({ length: 2 * 320 }, (_, i) => [3e5, -1e30, 1, 65504][i % 4] as number);
    expect(Math.max(...x)).toBeGreaterThan(LARGEST_HALF);
    return checkAll({ rows: 2, k: 320, n: 128, layout: F16, x });
  });
});
