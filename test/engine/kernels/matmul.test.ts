/**
 * y = finish(g ⊙ (x · Wᵀ + scale · s · Bᵀ) + bias) in every tile the engine can choose and every layout of W, against the
 * same float64 numbers.
 *
 * Padded columns of W (quantised: their scales too), s of base rows, s past an adapter's rank and pages that are nobody's are
 * NaN, and so are the column words of adapters that have none: none of them may count.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type MatmulShape,
  type MatmulTile,
  matmul,
  matmulConstants,
  matmulGrid,
  matmulTile,
  padColumns,
  tileKey,
} from '../../../engine/kernels/matmul.ts';
import { decodeColumns, encodeColumns, type WeightLayout } from '../../../engine/kernels/weight-format.ts';
import { pagesFor } from '../../../engine/lora/slots.ts';
import { chosenDevice } from '../../support/device.ts';
import { type Batch, batchOfRows, makeAdapters, makeBatch, type TestAdapters } from './batches.ts';
import { expectClose } from './close-to.ts';
import { type LoraTensors, makeLoraTensors } from './lora-tensors.ts';
import { matmulOracle } from './oracles.ts';
import { floats, halves, randomFrom } from './random.ts';
import { asFloats, POISON, runKernel } from './run-kernel.ts';

/** Plain adapters, and then some with column words: g, bias, both, g. */
const PLAIN = [1, 4, 7, 8, 16, 64];
const COLUMNED = [1, 7, 16, 64];
const RANKS = [...PLAIN, ...COLUMNED];
const ROWS = [1, 2, 3, 4, 5, 8, 9, 33];

/** All tiles that any number of rows gets on any device. */
const TILES: MatmulTile[] = [
  ...new Map(
    [1, 2, 3, 4, 5, 8, 9, 33].flatMap((rows) =>
      [true, false].flatMap((software) =>
        [true, false].map((batchInvariant) => {
          const tile = matmulTile(rows, { software, batchInvariant });
          return [tileKey(tile), tile] as const;
        }),
      ),
    ),
  ).values(),
];

/**
 * The tiles a shape is run in: every one, but on SwiftShader, which takes a second to compile a kernel that splits K (other
 * devices: a hundredth), of those only the ones named with a shape that has adapters; base rows go through them as well.
 */
const tilesFor = (split: readonly string[]): MatmulTile[] =>
  TILES.filter(
    (tile) => tile.kSplit === 1 || split.includes(tileKey(tile)) || chosenDevice().candidate !== 'swiftshader',
  );

const swigluColumns = (out: number): number => padColumns(2 * out);

/** A shape, and the tiles that split K it is run in on SwiftShader. */
type Tried = MatmulShape & { split: string[] };
const F16: WeightLayout = { format: 'f16', pack: 1 };
const plain = { rows: 'all', weights: F16, lora: null } as const;
const BASE_SHAPES: MatmulShape[] = [
  { ...plain, k: 2, n: 128, out: 1, finish: 'none' },
  { ...plain, k: 130, n: 256, out: 200, finish: 'none' },
  { ...plain, k: 62, n: 128, out: 97, finish: 'residual' },
  { ...plain, k: 66, n: swigluColumns(100), out: 100, finish: 'swiglu' },
  { ...plain, k: 30, n: swigluColumns(1), out: 1, finish: 'swiglu' },
];

/** Column words behind all pages, with a word of another projection before and some after those of each slot. */
const columnsBehind = (bAt: number, n: number) => {
  const pages = pagesFor(2 * RANKS.length + 1, 64);
  return { columnsAt: bAt + 4 * pages * n + 4, columnWords: n + 12 };
};

const LORA_SHAPES: Tried[] = [
  // q, k, v whose boundaries lie within a workgroup's columns, and at no multiple of 32.
  {
    rows: 'all',
    weights: F16,
    k: 34,
    n: 256,
    out: 150,
    finish: 'none',
    lora: { slices: [0, 72, 116], ranks: 64, aAt: 0, bAt: 40, ...columnsBehind(40, 256) },
    split: ['2x4/16', '4x4/8'],
  },
  {
    rows: 'all',
    weights: F16,
    k: 30,
    n: 128,
    out: 128,
    finish: 'residual',
    lora: { slices: [0], ranks: 64, aAt: 0, bAt: 0, ...columnsBehind(0, 128) },
    split: ['8x4/2'],
  },
  {
    rows: 'all',
    weights: F16,
    k: 34,
    n: swigluColumns(100),
    out: 100,
    finish: 'swiglu',
    lora: { slices: [0, swigluColumns(100) / 2], ranks: 64, aAt: 8, bAt: 16, ...columnsBehind(16, swigluColumns(100)) },
    split: ['1x4/16', '8x4/2'],
  },
];

