/**
 * y = finish(g ⊙ (x · Wᵀ + scale · s · Bᵀ) + bias) in tiles on tensor cores, against float64 that knows what f16 does to x.
 *
 * Padded columns of W, s of base rows and past an adapter's rank, pages that are nobody's and column words of adapters that
 * have none are NaN: none of them may count.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import type { MatmulShape } from '../../../engine/kernels/matmul.ts';
import {
  fits,
  type TensorCores,
  type TensorTile,
  tensorCoresOf,
  tensorTileKey,
} from '../../../engine/kernels/tensor-product.ts';
import { tiles, tilesConstants, tilesGrid, tilesTile } from '../../../engine/kernels/tiles.ts';
import {
  decodeColumns,
  encodeColumns,
  WEIGHT_FORMATS,
  type WeightLayout,
  widePack,
} from '../../../engine/kernels/weight-format.ts';
import { pagesFor } from '../../../engine/lora/slots.ts';
import { testDevice } from '../../support/device.ts';
import { type Batch, batchOfRows, makeAdapters, makeBatch, type TestAdapters } from './batches.ts';
import { expectClose } from './close-to.ts';
import { type LoraTensors, makeLoraTensors } from './lora-tensors.ts';
import { matmulOracle } from './oracles.ts';
import { floats, halves, randomFrom } from './random.ts';
import { asFloats, runKernel } from './run-kernel.ts';
import { tensorDot } from './tensor-oracle.ts';

const RANKS = [1, 4, 7, 8, 16, 64, 1, 7, 16];
const PLAIN = 6;
const { facts } = await testDevice();
const cores = tensorCoresOf(facts);
const LAYOUTS: WeightLayout[] = WEIGHT_FORMATS.map((format) => ({ format, pack: widePack(format) }));
const F16 = LAYOUTS[0] as WeightLayout;

let all: TestAdapters;
beforeAll(async () => {
  all = await makeAdapters(RANKS, (i) => i >= PLAIN);
});

const lora = (n: number, slices: number[]) => {
  const bAt = 40;
  const columnsAt = bAt + 4 * pagesFor(2 * RANKS.length + 1, 64) * n + 4;
  return { slices, ranks: 64, aAt: 0, bAt, columnsAt, columnWords: n + 12 };
};
const PLAIN_SHAPE: MatmulShape = { k: 128, n: 256, out: 200, finish: 'none', rows: 'all', weights: F16, lora: null };
const SHAPES: MatmulShape[] = [
  // q, k, v whose boundaries lie within a tile and at no multiple of 32.
  { ...PLAIN_SHAPE, lora: lora(256, [0, 68, 112]) },
  { ...PLAIN_SHAPE, out: 256, finish: 'residual', lora: lora(256, [0]) },
  { ...PLAIN_SHAPE, out: 100, finish: 'swiglu', lora: lora(256, [0, 128]) },
];

/** As small as the matrices allow on a processor (split-k.test.ts); a GPU takes its own choice as well. */
function tilesFor({ k, finish }: MatmulShape, rows: number, layout: WeightLayout): TensorTile[] {
  const { matrix } = cores as TensorCores;
  const subgroupColumns = finish === 'swiglu' ? 2 * matrix.n : matrix.n;
  const small = { rows: 32, columns: 64, subgroupRows: 16, subgroupColumns, depth: 32 };
  const shapes: TensorTile[] = [
    { ...small, buffers: 2, direct: false },
    { ...small, subgroupRows: matrix.m, depth: 16, buffers: 1, direct: true },
  ];
  const chosen = facts.software ? null : tilesTile(rows, { k, finish, weights: layout }, cores as TensorCores);
  const own = shapes.filter((tile) => fits(tile, k, layout, cores as TensorCores));
  return [...own, ...(chosen ? [chosen] : [])];
}

