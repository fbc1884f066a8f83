/**
 * The product for few rows against the float64 oracle, in every format and layout of W, with and without adapters, in the
 * tiles the engine chooses and in others that a GPU may be tuned to. Needs subgroups, which every software Vulkan device has.
 *
 * Padded columns of W, s of base rows, s past an adapter's rank, pages that are nobody's and the column words of adapters that
 * have none are NaN, as in matmul.test.ts: none of them may count.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type GemvTile,
  gemv,
  gemvBytes,
  gemvConstants,
  gemvGrid,
  gemvKey,
  gemvTakes,
  gemvTile,
} from '../../../engine/kernels/gemv.ts';
import { type MatmulShape, padColumns } from '../../../engine/kernels/matmul.ts';
import {
  decodeColumns,
  encodeColumns,
  type WeightFormat,
  type WeightLayout,
  widePack,
} from '../../../engine/kernels/weight-format.ts';
import { pagesFor } from '../../../engine/lora/slots.ts';
import { chosenDevice } from '../../support/device.ts';
import { type Batch, batchOfRows, makeAdapters, makeBatch, type TestAdapters } from './batches.ts';
import { expectClose } from './close-to.ts';
import { type LoraTensors, makeLoraTensors } from './lora-tensors.ts';
import { matmulOracle } from './oracles.ts';
import { floats, randomFrom } from './random.ts';
import { asFloats, POISON, runKernel } from './run-kernel.ts';

const PLAIN = [1, 4, 7, 8, 16, 64];
const COLUMNED = [1, 7, 16];
const RANKS = [...PLAIN, ...COLUMNED];

const FORMATS: readonly WeightFormat[] = ['f16', 'int8', 'int4'];
const F16: WeightLayout = { format: 'f16', pack: 8 };
const LAYOUTS: WeightLayout[] = FORMATS.flatMap((format) => [
  { format, pack: 1 },
  format === 'f16' ? F16 : { format, pack: widePack(format) },
]);

/** SwiftShader takes seconds to compile a tile of many sums, so it gets few of those here; other devices get all that are chosen. */
const quickly = chosenDevice().candidate === 'swiftshader';
const usualTile = (shape: MatmulShape, rows: number): GemvTile => {
  const tile = gemvTile(shape, rows);
  return quickly ? { ...tile, tm: 2, unroll: 1 } : tile;
};

let all: TestAdapters;
beforeAll(async () => {
  all = await makeAdapters(RANKS, (i) => i >= PLAIN.length);
});

/** W of `n` padded columns of which `real(column)` hold numbers; the words of the others are NaN, or have a NaN scale. */
function makeWeights(n: number, k: number, layout: WeightLayout, real: (column: number) => boolean) {
  const random = randomFrom(n + k);
  const given = Float32Array.from({ length: n * k }, () => random.signed() * 2 ** -random.below(4));
  const words = encodeColumns(given, n, k, layout);
  const values = decodeColumns(words, n, k, layout);
  // What differs between a matrix of ones and one of zeros in these columns is where their words lie.
  const filled = (value: number) =>
    Float32Array.from({ length: n * k }, (_, i) => (real(Math.floor(i / k)) ? 0 : value));
  const zeros = encodeColumns(filled(0), n, k, layout);
  encodeColumns(filled(1), n, k, layout).forEach((word, at) => {
    if (word !== zeros[at]) words[at] = POISON;
  });
  return { words, at: (column: number, i: number) => values[column * k + i] as number };
}

/** s as the shrink leaves it: zero up to the next four ranks, nothing (here NaN) beyond and for base rows. */
function makeShrunk(batch: Batch, slices: number, ranks: number) {
  const random = randomFrom(5);
  const s = new Float32Array(batch.rows.length * slices * ranks).fill(Number.NaN);
  const at = (row: number, slice: number, r: number) => (row * slices + slice) * ranks + r;
  batch.rows.forEach(({ adapter }, row) => {
    for (let slice = 0; adapter && slice < slices; slice++) {
      for (let r = 0; r < 4 * Math.ceil(adapter.rank / 4); r++)
        s[at(row, slice, r)] = r < adapter.rank ? random.signed() : 0;
    }
  });
  return { s, at: (row: number, slice: number, r: number) => s[at(row, slice, r)] as number };
}