let all: TestAdapters;
beforeAll(async () => {
  all = await makeAdapters(RANKS, (i) => i >= PLAIN.length);
});

/** W of `n` padded columns, of which `real(column)` hold numbers. */
function makeWeights(n: number, k: number, real: (column: number) => boolean, layout: WeightLayout) {
  const { values } = halves(randomFrom(n + k), n * k);
  const encode = (padding: number) => {
    const padded = Float32Array.from(values, (value, i) => (real(Math.floor(i / k)) ? value : padding));
    return encodeColumns(padded, n, k, layout);
  };
  const words = encode(1);
  const exact = decodeColumns(words, n, k, layout);
  // What stands for columns of padding is what their values change.
  encode(0).forEach((word, i) => {
    if (word !== words[i]) words[i] = POISON;
  });
  return { words, at: (column: number, i: number) => exact[column * k + i] as number };
}

/** s as shrink.wgsl leaves it: zero up to the next four ranks, nothing (here NaN) beyond and for base rows. */
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

async function check(batch: Batch, shape: MatmulShape, tiles: readonly MatmulTile[] = tilesFor([])): Promise<void> {
  const { k, n, out, finish, weights, lora } = shape;
  const sampled = shape.rows === 'sampled';
  // The head's x holds only the sampled rows, gathered by rmsnorm before it.
  const adapters = sampled ? batch.sampledRows.map(() => null) : batch.rows.map(({ adapter }) => adapter);
  const rows = adapters.length;
  const random = randomFrom(rows + k);
  const real = (column: number) => (finish === 'swiglu' ? column % (n / 2) : column) < out;
  const w = makeWeights(n, k, real, weights);
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
    const [y] = await runKernel(matmul(weights), matmulConstants(shape, tile), bound, matmulGrid(shape, tile, rows));
    const place = (i: number) => `row ${Math.floor(i / out)}, column ${i % out}`;
    expectClose(asFloats(y!), want, `${rows} rows, tile ${tileKey(tile)}`, place);
  }
}

describe('without adapters', () => {
  it.each(BASE_SHAPES)('$finish, $k wide, $out of $n columns', async (shape) => {
    for (const rows of ROWS) await check(batchOfRows(rows, [null], rows), shape);
  });

  it('sums a long row', () => check(batchOfRows(3, [null]), { ...plain, k: 4096, n: 128, out: 128, finish: 'none' }));

  it('takes the number of sampled rows where those are asked for', async () => {
    const batch = makeBatch({
      decodes: [{ context: 5 }, { context: 9 }],
      prefills: [{ rows: 4 }],
      chunk: { context: 0, rows: 6 },
    });
    expect(batch.shape).toMatchObject({ rows: 12, samples: 3 });
    await check(batch, { ...plain, rows: 'sampled', k: 34, n: 128, out: 96, finish: 'none' });
  });

  it('ignores adapters of the batch in a projection that has none', async () => {
    const { adapters } = all;
    await check(batchOfRows(9, [adapters[2]!, null]), { ...plain, k: 34, n: 128, out: 128, finish: 'residual' });
  });
});

