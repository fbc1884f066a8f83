/**
 * What finishes a projection from its partial sums: sum, the row's own adapter, and rotation and KV write, residual and norm, or
 * SwiGLU, each in one kernel, against float64.
 *
 * Rows of the partial sums beyond the batch are NaN, as are pages that are nobody's, s past an adapter's rank and of base rows,
 * and the columns of padding.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { attentionConstants } from '../../../engine/kernels/attention.ts';
import type { MatmulShape } from '../../../engine/kernels/matmul.ts';
import {
  type Partials,
  reduceNorm,
  reduceNormConstants,
  reduceNormGrid,
  reduceNormThreads,
  reduceRope,
  reduceRopeConstants,
  reduceRopeGrid,
  reduceSwiglu,
  reduceSwigluConstants,
  reduceSwigluGrid,
} from '../../../engine/kernels/reduce.ts';
import { pagesFor } from '../../../engine/lora/slots.ts';
import { type Geometry, geometryOf } from '../../../engine/models/geometry.ts';
import { angleTable, frequencies } from '../../../engine/transformer/rope.ts';
import { testDevice } from '../../support/device.ts';
import { type Batch, batchOfRows, makeAdapters, makeBatch, type TestAdapters } from './batches.ts';
import { type Expected, expectClose, expected, U } from './close-to.ts';
import { makeLoraTensors } from './lora-tensors.ts';
import { matmulOracle } from './oracles.ts';
import { floats, randomFrom } from './random.ts';
import { asFloats, runKernel } from './run-kernel.ts';
import { cacheOf, expectCache } from './written-cache.ts';

const RANKS = [1, 4, 7, 8, 16, 64, 1, 7, 16];
const PLAIN = 6;
const EPS = 1e-5;
const { facts } = await testDevice();

let all: TestAdapters;
beforeAll(async () => {
  all = await makeAdapters(RANKS, (i) => i >= PLAIN);
});

/** A projection whose pages and column words lie where vectors of four can reach them, with other projections' around. */
function shapeOf(finish: MatmulShape['finish'], out: number, n: number, slices: number[]): MatmulShape {
  const bAt = 40;
  const columnsAt = bAt + 4 * pagesFor(2 * RANKS.length + 1, 64) * n + 4;
  const lora = { slices, ranks: 64, aAt: 0, bAt, columnsAt, columnWords: n + 12 };
  return { k: 2, n, out, finish, rows: 'all', weights: { format: 'f16', pack: 1 }, lora };
}

interface Inputs {
  /** step, partials, s, b: the first four bindings. */
  bound: (Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>)[];
  residual: Float32Array<ArrayBuffer>;
  /** What the projection gives, finished. */
  want: Expected;
}

function inputsOf(batch: Batch, shape: MatmulShape, { split, rows: stride }: Partials): Inputs {
  const { n, out, finish, lora } = shape;
  if (!lora) throw new Error('these shapes have adapters');
  const random = randomFrom(n + split);
  const rows = batch.rows.length;
  const partials = new Float32Array(split * stride * n).fill(Number.NaN);
  const used = (column: number) => (finish === 'swiglu' ? column % (n / 2) : column) < out;
  for (let part = 0; part < split; part++) {
    for (let row = 0; row < rows; row++) {
      for (let c = 0; c < n; c++) if (used(c)) partials[(part * stride + row) * n + c] = random.signed();
    }
  }
  const product = (row: number, column: number) => {
    let value = 0;
    let size = 0;
    for (let part = 0; part < split; part++) {
      const term = partials[(part * stride + row) * n + column] as number;
      value += term;
      size += Math.abs(term);
    }
    return { value, size, bound: 2 * split * U * size };
  };
  const slices = lora.slices.length;
  const s = new Float32Array(rows * slices * lora.ranks).fill(Number.NaN);
  batch.rows.forEach(({ adapter }, row) => {
    for (let slice = 0; adapter && slice < slices; slice++) {
      for (let r = 0; r < 4 * Math.ceil(adapter.rank / 4); r++) {
        s[(row * slices + slice) * lora.ranks + r] = r < adapter.rank ? random.signed() : 0;
      }
    }
  });
  const tensors = makeLoraTensors(random, all.adapters, all, { k: 2, n, lora });
  const residual = floats(random, rows * out);
  const at = (row: number, slice: number, r: number) => s[(row * slices + slice) * lora.ranks + r] as number;
  const adapters = batch.rows.map(({ adapter }) => adapter);
  const given = { w: () => 0, x: new Float32Array(), residual, s: at, tensors, product };
  return { bound: [batch.data, partials, s, tensors.bPool], residual, want: matmulOracle(shape, adapters, given) };
}