async function check(batch: Batch, shape: MatmulShape, tiles = [usualTile(shape, batch.rows.length)]): Promise<void> {
  const { k, n, out, finish, weights: layout, lora } = shape;
  const sampled = shape.rows === 'sampled';
  const adapters = sampled ? batch.sampledRows.map(() => null) : batch.rows.map(({ adapter }) => adapter);
  const rows = adapters.length;
  const random = randomFrom(rows + k);
  const w = makeWeights(n, k, layout, (column) => (finish === 'swiglu' ? column % (n / 2) : column) < out);
  const x = floats(random, rows * k);
  const residual = floats(random, finish === 'residual' ? rows * out : 4);
  const tensors: LoraTensors | null = lora && makeLoraTensors(random, all.adapters, all, { k, n, lora });
  const shrunk = lora ? makeShrunk(batch, lora.slices.length, lora.ranks) : { s: new Float32Array(4), at: () => 0 };
  const want = matmulOracle(shape, adapters, { w: w.at, x, residual, s: shrunk.at, tensors });
  for (const tile of tiles) {
    const bound = [
      batch.data,
      w.words,
      x,
      { words: rows * out },
      residual,
      shrunk.s,
      tensors?.bPool ?? new Uint32Array(4),
    ];
    const [y] = await runKernel(gemv, gemvConstants(shape, tile), bound, gemvGrid(shape, tile, rows));
    const place = (i: number) => `row ${Math.floor(i / out)}, column ${i % out}`;
    expectClose(asFloats(y!), want, `${layout.format}/${layout.pack}, ${rows} rows, tile ${gemvKey(tile)}`, place);
  }
}

const plain = { rows: 'all', weights: F16, lora: null } as const;
const swigluColumns = (out: number): number => padColumns(2 * out);
/** Column words behind all pages, with a word of another projection before and some after those of each slot. */
const columnsBehind = (bAt: number, n: number) => {
  const pages = pagesFor(2 * RANKS.length + 1, 64);
  return { columnsAt: bAt + 4 * pages * n + 1, columnWords: n + 5 };
};

/** K of one block, of some, and of more than all lanes take in one turn. */
const BASE_SHAPES: MatmulShape[] = [
  { ...plain, k: 64, n: 128, out: 1, finish: 'none' },
  { ...plain, k: 192, n: 128, out: 97, finish: 'residual' },
  { ...plain, k: 1088, n: swigluColumns(50), out: 50, finish: 'swiglu' },
];

const LORA_SHAPES: MatmulShape[] = [
  // q, k, v whose boundaries lie within a workgroup's columns.
  {
    rows: 'all',
    k: 64,
    n: 256,
    out: 150,
    finish: 'none',
    lora: { slices: [0, 72, 116], ranks: 64, aAt: 0, bAt: 40, ...columnsBehind(40, 256) },
    weights: F16,
  },
  {
    rows: 'all',
    k: 64,
    n: 128,
    out: 128,
    finish: 'residual',
    lora: { slices: [0], ranks: 64, aAt: 0, bAt: 0, ...columnsBehind(0, 128) },
    weights: { format: 'int8', pack: 4 },
  },
  {
    rows: 'all',
    k: 128,
    n: swigluColumns(100),
    out: 100,
    finish: 'swiglu',
    lora: { slices: [0, swigluColumns(100) / 2], ranks: 64, aAt: 8, bAt: 16, ...columnsBehind(16, swigluColumns(100)) },
    weights: { format: 'int4', pack: 4 },
  },
];

describe.each(LAYOUTS)('$format, $pack words together', (layout) => {
  it.each(quickly && layout !== F16 ? BASE_SHAPES.slice(-1) : BASE_SHAPES)(
    '$finish, $k wide, $out of $n columns',
    async (shape) => {
      for (const rows of [1, 3, 8]) await check(batchOfRows(rows, [null], rows), { ...shape, weights: layout });
    },
  );
});

it('takes f16 that is no multiple of 16 wide, a word at a time', () =>
  check(batchOfRows(2, [null]), {
    ...plain,
    k: 88,
    n: 128,
    out: 100,
    finish: 'none',
    weights: { format: 'f16', pack: 1 },
  }));