describe('with adapters', () => {
  describe.each(LORA_SHAPES)('$finish, $k wide, $out of $n columns, slices at $lora.slices', ({ split, ...shape }) => {
    it.each(ROWS)('%i rows over base and ranks 7, 16 and 1', async (rows) => {
      const { adapters } = all;
      await check(batchOfRows(rows, [adapters[2]!, null, adapters[4]!, adapters[0]!], rows), shape, tilesFor(split));
    });

    it('all ranks in one batch of prompts and decodes', async () => {
      const { adapters } = all;
      const batch = makeBatch({
        decodes: [...adapters, null, adapters[3]!, null].map((adapter, i) => ({ adapter, context: 2 + i })),
        prefills: [
          { adapter: adapters[1]!, rows: 3 },
          { adapter: null, rows: 2 },
          { adapter: adapters[5]!, rows: 5 },
        ],
        chunk: { adapter: adapters[2]!, context: 0, rows: 3 },
      });
      expect(new Set(batch.rows.map(({ adapter }) => adapter)).size).toBe(RANKS.length + 1);
      await check(batch, shape, tilesFor(split));
    });

    it.each([1, 2, 4, 9])('%i rows of g, of a bias, of both, of none and of the base', async (rows) => {
      const [g, bias, both, more] = all.adapters.slice(PLAIN.length);
      for (const turn of [
        [g!, null, bias!, all.adapters[2]!, both!],
        [both!, all.adapters[4]!],
        [bias!, more!],
      ]) {
        await check(batchOfRows(rows, turn, rows), shape, tilesFor(split));
      }
    });

    it('base rows alone', () => check(batchOfRows(5, [null]), shape, tilesFor(split)));
    it('one adapter alone', () => check(batchOfRows(9, [all.adapters[5]!]), shape, tilesFor(split)));
  });
});

/** What is not f16 in single words, and a depth of x that reaches across its blocks. */
const LAYOUTS: (WeightLayout & { k: number })[] = [
  { format: 'f16', pack: 8, k: 208 },
  { format: 'int8', pack: 1, k: 192 },
  { format: 'int8', pack: 4, k: 192 },
  { format: 'int4', pack: 1, k: 192 },
  { format: 'int4', pack: 4, k: 192 },
];
/** Of the tiles that differ in no more than their rows, the fewest and the most. */
const ENDS = TILES.filter((tile) => ['1x4/1', '8x8/1'].includes(tileKey(tile)));

describe.each(LAYOUTS)('$format weights, $pack words of a column together', ({ k, ...weights }) => {
  it.each(['none', 'residual', 'swiglu'] as const)('%s, without adapters', async (finish) => {
    const shape: MatmulShape = { ...plain, weights, k, n: swigluColumns(100), out: 97, finish };
    for (const rows of [1, 9]) await check(batchOfRows(rows, [null], rows), shape, ENDS);
  });

  it('with adapters', async () => {
    const { adapters } = all;
    const turn = [adapters[2]!, null, adapters[4]!, adapters[PLAIN.length + 2]!];
    const [{ split: _, ...shape }] = LORA_SHAPES as [Tried];
    for (const rows of [1, 9]) await check(batchOfRows(rows, turn, rows), { ...shape, weights, k }, ENDS);
  });

  // SwiftShader takes seconds to compile each: there, only the one whose blocks are split between lanes that load four words.
  it.skipIf(chosenDevice().candidate === 'swiftshader' && !(weights.format === 'int4' && weights.pack === 4))(
    'with K split, some lanes left without any',
    async () => {
      const { split: _, ...shape } = LORA_SHAPES[2] as Tried;
      const tiles = TILES.filter((tile) => tileKey(tile) === '1x4/16');
      await check(batchOfRows(1, [all.adapters[2]!]), { ...shape, weights, k }, tiles);
    },
  );
});

describe('tiles', () => {
  it('that split K are each run somewhere above, on every device', () => {
    const split = TILES.filter(({ kSplit }) => kSplit > 1)
      .map(tileKey)
      .sort();
    expect([...new Set(LORA_SHAPES.flatMap((shape) => shape.split))].sort()).toEqual(split);
  });

  it('are these and no more: a new one is to be looked at here', () => {
    expect(TILES.map(tileKey).sort()).toEqual([
      '1x4/1',
      '1x4/16',
      '2x4/16',
      '2x8/1',
      '4x4/8',
      '4x8/1',
      '8x4/2',
      '8x8/1',
    ]);
  });

  it('depend on nothing when results must not depend on the batch', () => {
    for (const software of [true, false]) {
      const tiles = ROWS.map((rows) => tileKey(matmulTile(rows, { software, batchInvariant: true })));
      expect(new Set(tiles).size).toBe(1);
    }
  });
});