const BATCHES: Record<string, () => Batch> = {
  'one row': () => batchOfRows(1, [all.adapters[4]!]),
  'base rows alone': () => batchOfRows(9, [null]),
  'one adapter': () => batchOfRows(16, [all.adapters[5]!]),
  'all ranks, with and without columns, and base rows, prompts and decodes': () =>
    makeBatch({
      decodes: [...all.adapters, null, all.adapters[3]!].map((adapter, i) => ({ adapter, context: 14 + i })),
      prefills: [
        { adapter: all.adapters[1]!, rows: 3 },
        { adapter: null, rows: 2 },
        { adapter: all.adapters[7]!, rows: 5 },
      ],
    }),
};
const SPLITS: Partials[] = [
  { split: 1, rows: 32 },
  { split: 7, rows: 48 },
];

describe.each(Object.keys(BATCHES))('%s', (name) => {
  it.each(SPLITS)('silu(gate) * up of $split parts', async (partials) => {
    const batch = BATCHES[name]!();
    const rows = batch.rows.length;
    const shape = shapeOf('swiglu', 300, 640, [0, 320]);
    const { bound, want } = inputsOf(batch, shape, partials);
    const constants = reduceSwigluConstants(shape, partials);
    const outputs = [{ words: rows * shape.out }];
    const [y] = await runKernel(reduceSwiglu, constants, [...bound, ...outputs], reduceSwigluGrid(shape.out, rows));
    expectClose(asFloats(y!), want, name, (i) => `row ${Math.floor(i / shape.out)}, column ${i % shape.out}`);
  });

  it.each(SPLITS)('residual and norm of $split parts', async (partials) => {
    const batch = BATCHES[name]!();
    const rows = batch.rows.length;
    // Narrower than a workgroup, and wider, with a rest.
    for (const out of [100, 1188]) {
      const shape = shapeOf('residual', out, Math.ceil(out / 128) * 128, [0]);
      const { bound, residual, want } = inputsOf(batch, shape, partials);
      const weight = floats(randomFrom(3), out);
      const threads = reduceNormThreads(out, facts.maxInvocations);
      const outputs = [{ words: rows * out }, { words: rows * out }];
      const [y, normed] = await runKernel(
        reduceNorm,
        reduceNormConstants(shape, partials, EPS, threads),
        [...bound, residual, weight, ...outputs],
        reduceNormGrid(rows),
      );
      const place = (i: number) => `row ${Math.floor(i / out)}, column ${i % out}`;
      expectClose(asFloats(y!), want, `${name}, ${out} wide`, place);
      expectClose(asFloats(normed!), normOf(want, rows, out, weight), `${name}, norm of ${out}`, place);
    }
  });
});

/** rmsnorm of numbers that are themselves within bounds. */
function normOf(y: Expected, rows: number, width: number, weight: Float32Array): Expected {
  const want = expected(rows * width);
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    let error = 0;
    for (let c = 0; c < width; c++) {
      const [value, bound] = [y.values[row * width + c], y.bounds[row * width + c]] as [number, number];
      sum += value * value;
      error += 2 * Math.abs(value) * bound + bound * bound;
    }
    const mean = sum / width + EPS;
    const scale = 1 / Math.sqrt(mean);
    // Half the sum's relative error, and square root, division and two products of a few ulp (oracles.ts).
    const relative = error / width / mean + (width + 16) * U;
    for (let c = 0; c < width; c++) {
      const at = row * width + c;
      const [value, bound] = [y.values[at], y.bounds[at]] as [number, number];
      const w = weight[c] as number;
      want.values[at] = value * scale * w;
      want.bounds[at] = Math.abs(w) * scale * (bound + (Math.abs(value) + bound) * relative);
    }
  }
  return want;
}