it('sums a long row', () => check(batchOfRows(3, [null]), { ...plain, k: 4096, n: 128, out: 128, finish: 'none' }));

it('takes more rows than it is meant for', () =>
  check(batchOfRows(11, [null]), { ...plain, k: 64, n: 128, out: 96, finish: 'none' }));

it('takes the number of sampled rows where those are asked for', async () => {
  const batch = makeBatch({ decodes: [{ context: 5 }, { context: 9 }], chunk: { context: 0, rows: 4 } });
  expect(batch.shape).toMatchObject({ rows: 6, samples: 2 });
  await check(batch, { ...plain, rows: 'sampled', k: 64, n: 128, out: 96, finish: 'none' });
});

describe('with adapters', () => {
  describe.each(LORA_SHAPES)('$weights.format, $finish, slices at $lora.slices', (shape) => {
    it.each([1, 2, 4, 5, 8])('%i rows over base and ranks 7, 16 and 1', async (rows) => {
      const { adapters } = all;
      await check(batchOfRows(rows, [adapters[2]!, null, adapters[4]!, adapters[0]!], rows), shape);
    });

    it('rank 64 and all others in one batch', async () => {
      const { adapters } = all;
      const decodes = [adapters[5]!, adapters[1]!, adapters[3]!, null, adapters[7]!];
      await check(
        makeBatch({
          decodes: decodes.map((adapter, i) => ({ adapter, context: 2 + i })),
          prefills: [{ adapter: adapters[4]!, rows: 3 }],
        }),
        shape,
      );
    });

    it.each([1, 4, 8])('%i rows of g, of a bias, of both, of none and of the base', async (rows) => {
      const [g, bias, both] = all.adapters.slice(PLAIN.length);
      for (const turn of [[g!, null, bias!, all.adapters[2]!, both!], [both!, all.adapters[4]!], [bias!]]) {
        await check(batchOfRows(rows, turn, rows), shape);
      }
    });

    it('base rows alone', () => check(batchOfRows(5, [null]), shape));
  });
});

/** Each choice of a tile at its ends, not every combination. */
const TUNED: GemvTile[] = [
  { tm: 1, tn: 1, columns: 8, threads: 64, unroll: 1 },
  { tm: 1, tn: 2, columns: 8, threads: 256, unroll: 4 },
  { tm: 3, tn: 4, columns: 32, threads: 128, unroll: 2 },
  { tm: 2, tn: 4, columns: 16, threads: 64, unroll: 1 },
];

describe('tiles', () => {
  const shape: MatmulShape = { ...plain, k: 704, n: 128, out: 120, finish: 'none' };

  it.each(quickly ? [F16] : LAYOUTS)('that a GPU may be tuned to: $format, $pack words together', async (layout) => {
    await check(batchOfRows(3, [null]), { ...shape, weights: layout }, TUNED);
  });

  it.each(quickly ? [1, 8] : [1, 2, 3, 8])('as chosen for %i rows', async (rows) => {
    const chosen = gemvTile(shape, rows);
    await check(batchOfRows(rows, [null]), shape, [quickly && rows === 8 ? { ...chosen, tn: 1, unroll: 1 } : chosen]);
  });

  it('are within the workgroup memory that WebGPU promises', () => {
    for (const layout of LAYOUTS) {
      for (const rows of [1, 2, 3, 5, 8, 40]) {
        for (const finish of ['none', 'swiglu'] as const) {
          for (const n of [4096, 128_256]) {
            const tile = gemvTile({ ...plain, k: 4096, n, out: n, finish, weights: layout }, rows);
            expect(gemvBytes(layout, tile), gemvKey(tile)).toBeLessThanOrEqual(16_384);
            expect(finish === 'swiglu' && tile.tn === 1, gemvKey(tile)).toBe(false);
          }
        }
      }
    }
  });

  it('need whole units of K', () => {
    const takes = (k: number, weights: WeightLayout) => gemvTakes({ k, weights });
    expect([8, 12, 24].map((k) => takes(k, { format: 'f16', pack: 1 }))).toEqual([true, false, true]);
    expect([16, 24].map((k) => takes(k, F16))).toEqual([true, false]);
    expect([32, 64].map((k) => takes(k, { format: 'int4', pack: 1 }))).toEqual([false, true]);
  });
});