async function check(batch: Batch, shaped: MatmulShape, layout: WeightLayout, exact = false): Promise<void> {
  const shape = { ...shaped, weights: layout };
  const { k, n, out, finish } = shape;
  const sampled = shape.rows === 'sampled';
  const adapters = sampled ? batch.sampledRows.map(() => null) : batch.rows.map(({ adapter }) => adapter);
  const rows = adapters.length;
  const random = randomFrom(rows + k);
  const real = (column: number) => (finish === 'swiglu' ? column % (n / 2) : column) < out;
  const numbers = Float32Array.from(halves(randomFrom(n + k), n * k).values, (value, i) =>
    real(Math.floor(i / k)) ? value : Number.NaN,
  );
  const words = encodeColumns(numbers, n, k, layout);
  const weights = decodeColumns(words, n, k, layout);
  const w = (column: number, i: number) => weights[column * k + i] as number;
  const x = exact ? Float32Array.from(halves(random, rows * k).values) : floats(random, rows * k);
  const residual = floats(random, finish === 'residual' ? rows * out : 4);
  const tensors: LoraTensors | null =
    shape.lora && makeLoraTensors(random, all.adapters, all, { k, n, lora: shape.lora });
  const [slices, ranks] = [shape.lora?.slices.length ?? 0, shape.lora?.ranks ?? 0];
  const s = new Float32Array(Math.max(4, rows * slices * ranks)).fill(Number.NaN);
  batch.rows.forEach(({ adapter }, row) => {
    for (let slice = 0; adapter && slice < slices; slice++) {
      for (let r = 0; r < 4 * Math.ceil(adapter.rank / 4); r++) {
        s[(row * slices + slice) * ranks + r] = r < adapter.rank ? random.signed() : 0;
      }
    }
  });
  const want = matmulOracle(shape, adapters, {
    w,
    x,
    residual,
    s: (row, slice, r) => s[(row * slices + slice) * ranks + r] as number,
    tensors,
    product: (row, column) => tensorDot({ x, k, w }, row, column),
  });
  const tried = tilesFor(shape, rows, layout);
  expect(tried.length).toBeGreaterThan(0);
  for (const tile of tried) {
    const bound = [batch.data, words, x, { words: rows * out }, residual, s, tensors?.bPool ?? new Uint32Array(4)];
    const kernel = tiles(tile, layout, cores as TensorCores);
    const [y] = await runKernel(kernel, tilesConstants(shape), bound, tilesGrid(shape, tile, rows));
    const place = (i: number) => `row ${Math.floor(i / out)}, column ${i % out}`;
    expectClose(asFloats(y!), want, `${layout.format}, ${rows} rows, tile ${tensorTileKey(tile)}`, place);
  }
}

describe.skipIf(!cores)('on a device with subgroup matrices (skipped on others: SwiftShader has none)', () => {
  describe.each(LAYOUTS)('$format', (layout) => {
    it.each([1, 31, 32, 33, 70])('%i rows', (rows) => check(batchOfRows(rows, [null]), PLAIN_SHAPE, layout));

    it('an x that f16 holds, with the bound of f32 sums where the weights are f16', () =>
      check(batchOfRows(9, [null]), PLAIN_SHAPE, layout, true));
  });

  it('the sampled rows, where those are asked for', async () => {
    const batch = makeBatch({ decodes: [{ context: 5 }, { context: 9 }], prefills: [{ rows: 40 }] });
    expect(batch.shape).toMatchObject({ rows: 42, samples: 3 });
    await check(batch, { ...PLAIN_SHAPE, rows: 'sampled' }, F16);
  });

  describe.each(SHAPES)('with adapters: $finish, $out of $n columns, slices at $lora.slices', (shape) => {
    it.each([1, 33, 70])('%i rows over base and mixed ranks', async (rows) => {
      const { adapters } = all;
      await check(batchOfRows(rows, [adapters[2]!, null, adapters[4]!, adapters[0]!], rows), shape, F16);
    });

    it('all ranks, with and without columns, in one batch of prompts and decodes', async () => {
      const { adapters } = all;
      const batch = makeBatch({
        decodes: [...adapters, null, adapters[3]!].map((adapter, i) => ({ adapter, context: 2 + i })),
        prefills: [
          { adapter: adapters[5]!, rows: 21 },
          { adapter: null, rows: 2 },
          { adapter: adapters[8]!, rows: 35 },
        ],
      });
      await check(batch, shape, F16);
    });
  });
});
