/**
 * Rows of W + scale · B · A: their lengths as DoRA's column words, and themselves as merged weights, against float64, in the
 * split a GPU gets and in the one a processor gets.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { foldColumns, foldConstants, foldGrid, foldMerge, PLACE_WORDS } from '../../../engine/kernels/fold.ts';
import { decodeColumns, encodeColumns, type WeightLayout } from '../../../engine/kernels/weight-format.ts';
import type { ResidentAdapter } from '../../../engine/lora/slots.ts';
import { fromHalf, toHalf } from '../../../engine/tensor-files/half.ts';
import type { GroupShape, LoraLayout } from '../../../engine/transformer/dimensions.ts';
import { makeAdapters, type TestAdapters } from './batches.ts';
import { U } from './close-to.ts';
import { type LoraTensors, makeLoraTensors } from './lora-tensors.ts';
import { halves, pair, randomFrom } from './random.ts';
import { runKernel } from './run-kernel.ts';

const FIRST = 11;
const NOT_A_NUMBER = 0x7fc00000;
const RANKS = [1, 7, 8, 16];
const SPLITS = [true, false];

let all: TestAdapters;
beforeAll(async () => {
  all = await makeAdapters(RANKS);
});

interface Tried {
  k: number;
  n: number;
  slices: number[];
  weights: WeightLayout;
}
const PLAIN: WeightLayout = { format: 'f16', pack: 1 };
/** Widths that four pairs, eight parts, and both together do not divide; slices that end within 32 columns. */
const SHAPES: Tried[] = [
  { k: 2, n: 32, slices: [0], weights: PLAIN },
  { k: 34, n: 96, slices: [0, 40, 77], weights: PLAIN },
  { k: 66, n: 64, slices: [0, 32], weights: PLAIN },
  { k: 258, n: 32, slices: [0], weights: PLAIN },
  { k: 48, n: 96, slices: [0, 40, 77], weights: { format: 'f16', pack: 8 } },
  { k: 64, n: 64, slices: [0, 32], weights: { format: 'int8', pack: 1 } },
  { k: 192, n: 96, slices: [0, 40, 77], weights: { format: 'int8', pack: 4 } },
  { k: 192, n: 64, slices: [0, 40], weights: { format: 'int4', pack: 1 } },
  { k: 128, n: 96, slices: [0], weights: { format: 'int4', pack: 4 } },
];

interface Problem extends Tried {
  /** W[row][k] */
  w: Float64Array;
  /** scale · (B · A)[row][k], and the sum of the sizes of its terms. */
  change: Float64Array;
  size: Float64Array;
  bound: { place: Uint32Array<ArrayBuffer>; w: Uint32Array<ArrayBuffer>; tensors: LoraTensors };
  constants(software: boolean): Record<string, number>;
  shape: GroupShape;
}

function problemOf({ k, n, slices, weights }: Tried, adapter: ResidentAdapter, seed: number): Problem {
  const random = randomFrom(seed);
  const columnsAt = all.pages * 4 * n + 3;
  const lora = { slices, ranks: 64, aAt: 5, bAt: 3, columnsAt, columnWords: 0 };
  const tensors = makeLoraTensors(random, all.adapters, all, { k, n, lora });
  const words = encodeColumns(Float32Array.from(halves(random, n * k).values), n, k, weights);
  const w = Float64Array.from(decodeColumns(words, n, k, weights));
  const change = new Float64Array(n * k);
  const size = new Float64Array(n * k);
  for (let row = 0; row < n; row++) {
    const slice = slices.findLastIndex((at) => at <= row);
    for (let c = 0; c < k; c++) {
      for (let r = 0; r < adapter.rank; r++) {
        const term = adapter.scale * tensors.b(adapter, r, row) * tensors.a(adapter, slice, r, c);
        change[row * k + c]! += term;
        size[row * k + c]! += Math.abs(term);
      }
    }
  }
  const shape: GroupShape = {
    group: 'o',
    k,
    n,
    slices: slices.map((at) => ({ tensor: 0, at, columns: 1, gain: 1 })),
  };
  const layout = { groups: { o: lora }, groupColumns: { o: FIRST } } as unknown as LoraLayout;
  const place = placeOf(adapter, true);
  return {
    k,
    n,
    slices,
    weights,
    w,
    change,
    size,
    shape,
    bound: { place, w: words, tensors },
    constants: (software) => foldConstants(shape, layout, weights, software),
  };
}

function placeOf({ rank, scale, pages }: ResidentAdapter, hasM: boolean): Uint32Array<ArrayBuffer> {
  const place = new Uint32Array(PLACE_WORDS + pages.length);
  place[0] = rank;
  new Float32Array(place.buffer)[1] = scale;
  place[2] = hasM ? 1 : 0;
  place.set(pages, PLACE_WORDS);
  return place;
}