it('without a norm to follow leaves what is there', async () => {
  const batch = BATCHES['one adapter']!();
  const rows = batch.rows.length;
  const shape = shapeOf('residual', 128, 128, [0]);
  const partials = SPLITS[1]!;
  const { bound, residual, want } = inputsOf(batch, shape, partials);
  const constants = reduceNormConstants(shape, partials, null, 32);
  const outputs = [{ words: rows * 128 }, { words: 4 }];
  const [y, normed] = await runKernel(reduceNorm, constants, [...bound, residual, residual, ...outputs], [rows, 1, 1]);
  expectClose(asFloats(y!), want, 'sum');
  expect(asFloats(normed!).every(Number.isNaN)).toBe(true);
});

describe.each([
  { heads: 3, kvHeads: 1, headDim: 64 },
  { heads: 4, kvHeads: 2, headDim: 128 },
])('rotation and KV write, $heads heads, $kvHeads of KV, of $headDim', (heads) => {
  it.each(Object.keys(BATCHES))('%s', async (name) => {
    const batch = BATCHES[name]!();
    const rows = batch.rows.length;
    const { headDim, kvHeads } = heads;
    const q = heads.heads * headDim;
    const kv = kvHeads * headDim;
    const shape = shapeOf('none', q + 2 * kv, Math.ceil((q + 2 * kv) / 128) * 128, [0, q, q + kv]);
    const attention = { ...heads, blockSize: batch.blockSize };
    const geometry: Geometry = { ...(geometryOf('llama-3.2-1b') as Geometry), ...heads };
    const positions = 1 + Math.max(...batch.rows.map(({ position }) => position));
    const cacheWords = (batch.totalBlocks * kvHeads * batch.blockSize * headDim) / 2;
    for (const partials of SPLITS) {
      const { bound, want } = inputsOf(batch, shape, partials);
      const outputs = [{ words: rows * q }, { words: cacheWords }, { words: cacheWords }];
      const constants = reduceRopeConstants(shape, partials, attention);
      expect(constants).toMatchObject(attentionConstants(attention));
      const angles = angleTable(geometry, positions);
      const [gotQ, k, v] = await runKernel(
        reduceRope,
        constants,
        [...bound, angles, ...outputs],
        reduceRopeGrid(attention, rows),
      );
      const turned = rotated(batch, heads, want, frequencies(geometry));
      expectClose(asFloats(gotQ!), turned.q, `${name}: q`);
      expectCache(k!, cacheOf(batch, heads, turned.k), `${name}: k cache`);
      expectCache(v!, cacheOf(batch, heads, turned.v), `${name}: v cache`);
    }
  });
});

/** RoPE of numbers that are themselves within bounds: as ropeOracle, with what a rotation makes of those. */
function rotated(
  { rows }: Batch,
  { heads, kvHeads, headDim }: { heads: number; kvHeads: number; headDim: number },
  qkv: Expected,
  radians: readonly number[],
) {
  const half = headDim / 2;
  const width = (heads + 2 * kvHeads) * headDim;
  const parts = [heads, kvHeads, kvHeads].map((count) => expected(rows.length * count * headDim));
  rows.forEach(({ position }, row) => {
    for (let head = 0; head < heads + 2 * kvHeads; head++) {
      const part = head < heads ? 0 : head < heads + kvHeads ? 1 : 2;
      const own = head < heads ? head : (head - heads) % kvHeads;
      const to = parts[part] as Expected;
      const base = (row * (part === 0 ? heads : kvHeads) + own) * headDim;
      for (let i = 0; i < half; i++) {
        const from = row * width + head * headDim + i;
        const [a, b] = [qkv.values[from], qkv.values[from + half]] as [number, number];
        const [errorA, errorB] = [qkv.bounds[from], qkv.bounds[from + half]] as [number, number];
        const turn = part === 2 ? 0 : position * (radians[i] as number);
        const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
        to.values[base + i] = a * cos - b * sin;
        to.values[base + half + i] = b * cos + a * sin;
        // The table's cos and sin are rounded once, two products and a sum once each (oracles.ts).
        const rounded = (Math.abs(a) + Math.abs(b)) * 4 * U;
        to.bounds[base + i] = Math.abs(cos) * errorA + Math.abs(sin) * errorB + rounded;
        to.bounds[base + half + i] = Math.abs(cos) * errorB + Math.abs(sin) * errorA + rounded;
      }
    }
  });
  const [q, k, v] = parts as [Expected, Expected, Expected];
  return { q, k, v };
}