/** m for the rows of a group: some close to the row's length, some far from it, and none for every fifth. */
function magnitudes({ w, change, k, n }: Problem, seed: number): Float32Array<ArrayBuffer> {
  const random = randomFrom(seed);
  const m = new Float32Array(FIRST + n + 7).fill(Number.NaN);
  for (let row = 0; row < n; row++) {
    if (row % 5 === 4) continue;
    const near = row % 2 === 0 ? 0.01 : 0.9;
    m[FIRST + row] = lengthOf(w, change, row, k) * (1 + near * random.signed());
  }
  return m;
}
const lengthOf = (w: Float64Array, change: Float64Array, row: number, k: number): number => {
  let sum = 0;
  for (let c = row * k; c < (row + 1) * k; c++) sum += ((w[c] as number) + (change[c] as number)) ** 2;
  return Math.sqrt(sum);
};
const bitsOf = (floats: Float32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> => {
  const words = new Uint32Array(floats.buffer.slice(0));
  floats.forEach((value, i) => {
    if (Number.isNaN(value)) words[i] = NOT_A_NUMBER;
  });
  return words;
};

/** Half the distance between f16 numbers about here. */
const halfUlp = (value: number): number => 2 ** (Math.max(-14, Math.floor(Math.log2(Math.abs(value) || 1e-9))) - 11);

/** Relative error of a row's length: of each element's sum over ranks, and of the sum of squares. */
function lengthError({ w, change, size, k }: Problem, row: number, rank: number): number {
  const length = lengthOf(w, change, row, k);
  let squares = 0;
  for (let c = row * k; c < (row + 1) * k; c++) {
    const element = Math.abs((w[c] as number) + (change[c] as number));
    const off = 2 * (rank + 3) * U * (Math.abs(w[c] as number) + (size[c] as number));
    squares += 2 * element * off + off * off;
  }
  return squares / (2 * length * length) + (k + 8) * U;
}

describe.each(SHAPES)('$k wide, $n rows in $weights.format by $weights.pack, slices at $slices', (tried) => {
  it.each(RANKS.flatMap((rank) => SPLITS.map((software) => [rank, software] as const)))(
    'columns of rank %i, software %s',
    async (rank, software) => {
      const adapter = all.adapters.find((one) => one.rank === rank)!;
      const problem = problemOf(tried, adapter, rank + tried.k);
      const { place, w, tensors } = problem.bound;
      const m = magnitudes(problem, rank);
      const words = m.length;
      const before = Uint32Array.from({ length: words }, (_, i) => (i * 0x9e3779b1) >>> 0);
      const bound = [
        place,
        { words: w.length, initial: w },
        tensors.aPool,
        tensors.bPool,
        bitsOf(m),
        { words, initial: before },
      ];
      const [after, marks] = await runKernel(foldColumns, problem.constants(software), bound, foldGrid(problem.shape));
      expect(after).toEqual(w);
      for (let i = 0; i < words; i++) {
        const row = i - FIRST;
        if (row < 0 || row >= problem.n) {
          expect(marks![i], `word ${i} is another group's`).toBe(before[i]);
          continue;
        }
        expect(marks![i]! >>> 16, `row ${row}'s bias`).toBe(before[i]! >>> 16);
        const got = fromHalf(marks![i]! & 0xffff);
        if (Number.isNaN(m[i]!)) expect(got, `row ${row} has no m`).toBe(0);
        else {
          const g = m[i]! / lengthOf(problem.w, problem.change, row, problem.k);
          const bound1 = halfUlp(g - 1) + 2 * Math.abs(g) * lengthError(problem, row, rank);
          if (!(Math.abs(got - (g - 1)) <= bound1)) throw new Error(`row ${row}: ${got} where ${g - 1} ± ${bound1}`);
        }
      }
    },
  );

  const merging = tried.weights.format === 'f16' ? RANKS : [];
  it.each(
    merging.flatMap((rank) => SPLITS.flatMap((software) => SPLITS.map((dora) => [rank, software, dora] as const))),
  )('merges rank %i, software %s, with m %s', async (rank, software, dora) => {
    const adapter = all.adapters.find((one) => one.rank === rank)!;
    const problem = problemOf(tried, adapter, 3 * rank + tried.k);
    const { k, n } = problem;
    const { w, tensors } = problem.bound;
    const m = dora ? magnitudes(problem, rank) : new Float32Array(FIRST + n + 7).fill(Number.NaN);
    const bound = [
      placeOf(adapter, dora),
      { words: w.length, initial: w },
      tensors.aPool,
      tensors.bPool,
      bitsOf(m),
      { words: m.length, initial: new Uint32Array(m.length) },
    ];
    const [after, marks] = await runKernel(foldMerge, problem.constants(software), bound, foldGrid(problem.shape));
    expect(marks!.every((mark) => mark === 0)).toBe(true);
    const merged = decodeColumns(after!, n, k, tried.weights);
    for (let row = 0; row < n; row++) {
      const own = m[FIRST + row]!;
      const g = Number.isNaN(own) ? 1 : own / lengthOf(problem.w, problem.change, row, k);
      const gError = Number.isNaN(own) ? 0 : 2 * Math.abs(g) * lengthError(problem, row, rank);
      for (let c = 0; c < k; c++) {
        const i = row * k + c;
        const sum = problem.w[i]! + problem.change[i]!;
        const off = 2 * (rank + 3) * U * (Math.abs(problem.w[i]!) + problem.size[i]!);
        const limit = halfUlp(g * sum) * 1.01 + Math.abs(g) * off + gError * Math.abs(sum);
        const got = merged[row * k + c]!;
        if (!(Math.abs(got - g * sum) <= limit)) throw new Error(`[${row}, ${c}]: ${got} where ${g * sum} ± ${limit}`);
      }
    }
  });
});

/** One matrix of 32 rows, 4 wide, with A of ones and rank 1, so that every row changes by its own B. */
async function mergeRows(rows: { w: number[]; b: number; m?: number }[], scale = 1) {
  const [k, n] = [4, 32];
  const adapter = { rank: 1, scale, pages: [0] } as unknown as ResidentAdapter;
  const w = new Float32Array(n * k);
  const b = new Uint32Array(4 * n);
  const m = new Float32Array(n).fill(Number.NaN);
  rows.forEach((row, i) => {
    w.set(row.w, i * k);
    b[i] = toHalf(row.b);
    m[i] = row.m ?? Number.NaN;
  });
  const one = pair(toHalf(1), toHalf(1));
  const a = Uint32Array.from({ length: 8 * (k / 2) }, (_, i) => (i < k / 2 ? one : 0));
  const shape: GroupShape = { group: 'o', k, n, slices: [{ tensor: 0, at: 0, columns: n, gain: 1 }] };
  const lora = { slices: [0], ranks: 8, aAt: 0, bAt: 0, columnsAt: 4 * n, columnWords: 0 };
  const layout = { groups: { o: lora }, groupColumns: { o: 0 } } as unknown as LoraLayout;
  const dora = rows.some((row) => row.m !== undefined);
  const initial = encodeColumns(w, n, k, PLAIN);
  const run = async (kernel: typeof foldMerge, software: boolean) => {
    const bound = [
      placeOf(adapter, dora),
      { words: initial.length, initial },
      a,
      b,
      bitsOf(m),
      { words: n, initial: new Uint32Array(n) },
    ];
    const constants = foldConstants(shape, layout, PLAIN, software);
    const [after, marks] = await runKernel(kernel, constants, bound, foldGrid(shape));
    const merged = decodeColumns(after!, n, k, PLAIN);
    const values = rows.map((_, row) => [...merged.subarray(row * k, (row + 1) * k)]);
    return { values, marks: [...marks!.subarray(0, rows.length)] };
  };
  return {
    merge: (software: boolean) => run(foldMerge, software),
    columns: (software: boolean) => run(foldColumns, software),
  };
}

describe.each(SPLITS)('known answers, software %s', (software) => {
  it('rounds ties to even, into and out of the smallest numbers', async () => {
    const ulp = 2 ** -10;
    const { merge } = await mergeRows([
      { w: [1, 1 + ulp, 2 - ulp, -1], b: ulp / 2 },
      { w: [1, 1 + ulp, 2 - ulp, -1], b: -ulp / 2 },
      { w: [2 ** -14, 3 * 2 ** -15, 2 ** -24, 0], b: -(2 ** -15) },
      { w: [2049, 2048, 0, -2048], b: 1 },
    ]);
    expect((await merge(software)).values).toEqual([
      [1, 1 + 2 * ulp, 2, -1 + ulp / 2],
      [1 - ulp / 2, 1, 2 - 2 * ulp, -1],
      [2 ** -15, 2 ** -14, 2 ** -24 - 2 ** -15, -(2 ** -15)],
      [2048, 2048, 1, -2047],
    ]);
  });

  it('keeps the bits of rows that nothing changes, the smallest and negative zero among them', async () => {
    const { merge } = await mergeRows([{ w: [2 ** -24, -0, 65504, -(2 ** -24)], b: 0 }]);
    expect((await merge(software)).values).toEqual([[2 ** -24, -0, 65504, -(2 ** -24)]]);
  });

  it('marks the first element of a row that f16 cannot hold, and no row beside it', async () => {
    const { merge } = await mergeRows([
      { w: [0, 0, 65504, 65504], b: 16 },
      { w: [0, 65504, 0, 0], b: 15 },
      { w: [0, 0, 0, -65504], b: -16 },
    ]);
    const { marks, values } = await merge(software);
    expect(marks).toEqual([3, 0, 4]);
    expect(values[1]).toEqual([15, 65504, 15, 15]);
  });

  it('marks a row without length that has an m, and makes a column word of it that is no number', async () => {
    const { merge, columns } = await mergeRows([
      { w: [3, 0, 4, 0], b: 0, m: 10 },
      { w: [1, 1, 1, 1], b: -1, m: 2 },
      { w: [1, 1, 1, 1], b: -1 },
      { w: [1, 1, 1, 1], b: 1, m: 2 },
    ]);
    const merged = await merge(software);
    expect(merged.marks).toEqual([0, 1, 0, 0]);
    expect([merged.values[0], merged.values[2], merged.values[3]]).toEqual([
      [6, 0, 8, 0],
      [0, 0, 0, 0],
      [1, 1, 1, 1],
    ]);
    expect((await columns(software)).marks).toEqual([toHalf(1), 0x7c00, 0, toHalf(-0.5)]);
  });
});
